"""What a run leaves beside its ledger, whoever drives it."""

from __future__ import annotations

from pathlib import Path

from rewards_generated.files import write_whole
from search.proposers.base import AwaitingAnswer
from search.results.leaderboard import leaderboard_text
from search.results.report import write_report
from search.session import Run

REPORT_FILE = "report.html"
LEADERBOARD_FILE = "leaderboard.json"


def write_outputs(run: Run) -> Path:
    """The leaderboard and the report; returns the place of the report."""
    write_whole(run.folder / LEADERBOARD_FILE, leaderboard_text(run.config, run.ledger, "json"))
    return write_report(run.config, run.ledger, run.folder / REPORT_FILE, running=False)


def record_question(run: Run, waiting: AwaitingAnswer) -> int:
    """Writes down what the search waits for; returns the number of the round."""
    number = len(run.ledger.rounds()) + 1
    run.ledger.record_fact("question", {"round": number, "prompt": waiting.prompt})
    return number
