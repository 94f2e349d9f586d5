"""The one durable record of a search: an SQLite file with one writer and many readers."""

from search.ledger.ledger import LEDGER_FILE, Ledger
from search.ledger.lock import DriverLock, is_driven
from search.ledger.records import Candidate, Evaluation, Finalist, JobRecord, Milestone, PackRecord, Round, Stage

__all__ = [
    "LEDGER_FILE",
    "Candidate",
    "DriverLock",
    "Evaluation",
    "Finalist",
    "JobRecord",
    "Ledger",
    "Milestone",
    "PackRecord",
    "Round",
    "Stage",
    "is_driven",
]
