"""How a data set with one split becomes three."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from eval.tasks.base import Split


@dataclass(frozen=True, slots=True)
class Division:
    """By a hash of the seed and a question's content: adding a question moves no other, and shares hold on average."""

    train: float
    validation: float
    seed: int

    def split_of(self, content: str) -> Split:
        digest = hashlib.sha256(f"{self.seed}/{content}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        if place < self.train:
            return "train"
        return "validation" if place < self.train + self.validation else "test"

    @property
    def words(self) -> str:
        return (
            f"The set has one split, which a hash of every question (seed {self.seed}) divides: "
            f"{self.train:.0%} train, {self.validation:.0%} validation, the rest test."
        )
