"""Options of the proposers, each field with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class ProposerSettings(BaseModel):
    """Base of all option models; the docstring under a field is its help."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class PromptSettings(ProposerSettings):
    """What goes into the prompt of a language model or of a person, and how often a reply may be mended."""

    questions: int = Field(default=20, ge=0)
    """Sampled questions with gold answers shown in the prompt."""
    right_rollouts: int = Field(default=3, ge=0)
    """Sampled right rollouts of the base policy shown in the prompt."""
    wrong_rollouts: int = Field(default=5, ge=0)
    """Sampled wrong rollouts of the base policy shown in the prompt."""
    rollout_characters: int = Field(default=1500, ge=100)
    """Longest excerpt of one rollout, in characters; the middle is left out."""
    table_rows: int = Field(default=40, ge=1)
    """Most rows of the table of earlier results; the best and the worst are kept."""
    best_sources: int = Field(default=3, ge=0)
    """How many of the best earlier candidates are shown with their source."""
    failure_sources: int = Field(default=4, ge=0)
    """How many instructive failures (rejected, crashed or at the end of the table) are shown with their source."""
    source_characters: int = Field(default=4000, ge=200)
    """Longest excerpt of one source, in characters."""
    max_follow_ups: int = Field(default=2, ge=0)
    """How often a round may ask again for candidates that are missing or unusable."""
    template: Path | None = None
    """A Jinja template of your own instead of the built-in prompt."""

    def shortened(self, level: int) -> Self:
        """For a prompt of less text: everything that is shown by number or length halved `level` times."""
        counts = ("questions", "right_rollouts", "wrong_rollouts", "best_sources", "failure_sources")
        halved = {name: getattr(self, name) >> level for name in counts}
        least = {"table_rows": 1, "rollout_characters": 100, "source_characters": 200}
        halved |= {name: max(lowest, getattr(self, name) >> level) for name, lowest in least.items()}
        return self.model_copy(update=halved) if level else self
