"""Tasks, generation engines, metrics, statistics and reports. Everything is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewards_generated.lazy import lazy_exports

if TYPE_CHECKING:
    from eval.engines.base import GenerationEngine, Sampling
    from eval.prediction import Prediction
    from eval.report.comparison import ModelComparison, compare
    from eval.tasks.base import Example, Task, TaskReference
    from eval.tasks.registry import build_task
    from rewards_generated.answers.extraction import Extraction

__all__ = [
    "Example",
    "Extraction",
    "GenerationEngine",
    "ModelComparison",
    "Prediction",
    "Sampling",
    "Task",
    "TaskReference",
    "build_task",
    "compare",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        **dict.fromkeys(("ModelComparison", "compare"), "eval.report.comparison"),
        **dict.fromkeys(("Example", "Task", "TaskReference"), "eval.tasks.base"),
        **dict.fromkeys(("GenerationEngine", "Sampling"), "eval.engines.base"),
        "Extraction": "rewards_generated.answers.extraction",
        "Prediction": "eval.prediction",
        "build_task": "eval.tasks.registry",
    },
)
