"""Everything a running search works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eval.tasks.base import Task
from search.config import SearchConfig
from search.executors.base import Executor
from search.ledger import Ledger
from search.progress import Progress
from search.proposers.base import Proposer


@dataclass(frozen=True, slots=True)
class Run:
    folder: Path
    config: SearchConfig
    ledger: Ledger
    task: Task
    proposer: Proposer
    executor: Executor
    progress: Progress
    siblings: tuple[Path, ...] = ()
    """Folders of other searches, not being driven, that may have trained the same jobs: their results are taken."""
