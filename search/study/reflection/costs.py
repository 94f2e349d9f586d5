"""What training all weights costs beside LoRA adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from search.study.reflection.arms import arm
from search.study.reflection.records import FineTuned, ScoredRun, SeedRecord

S = TypeVar("S", FineTuned, ScoredRun)


@dataclass(frozen=True)
class CostFigure:
    name: str
    digits: int
    full: Sequence[float | None]
    """Of all weights; per seed, as `lora`."""
    lora: Sequence[float | None]

    @property
    def ratios(self) -> list[float | None]:
        pairs = zip(self.full, self.lora, strict=True)
        return [full / lora if full is not None and lora else None for full, lora in pairs]


def sft_costs(known: Sequence[SeedRecord]) -> list[CostFigure]:
    pairs = [(item.fine_tunings["full"], item.fine_tunings["lora"]) for item in known]
    tuned = [(full, lora) for full, lora in pairs if isinstance(full, FineTuned) and isinstance(lora, FineTuned)]
    return [
        _cost("processor seconds", 1, tuned, lambda stage: stage.seconds["processor"]),
        _cost("wall-clock seconds", 1, tuned, lambda stage: stage.seconds["train"]),
        _cost("peak resident memory, MiB", 0, tuned, lambda stage: _mebibytes(stage.memory, "resident")),
        _cost("peak GPU memory, MiB", 0, tuned, lambda stage: _mebibytes(stage.memory, "cuda")),
        _cost("trained parameters", 0, tuned, lambda stage: stage.trained_parameters),
        _cost("loss, first quarter", 3, tuned, lambda stage: stage.loss[0]),
        _cost("loss, last quarter", 3, tuned, lambda stage: stage.loss[1]),
    ]


def grpo_costs(known: Sequence[SeedRecord]) -> list[CostFigure]:
    """Of GRPO on the base policy with the paper's reward."""
    pairs = [(item.grpo_in_full, item.arms[arm("none", "reflection")]) for item in known]
    trained = [(full, lora) for full, lora in pairs if isinstance(full, ScoredRun) and isinstance(lora, ScoredRun)]
    return [
        _cost("wall-clock seconds", 1, trained, lambda run: run.seconds["train"]),
        _cost("peak resident memory, MiB", 0, trained, lambda run: _mebibytes(run.memory, "resident")),
        _cost("peak GPU memory, MiB", 0, trained, lambda run: _mebibytes(run.memory, "cuda")),
        _cost("accuracy of the rollouts, last quarter", 3, trained, lambda run: run.quarter("accuracy", 4)),
    ]


def _cost(name: str, digits: int, pairs: Sequence[tuple[S, S]], figure: Callable[[S], float | None]) -> CostFigure:
    return CostFigure(name, digits, [figure(full) for full, _ in pairs], [figure(lora) for _, lora in pairs])


def _mebibytes(memory: Mapping[str, int], of: str) -> float | None:
    return memory[of] / 2**20 if of in memory else None
