"""A proof that rollouts come from what is being trained: fixed text, read by the engine and by the trainer.

An engine with weights of its own has to take over the trainer's after every step. Where it does not, or answers from a
cache that it filled before, training goes on without a word, off-policy by one step or by all of them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from eval.engines.base import GenerationEngine
from rewards_generated.errors import UserError
from trainer.grpo.tuned import Tuned

logger = logging.getLogger(__name__)

ROWS = 8
"""Of each member that are read."""
CLEAR = 4.0
"""So many times as far as engine and trainer lay apart at first the trainer's log-probabilities have to move before the
engine's are held against them."""
FINEST_GAP = 1e-5
"""They are taken to lie so far apart at least: what rounding in float32 does."""
ALIKE = 0.25
"""The engine's movement may differ from the trainer's by this share of it."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """Of a member: contexts, the token after each, and its log-probability at first."""

    contexts: list[list[int]]
    tokens: list[int]
    engine: list[float]
    trainer: list[float]


class Canary:
    """Watches some of the first rollouts: how far the log-probability of a token in each moves, step after step, until
    the trainer's have moved clearly, and the engine's with them, for every member."""

    def __init__(self, engine: GenerationEngine, name: str, model: Any, tuned: Tuned, accelerator: Any) -> None:
        """`name`: of the engine, for the sentence. `model`: that which is trained, with `tuned` on it."""
        self._engine = engine
        self._name = name
        self._model = model
        self._tuned = tuned
        self._accelerator = accelerator
        self._watched: dict[int, _Watched] | None = None
        """Members of which nothing is proved yet; None: no rollouts have been seen."""

    def watch(self, prompts: Sequence[list[int]], completions: Sequence[list[int]], members: Sequence[int]) -> None:
        """Chooses among the first rollouts, and reads them; later ones are left alone, and all of them where the engine
        tells nothing."""
        if self._watched is not None:
            return
        self._watched = {}
        rows: dict[int, list[tuple[list[int], int]]] = {member: [] for member in members}
        for prompt, completion, member in zip(prompts, completions, members, strict=True):
            if len(rows[member]) < ROWS:
                middle = len(completion) // 2
                rows[member].append(([*prompt, *completion[:middle]], completion[middle]))
        for member, chosen in rows.items():
            contexts, tokens = [context for context, _ in chosen], [token for _, token in chosen]
            engine = self._engine.log_probabilities(contexts, tokens, [member] * len(tokens))
            if engine is None:
                return
            self._watched[member] = _Watched(contexts, tokens, engine, self._by_trainer(contexts, tokens, member))

    def check(self, step: int, alive: Collection[int]) -> None:
        """After a step and the engine's refresh. Raises UserError where the engine did not move with the trainer."""
        if not self._watched:
            return
        for member, first in list(self._watched.items()):
            if member not in alive:
                del self._watched[member]
                continue
            trainer = self._by_trainer(first.contexts, first.tokens, member)
            moved = math.dist(trainer, first.trainer)
            finest = FINEST_GAP * len(first.tokens) ** 0.5
            if moved <= CLEAR * max(math.dist(first.engine, first.trainer), finest):
                continue
            engine = self._engine.log_probabilities(first.contexts, first.tokens, [member] * len(first.tokens))
            assert engine is not None
            apart = math.dist(_moves(engine, first.engine), _moves(trainer, first.trainer))
            if apart > ALIKE * moved:
                raise UserError(
                    f"engine.name = {self._name!r} does not sample from the adapters in training: by step {step} the "
                    f"trainer's log-probabilities of fixed text have moved by {moved:.2g}, and the engine's lie "
                    f"{apart:.2g} from there; its weights or its prefix cache are stale, so what it samples cannot be "
                    "trained on; use engine.name = 'transformers', which has no copy of the weights"
                )
            del self._watched[member]
        if not self._watched:
            logger.info("by step %d the engine's log-probabilities of fixed text have moved with the trainer's", step)

    def _by_trainer(self, contexts: Sequence[list[int]], tokens: Sequence[int], member: int) -> list[float]:
        import torch

        was_training = self._model.training
        self._model.eval()
        self._tuned.assign([member])
        found = []
        try:
            with torch.no_grad(), self._accelerator.autocast():
                for context, token in zip(contexts, tokens, strict=True):
                    ids = torch.tensor([context], device=self._model.device)
                    logits = self._model(input_ids=ids).logits[0, -1].double()
                    found.append(torch.log_softmax(logits, dim=-1)[token].item())
        finally:
            self._model.train(was_training)
        return found


def _moves(now: Sequence[float], first: Sequence[float]) -> list[float]:
    return [new - old for new, old in zip(now, first, strict=True)]
