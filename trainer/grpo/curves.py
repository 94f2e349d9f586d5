"""What is logged of each step of a run, beside the figures that come from its rollouts."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from trainer.grpo.rewards import RunUnscored

logger = logging.getLogger(__name__)

_LOGGED = {
    "loss": "loss",
    "grad_norm": "gradient_norm",
    "learning_rate": "learning_rate",
    "entropy": "entropy",
    "kl": "kl",
    "completions/clipped_ratio": "truncated",
    "frac_reward_zero_std": "groups_without_spread",
}
"""TRL's name of a logged figure -> ours."""


class LoggedFigures:
    """What TRL logs of each step of one run, in our names, beside the figures that come from the rollouts."""

    def __init__(self, steps: int, label: str = "") -> None:
        """`label`: said before each line in the log, where there are several runs in one."""
        self.by_step: dict[int, dict[str, Any]] = {}
        self._steps = steps
        self._label = f"{label}: " if label else ""

    def record(self, step: int, logs: dict[str, Any], curve: Mapping[int, dict[str, Any]]) -> None:
        """Takes over a step's figures. Raises RunUnscored if the weights stopped being finite."""
        entry = {ours: logs[theirs] for theirs, ours in _LOGGED.items() if theirs in logs}
        if not entry:
            return
        self.by_step[step] = {
            name: value if value is not None and math.isfinite(value) else None for name, value in entry.items()
        }
        for figure in ("loss", "gradient_norm"):
            if not math.isfinite(entry.get(figure, 0.0)):
                raise RunUnscored(f"training diverged at step {step}: {figure} is {entry[figure]}")
        if step == 1 or step % 10 == 0 or step == self._steps:
            rollouts = curve[step]
            logger.info(
                "%sstep %d/%d  reward %s  accuracy %.3f  tokens %.1f  entropy %.3f",
                self._label,
                step,
                self._steps,
                "none" if rollouts["reward_mean"] is None else f"{rollouts['reward_mean']:.3f}",
                rollouts["accuracy"],
                rollouts["completion_tokens"],
                entry.get("entropy") or math.nan,
            )

    def curves(self, curve: Mapping[int, dict[str, Any]]) -> tuple[dict[str, Any], ...]:
        """One entry per step, as `RunResult.curves` describes."""
        return tuple({**entry, **self.by_step.get(step, {})} for step, entry in sorted(curve.items()))
