"""The arms of the study: how the policy is fine-tuned before GRPO, and what GRPO pays for reflection."""

from __future__ import annotations

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


def arm(fine_tuning: str, reward: str) -> str:
    return f"{fine_tuning}, {reward}"


ARMS = tuple(arm(fine_tuning, reward) for fine_tuning in FINE_TUNINGS for reward in REWARDS)
