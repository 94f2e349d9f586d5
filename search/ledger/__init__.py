"""The one durable record of a search: an SQLite file with one writer and many readers."""

from search.ledger.connection import LEDGER_FILE
from search.ledger.ledger import Ledger
from search.ledger.lock import driver_lock, is_driven
from search.ledger.records import (
    Candidate,
    Change,
    Evaluation,
    Finalist,
    JobRecord,
    Milestone,
    PackRecord,
    Round,
    Stage,
)

__all__ = [
    "LEDGER_FILE",
    "Candidate",
    "Change",
    "Evaluation",
    "Finalist",
    "JobRecord",
    "Ledger",
    "Milestone",
    "PackRecord",
    "Round",
    "Stage",
    "driver_lock",
    "is_driven",
]
