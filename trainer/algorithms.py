"""Algorithms by name, and their contract: how a step of training turns rollouts into a loss.

An algorithm is a frozen model whose fields are its options; the methods here are those of plain GRPO, and another
algorithm replaces those in which it differs. One of one's own is `package.module:Class`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import ConfigDict

from eval.tasks.base import Task
from rewards_generated.errors import UserError
from rewards_generated.loading import load_object
from rewards_generated.validation import read_options
from trainer.jobs.settings import AlgorithmSettings, Frozen, GrpoSettings

if TYPE_CHECKING:
    from rewards_generated.scorer import EnsembleScorer
    from trainer.grpo.pack_trainer import PackTrainer
    from trainer.jobs.train import RewardStatistics, SampleCompletion, TrainingRun


class Scoring(Protocol):
    """Scores the rollouts of one run, and keeps what became of them."""

    @property
    def curve(self) -> dict[int, dict[str, Any]]:
        """Per step, counted from 1: the figures that come from the rollouts."""
        ...

    @property
    def samples(self) -> list[SampleCompletion]: ...

    @property
    def seconds(self) -> float:
        """Wall-clock spent in reward calls."""
        ...

    @property
    def reward(self) -> Callable[..., list[float | None]]:
        """TRL's reward function: one total per completion, None where it could not be scored."""
        ...

    def statistics(self) -> tuple[RewardStatistics, ...]:
        """Per member of the ensemble, over every completion so far."""
        ...

    def state(self) -> dict[str, Any]:
        """All that was kept so far, as plain JSON values, for `restore`."""
        ...

    def restore(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class StepSize:
    """What a step holds in memory, in completions of one run."""

    decoded: int
    """Sampled together at most."""
    trained: int
    """In the loss."""
    turns: int = 1
    """So many completions may stand in one row, earlier ones as a part of the prompt."""


class Algorithm(Frozen):
    name: ClassVar[str]

    @property
    def second_turn(self) -> str | None:
        """Phrase with which evaluations show a policy its answer and ask again, as this algorithm trains it; None: they
        ask once."""
        return None

    def check(self, grpo: GrpoSettings) -> None:
        """Raises UserError for settings that do not fit together."""

    def require_one_prompt(self, who: str) -> None:
        """Raises UserError where completions of a group have different prompts. `who`: what sees whole groups, such as
        `reward 'a' sees`."""

    def prompt_batches(self, steps: int) -> list[int]:
        """Per step, which batch of prompts it works on, counted from 0."""
        return list(range(steps))

    def completions(self, grpo: GrpoSettings, steps: int) -> int:
        """Sampled in a run of so many steps."""
        return steps * grpo.completions

    def step_size(self, grpo: GrpoSettings) -> StepSize:
        return StepSize(grpo.completions, grpo.completions)

    def scoring(self, run: TrainingRun, scorer: EnsembleScorer, task: Task) -> Scoring:
        """What scores the rollouts of a run."""
        from trainer.grpo.rewards import RolloutScoring

        grpo = run.grpo
        return RolloutScoring(
            scorer,
            task,
            generations=grpo.generations,
            steps=grpo.steps,
            failure_rate_limit=run.failure_rate_limit,
        )

    def trainer(self, scorings: Sequence[Scoring]) -> tuple[type[PackTrainer], dict[str, Any]]:
        """The subclass of TRL's trainer, and its arguments beyond those that every algorithm has; `scorings`: of each
        run, as `scoring` made them."""
        from trainer.grpo.pack_trainer import PackTrainer

        return PackTrainer, {}

    def description(self, grpo: GrpoSettings) -> dict[str, str]:
        """For reports, what is to say of the options beyond the settings of GRPO, by name."""
        return {}

    @property
    def note_for_rewards(self) -> str:
        """What somebody who writes a reward has to know of this algorithm, as sentences; empty: nothing."""
        return ""


class Grpo(Algorithm):
    """Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300).

    All of its options are in the settings of GRPO, which every algorithm has.
    """

    name: ClassVar[str] = "grpo"


class Unread(Grpo):
    """Stands for an algorithm of a user's own whose code this process may not import: what it would say is not known,
    and what is said is that of plain GRPO."""

    model_config = ConfigDict(extra="ignore")


_permitted: set[str] = set()

ALGORITHMS = {"grpo": "trainer.algorithms:Grpo", "multilayer": "trainer.multilayer.algorithm:Multilayer"}


def permit(settings: AlgorithmSettings) -> None:
    """From now on this process imports the class that the settings name: it is about to train with it. Without, a
    configuration can be read whose code is somebody else's."""
    _permitted.add(settings.name)


def algorithm_of(settings: AlgorithmSettings) -> Algorithm:
    """Of a user's own, `Unread` until it is permitted. Raises UserError for an algorithm that is not known, or options
    that it does not take."""
    if ":" in settings.name and settings.name not in _permitted:
        return Unread()
    return _built(settings.model_dump_json())


@lru_cache
def _built(described: str) -> Algorithm:
    settings = AlgorithmSettings.model_validate_json(described)
    found: type[Algorithm] = load_object(settings.name, ALGORITHMS, "algorithm.name", "algorithm")
    if not issubclass(found, Algorithm):
        raise UserError(f"algorithm.name = {settings.name!r} is no subclass of trainer.algorithms.Algorithm")
    return read_options(found, settings.options, "algorithm.options", f"algorithm {settings.name!r}")
