"""What is kept of every question that was ever evaluated."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Prediction(BaseModel):
    """One policy's answer to one question, judged in the strict and in the flexible way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    completion: str
    strict: str | None
    flexible: str | None
    correct: bool
    """The strict extraction equals the gold answer. This is the one that ranks."""
    correct_flexible: bool
    completion_tokens: int
    earlier: Prediction | None = None
    """The first answer to the question, of an evaluation in two passes; this one is then the second."""

    @property
    def answered(self) -> bool:
        """An answer could be read in the strict format."""
        return self.strict is not None
