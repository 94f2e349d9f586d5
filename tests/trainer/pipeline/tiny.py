"""A pipeline small enough for tests: sums of two digits on a random policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.trainer.tiny import TASK
from trainer.pipeline.description import Pipeline


def write_pairs(path: Path, count: int = 12) -> Path:
    lines = [
        {"prompt": f"{n % 10} + {n % 7} = ?", "completion": f"<thinking> so </thinking> <solution> {n % 10 + n % 7}"}
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def tiny_pipeline(base_model: Path | str, pairs: Path, **changes: dict[str, Any]) -> Pipeline:
    """Six supervised steps of four, two GRPO steps of two groups of four, two suites; `changes` go into the stages."""
    stages: dict[str, Any] = {
        "sft": {
            "tuning": "lora",
            "source": {"file": str(pairs)},
            "steps": 6,
            "batch_size": 4,
            "learning_rate": 1e-2,
            "max_length": 64,
            "lora": {"rank": 4, "alpha": 8},
            "checkpoint_steps": 3,
        },
        "grpo": {
            "tuning": "lora",
            "rewards": {"format_approximate": 1.0, "accuracy": 0.0},
            "settings": {
                "steps": 2,
                "prompts_per_step": 2,
                "generations": 4,
                "max_completion_tokens": 8,
                "learning_rate": 1e-2,
            },
            "lora": {"rank": 4, "alpha": 8},
        },
        "evaluation": {
            "suites": {
                "seen": {"task": TASK.model_dump(), "split": "train", "questions": 12},
                "unseen": {"task": TASK.model_dump(), "questions": 15},
            },
            "max_completion_tokens": 8,
        },
    }
    for stage, fields in changes.items():
        stages[stage] = {**stages[stage], **fields}
    return Pipeline.model_validate(
        {
            "name": "tiny",
            "seed": 3,
            "task": TASK.model_dump(),
            "base_model": str(base_model),
            "hardware": {"device": "cpu"},
            **stages,
        }
    )
