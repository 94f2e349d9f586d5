"""The arms of the study: how the policy is fine-tuned before GRPO, and what GRPO pays for reflection."""

from __future__ import annotations

from trainer.pipeline.description import SftStage

FINE_TUNINGS = ("none", "lora", "full")
"""Before GRPO."""
REWARDS = ("plain", "reflection", "gated")
"""Beside accuracy and format, all with weight 1: nothing, the reflection reward, the same beside right answers only."""

UNGATED, GATED = "four_family_reflection", "gated_four_family_reflection"
WEIGHTS: dict[str, dict[str, float]] = {
    "plain": {"accuracy": 1.0, "format": 1.0, UNGATED: 0.0, GATED: 0.0},
    "reflection": {"accuracy": 1.0, "format": 1.0, UNGATED: 1.0, GATED: 0.0},
    "gated": {"accuracy": 1.0, "format": 1.0, UNGATED: 0.0, GATED: 1.0},
}
"""All four are measured in every arm, whatever is paid for."""

COMPONENTS = {"accuracy": "accuracy", "format": "format", UNGATED: "reflection", GATED: "gated reflection"}
"""Reward -> how the report calls it."""

LORA_FACTOR = 10
"""As in the paper, the learning rate of LoRA is so many times that of full tuning."""
LEARNING_RATES = {"lora": 5e-4 * LORA_FACTOR, "full": 5e-4}
"""Of fine-tuning; ten times the paper's, for a far smaller policy."""


def arm(fine_tuning: str, reward: str) -> str:
    return f"{fine_tuning}, {reward}"


ARMS = tuple(arm(fine_tuning, reward) for fine_tuning in FINE_TUNINGS for reward in REWARDS)


def supervised_stage(fine_tuning: str, steps: int) -> SftStage:
    """Reasoning traces of the train split, half of which check every equation and mend it."""
    return SftStage.model_validate(
        {
            "tuning": fine_tuning,
            "source": {"pairs": 16 * steps, "reflecting": 0.5},
            "steps": steps,
            "batch_size": 16,
            "learning_rate": LEARNING_RATES.get(fine_tuning, 5e-4),
            "max_length": 320,
            "lora": {"rank": 16, "alpha": 64},
        }
    )
