"""TRL's GRPO trainer with this project's decoding. Importing this module imports torch and TRL."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback
from trl import GRPOTrainer

Rollouts = Callable[[Any, list[list[int]], int], list[list[int]]]
"""(model, prompt token ids, step counted from 1) -> completion token ids."""


class RolloutTrainer(GRPOTrainer):  # type: ignore[misc]
    """Takes completions from `rollouts` instead of `model.generate`; all else is TRL's."""

    def __init__(self, *, rollouts: Rollouts, **arguments: Any) -> None:
        # A row that no reward could score is counted and reported by the scoring; TRL would print it whole.
        logging.getLogger("trl").setLevel(logging.ERROR)
        super().__init__(**arguments)
        self._rollouts = rollouts

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], *arguments: Any, **options: Any
    ) -> tuple[list[list[int]], None]:
        with self.accelerator.autocast():
            return self._rollouts(self.model, prompt_ids, self.state.global_step + 1), None


class CurveCallback(TrainerCallback):  # type: ignore[misc]
    """Hands on what the trainer logs for each step."""

    def __init__(self, record: Callable[[int, dict[str, Any]], None]) -> None:
        self._record = record

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        self._record(state.global_step, logs or {})
