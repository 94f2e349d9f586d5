"""Scores the rows of a pack, each with its own member's ensemble, and leaves out members that failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from trainer.algorithms import Scoring
from trainer.grpo.rewards import RunUnscored

logger = logging.getLogger(__name__)


class PackScoring:
    """TRL's reward function for all members. `failures`: member -> the sentence saying why it is unscored."""

    def __init__(
        self, scorings: Sequence[Scoring], labels: Sequence[str], cut: Callable[[str], str] = lambda text: text
    ) -> None:
        """`cut`: gives what of a completion's text counts, that before a stop string."""
        self.scorings = scorings
        self.failures: dict[int, str] = {}
        self.seconds = 0.0
        """Wall-clock spent in reward calls."""
        self._labels = labels
        self._cut = cut
        self._pool = ThreadPoolExecutor(max_workers=len(scorings), thread_name_prefix="member")

    @property
    def alive(self) -> list[int]:
        """Members that still train, ascending."""
        return [member for member in range(len(self.scorings)) if member not in self.failures]

    def fail(self, member: int, why: str) -> None:
        """From here on the member is not trained; the first reason stands."""
        if member not in self.failures:
            self.failures[member] = why
            logger.warning("%s is unscored: %s", self._labels[member], why)

    def reward(
        self, *, completions: Sequence[Any], member: Sequence[int], trainer_state: Any, **columns: Any
    ) -> list[float | None]:
        """One total per completion, None where there is none. `member` has each row's; a member's rows stand together
        as they would in a run of its own, and it is given its part of every column."""
        started = time.perf_counter()
        columns = {name: column for name, column in columns.items() if isinstance(column, list | tuple)}
        columns["completions"] = [
            [{**message, "content": self._cut(message["content"])} for message in chat] for chat in completions
        ]
        rows_of: dict[int, list[int]] = {}
        for row, owner in enumerate(member):
            rows_of.setdefault(owner, []).append(row)
        calls: dict[int, Future[list[float | None]]] = {}
        for owner, rows in rows_of.items():
            score: Callable[..., list[float | None]] = self.scorings[owner].reward
            own = {name: [column[row] for row in rows] for name, column in columns.items()}
            calls[owner] = self._pool.submit(score, trainer_state=trainer_state, **own)
        totals: list[float | None] = [None] * len(completions)
        for owner, call in calls.items():
            try:
                found = call.result()
            except RunUnscored as error:
                self.fail(owner, str(error))
                continue
            for row, total in zip(rows_of[owner], found, strict=True):
                totals[row] = total
        self.seconds += time.perf_counter() - started
        return totals

    def close(self) -> None:
        self._pool.shutdown(wait=True)
