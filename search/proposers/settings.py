"""Options of the proposers, each field with its help."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class ProposerSettings(BaseModel):
    """Base of all option models; the docstring under a field is its help."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class PromptSettings(ProposerSettings):
    """What goes into the prompt of a language model or of a person, and how often a reply may be mended."""

    # What no candidate can be written without (task, contract, form of the answer) is never cut.
    prompt_tokens: int = Field(default=7500, ge=1000)
    """Longest prompt in tokens, estimated from its bytes; what the fields below show is cut to fit, examples first."""
    questions: int = Field(default=12, ge=0)
    """Sampled questions with gold answers shown in the prompt."""
    right_rollouts: int = Field(default=3, ge=0)
    """Sampled right rollouts of the base policy shown in the prompt."""
    wrong_rollouts: int = Field(default=5, ge=0)
    """Sampled wrong rollouts of the base policy shown in the prompt."""
    rollout_characters: int = Field(default=1500, ge=100)
    """Longest excerpt of one rollout, in characters; the middle is left out."""
    table_rows: int = Field(default=60, ge=1)
    """Most rows of the table of earlier results, whose middle is left out first, and of the list of what has none."""
    description_characters: int = Field(default=160, ge=20)
    """Longest description of an earlier candidate, in characters."""
    best_sources: int = Field(default=3, ge=0)
    """How many of the best earlier candidates, unlike each other, are shown with their source."""
    failure_sources: int = Field(default=4, ge=0)
    """How many instructive failures (rejected, exploited, promising before training) are shown with their source."""
    source_characters: int = Field(default=4000, ge=200)
    """Longest excerpt of one source, in characters."""
    trained_completions: int = Field(default=3, ge=0, le=4)
    """Late training completions shown of the leader, of an instructive failure and of a middling candidate."""
    max_follow_ups: int = Field(default=2, ge=0)
    """How often a round may ask again for candidates that are missing, unusable, rejected by the gate or duplicates."""
    template: Path | None = None
    """A Jinja template of your own instead of the built-in prompt."""

    def shortened(self, level: int) -> Self:
        """For a prompt of less text: everything that is shown by number or length halved `level` times."""
        least = {
            "prompt_tokens": 1000,
            "table_rows": 1,
            "description_characters": 20,
            "rollout_characters": 100,
            "source_characters": 200,
        }
        counts = ("questions", "right_rollouts", "wrong_rollouts", "best_sources", "failure_sources")
        lowest = dict.fromkeys((*counts, "trained_completions"), 0) | least
        halved = {name: max(lowest[name], getattr(self, name) >> level) for name in lowest}
        return self.model_copy(update=halved) if level else self

    def cuts(self) -> Iterator[Self]:
        """The settings as they are, then cut further and further: what teaches least goes first."""
        settings = self
        yield settings
        for name, value in _CUTS:
            if getattr(settings, name) > value:
                settings = settings.model_copy(update={name: value})
                yield settings


_CUTS = (
    ("questions", 8),
    ("rollout_characters", 800),
    ("wrong_rollouts", 4),
    ("right_rollouts", 2),
    ("questions", 5),
    ("source_characters", 2500),
    ("rollout_characters", 500),
    ("wrong_rollouts", 3),
    ("failure_sources", 3),
    ("description_characters", 110),
    ("trained_completions", 2),
    ("table_rows", 40),
    ("source_characters", 1600),
    ("questions", 3),
    ("right_rollouts", 1),
    ("wrong_rollouts", 2),
    ("failure_sources", 2),
    ("rollout_characters", 300),
    ("best_sources", 2),
    ("table_rows", 25),
    ("source_characters", 1000),
    ("description_characters", 70),
    ("trained_completions", 1),
    ("failure_sources", 1),
    ("table_rows", 14),
    ("wrong_rollouts", 1),
    ("questions", 1),
    ("right_rollouts", 0),
    ("best_sources", 1),
    ("rollout_characters", 150),
    ("table_rows", 8),
    ("source_characters", 600),
    ("trained_completions", 0),
    ("failure_sources", 0),
    ("wrong_rollouts", 0),
    ("questions", 0),
    ("best_sources", 0),
    ("description_characters", 30),
    ("table_rows", 3),
)
"""Bounds in the order in which they are put on what is shown, until a prompt fits."""
