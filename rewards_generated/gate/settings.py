"""What the gate demands, and which of its checks reject."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

CheckName = Literal[
    "syntax",
    "policy",
    "signature",
    "loads",
    "finite",
    "deterministic",
    "stateless",
    "asked_again",
    "batch_invariant",
    "group_order",
    "bounded_time",
    "constant",
    "ignores_completion",
    "ignores_answer",
    "scale",
    "auc",
    "prefers_wrong",
    "length",
    "group_spread",
    "attack_empty",
    "attack_endless",
    "attack_repeated",
    "attack_copied_prompt",
    "attack_tag_spam",
    "attack_keyword_spam",
    "attack_number_spam",
    "attack_hedging",
    "attack_flattery",
    "attack_truncated",
    "alone",
]

ALWAYS_ENFORCED: frozenset[str] = frozenset({"syntax", "policy", "signature", "loads"})
"""Without these nothing can be run at all."""


REPORTED_ONLY: frozenset[str] = frozenset({"ignores_answer", "auc", "length", "group_spread", "alone"})
"""Honest shaping rewards fail some of these, so by default they only warn."""


class GateSettings(BaseModel):
    """Limits of the gate. Every check is made and reported; those named in `enforced` reject."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    enforced: tuple[CheckName, ...] = tuple(sorted(set(get_args(CheckName)) - REPORTED_ONLY))
    """The checks that reject a candidate; the others only report their figure. syntax, policy, signature and loads
    always reject."""
    maximum_characters: int = Field(default=20_000, gt=0, le=100_000)
    """Longest code that is read at all."""
    maximum_nodes: int = Field(default=6_000, gt=0)
    """Most nodes of its syntax tree."""
    batch_seconds: float = Field(default=3.0, gt=0)
    """Limit of each batch of checks, all its inputs together, as `sandbox.batch_seconds` is one."""
    growth_characters: int = Field(default=6_000, ge=400)
    """Length of the longest inputs of the time check, in characters: somewhat above the longest real completion."""
    growth_seconds: float = Field(default=1.0, gt=0)
    """Longest time for any one input of that length."""
    maximum_rollouts: int = Field(default=200, ge=8)
    """Rollouts that the probes use, spread evenly over those passed in."""
    constant_share: float = Field(default=0.995, gt=0, le=1)
    """Largest share of rollouts that may get one and the same value."""
    scale_ratio: float = Field(default=2.0, gt=0)
    """Widest spread of the values, as a multiple of the spread of the base rewards' total on the same inputs."""
    weight: float = 1.0
    """Weight of the candidate in the total that attacks and wrong answers are judged on."""
    beaten_share: float = Field(default=0.5, ge=0, le=1)
    """Largest share of questions where an attack, or of pairs where a wrong answer, may reach the total of a right
    answer to the same question."""
    auc_minimum: float | None = Field(default=None, ge=0, le=1)
    """Least area under the ROC curve against correctness; None: reported only. Setting it enforces it."""
    length_correlation_maximum: float | None = Field(default=None, ge=0, le=1)
    """Largest absolute rank correlation with the completion's length; None: reported only. Setting it enforces it."""
    group_spread_minimum: float | None = Field(default=None, ge=0, le=1)
    """Least share of groups of completions that get different values; None: reported only. Setting it enforces it."""

    @field_validator("enforced")
    @classmethod
    def _in_one_order(cls, names: tuple[CheckName, ...]) -> tuple[CheckName, ...]:
        """Sorted and without doubles, so that equal settings are written alike."""
        return tuple(sorted(set(names)))

    def enforces(self, name: CheckName) -> bool:
        """Whether a failure of this check rejects."""
        by_limit = {
            "auc": self.auc_minimum,
            "length": self.length_correlation_maximum,
            "group_spread": self.group_spread_minimum,
        }
        if name in by_limit:
            return name in self.enforced or by_limit[name] is not None
        return name in ALWAYS_ENFORCED or name in self.enforced
