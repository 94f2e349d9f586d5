"""The contract of generation engines: many prompts in, completions out, each by the adapter that its row names.

Rollouts of the base policy, rollouts in training and evaluation all go through the one engine that the configuration
names. An engine of one's own is a subclass of `GenerationEngine` with `complete` and `refresh`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from eval.tasks.base import Message
from rewards_generated.errors import UserError
from rewards_generated.loading import load_object, require_options

if TYPE_CHECKING:
    from eval.engines.policy import Policy

Adapter = str | int | None
"""Of a row: the folder of a PEFT adapter or of a whole model, the place of one among those in training, or None for the
base policy."""

Rollouts: TypeAlias = "tuple[list[list[int]], list[list[float]] | None]"
"""Token ids of completions, and the natural logarithm of the probability with which each of these tokens was drawn."""

RETURN_SECONDS = 120.0
"""What an engine samples with may be started again by whoever runs it: a job waits so long for it."""

ImportanceWeights = Literal["token_truncate", "sequence_truncate", "none"]
"""How the loss weighs rollouts by the ratio of the trainer's probabilities to the engine's, in TRL's words: every token
by its own, a completion by the product of its tokens', neither above 3; or not at all."""


class EngineLost(Exception):
    """What an engine samples with ended in the middle of a job: the job runs again, and goes on from its checkpoint."""


class EngineUnusable(UserError):
    """What an engine samples with is not there, or is another than it has to be: no job runs until it is seen to."""


class OtherVersion(EngineUnusable):
    """Another one than was asked for is installed, which no waiting changes."""


class EngineSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = "transformers"
    """What generates, in training and in evaluation: `transformers`, `vllm`, or `package.module:Class`."""
    options: dict[str, Any] = {}
    """Options of that engine."""
    version: Annotated[str | None, Field(exclude_if=lambda version: version is None)] = None
    """Of what the engine runs on, such as `vllm 0.30.0`: a part of every job, which another version refuses. Left out:
    the one that is installed; `transformers` has none beside the project's own."""

    def pinned(self) -> EngineSettings:
        """With the version that is installed, or that runs at the address in the options, where the engine has one."""
        return self if self.version else self.model_copy(update={"version": _class(self).version(self.options)})


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to decode. `temperature` 0 is greedy. `seed` decides the draws where it is above 0."""

    max_completion_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    draws_period: int | None = None
    """Rows that lie so far apart see the same draws, as several policies asked the same questions in one call should;
    None: every row has its own."""


@dataclass(frozen=True, slots=True)
class Generated:
    completion: str
    tokens: int
    """Number of tokens, the end token included."""
    truncated: bool
    """Neither an end token nor a stop string within the limit."""


class LiveAdapters(Protocol):
    """The policies that are being trained: LoRA adapters of one base, or the one policy whose every weight is."""

    count: int

    def save(self, adapter: int, folder: str | Path) -> None:
        """Writes the adapter, as it is now, as a PEFT folder (a whole model where every weight is trained)."""
        ...


class GenerationEngine(ABC):
    """Generates with one base policy and any number of adapters of it."""

    importance_weights: ImportanceWeights = "none"
    """Of the loss, where `rollouts` gives log-probabilities."""
    folder: Path | None = None
    """Of the job, for files and logs of the engine; None: it has none to leave anything in."""

    def __init__(self, policy: Policy, batch_size: int = 64) -> None:
        """`batch_size`: rows of one adapter to decode together. Options of the configuration follow by keyword.

        Raises UserError for a `batch_size` below 1.
        """
        if batch_size < 1:
            raise UserError(f"batch_size = {batch_size} must be at least 1")
        self.policy = policy
        self.batch_size = batch_size

    @abstractmethod
    def complete(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        adapters: Sequence[Adapter],
        draws: Sequence[tuple[int, int]],
    ) -> list[list[int]]:
        """Token ids of one completion per prompt (token ids), in order, each with its end token if one came, or up to
        the token with which the first of `policy.format.stop_strings` was complete.

        `adapters`: of each row. `draws`: names the random numbers of each row by a seed and a place: what a row draws
        depends on these alone, so that rows with equal ones see the same luck, in whatever call or batch. `sampling`'s
        own `seed` and `draws_period` are not looked at. Raises UserError for a folder without an adapter,
        FloatingPointError for one that is not finite, EngineLost where what it samples with has ended.
        """

    @abstractmethod
    def refresh(self, adapters: LiveAdapters | None) -> None:
        """From now on a number as the adapter of a row is a place in `adapters`, with the weights that these have now.

        Called before the first rollouts of a training run, after every optimizer step, and with None at its end.
        """

    @classmethod
    def version(cls, options: Mapping[str, Any]) -> str | None:
        """Of what it runs on, which decides what it says; None: the versions of this project's own packages say all.

        Raises UserError where that is not installed, EngineUnusable where it should run elsewhere and does not answer.
        """
        return None

    @classmethod
    def memory(cls, options: Mapping[str, Any], weights: int, free: int, device: str) -> int:
        """Bytes that it keeps to itself while a job trains, of `free` ones on the `device`; `weights`: the base
        policy's."""
        return 0

    def rest(self) -> None:
        """Others compute for a while, such as training between rollouts: it may give back memory until it is asked."""
        return

    def rollouts(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        adapters: Sequence[Adapter],
        draws: Sequence[tuple[int, int]],
    ) -> Rollouts:
        """What `complete` gives, for training, and the log-probability of every token at the sampling's temperature
        where the engine's weights or arithmetic are not the trainer's own: an engine that has them replaces this."""
        return self.complete(prompts, sampling, adapters, draws), None

    def log_probabilities(
        self, contexts: Sequence[Sequence[int]], tokens: Sequence[int], adapters: Sequence[Adapter]
    ) -> list[float] | None:
        """The log-probability of one token after each context, at temperature 1, read from whatever `complete` would
        read: its weights, and its caches. A training run sees by them that its rollouts come from the adapters that it
        trains, and stops where they do not. None: the engine decodes with the trainer's own model, or cannot tell."""
        return None

    def generate(
        self,
        prompts: Sequence[Sequence[Message]],
        sampling: Sampling,
        adapters: Adapter | Sequence[Adapter] = None,
    ) -> list[Generated]:
        """Completions of chats in their order; `adapters`: one for all rows, or one per row.

        Row i of a sampled call depends on the seed and i alone. Raises ValueError if there are not as many adapters
        as prompts, and what `complete` raises.
        """
        if adapters is None or isinstance(adapters, str | int):
            adapters = [adapters] * len(prompts)
        if len(adapters) != len(prompts):
            raise ValueError(f"{len(adapters)} adapters were given for {len(prompts)} prompts")
        period = sampling.draws_period or len(prompts)
        draws = [(sampling.seed, row % period) for row in range(len(prompts))]
        completions = self.complete(self.policy.prompt_tokens(prompts), sampling, adapters, draws)
        texts, ended = self.policy.texts(completions), self.policy.ended(completions)
        return [
            Generated(text, len(ids), truncated=not over)
            for text, ids, over in zip(texts, completions, ended, strict=True)
        ]


BUILT_IN_ENGINES = {
    "transformers": "eval.engines.transformers_engine:TransformersEngine",
    "vllm": "eval.engines.vllm_engine:VllmEngine",
}


def engine_class(settings: EngineSettings) -> type[GenerationEngine]:
    """Raises UserError for an engine that is not known or cannot be imported, or options that it does not take;
    OtherVersion where not that one is asked for, and as `GenerationEngine.version` does."""
    found = _class(settings)
    given = {"policy": None, "batch_size": 1, **settings.options}
    require_options(found, given, "engine.options", f"engine {settings.name!r}")
    installed = found.version(settings.options)
    if settings.version is not None and settings.version != installed:
        raise OtherVersion(
            f"engine.version = {settings.version!r}, and {installed or 'no version of its own'} is installed here: "
            f"install what was asked for, or leave the field out of a new search"
        )
    return found


def _class(settings: EngineSettings) -> type[GenerationEngine]:
    found: type[GenerationEngine] = load_object(settings.name, BUILT_IN_ENGINES, "engine.name", "engine")
    if not issubclass(found, GenerationEngine):
        raise UserError(f"engine.name = {settings.name!r} is no subclass of eval.engines.base.GenerationEngine")
    return found


def build_engine(
    settings: EngineSettings, policy: Policy, batch_size: int, folder: Path | None = None
) -> GenerationEngine:
    """`folder`: of the job, which waits for an engine that cannot be used now. Raises UserError as `engine_class` does,
    and as the engine itself does."""
    until = time.monotonic() + RETURN_SECONDS
    while True:
        try:
            found = engine_class(settings)
            break
        except EngineUnusable as error:
            if isinstance(error, OtherVersion) or time.monotonic() > until:
                raise
            time.sleep(1.0)
    engine = found(policy, batch_size, **settings.options)
    engine.folder = folder and folder.resolve()
    return engine
