"""The leaderboard as text."""

from __future__ import annotations

from eval.report.leaderboard import LeaderboardFormat, format_leaderboard
from eval.report.suites import format_suites
from search.config.models import SearchConfig
from search.ledger import Ledger
from search.results.entries import final_entries, screened_entries
from search.results.notes import notes


def leaderboard_text(config: SearchConfig, ledger: Ledger, form: LeaderboardFormat) -> str:
    """The finalists; before the winner is named, the candidates screened so far."""
    final = ledger.milestone("winner_named") is not None
    entries = final_entries(config, ledger) if final else screened_entries(config, ledger)
    text = format_leaderboard(entries, form, config.search.select_on)
    if form in ("table", "md"):
        suites = format_suites(entries, form, config.search.select_on)
        text += f"\n{suites}" if suites else ""
        text += "".join(f"\n{note}\n" for note in notes(config, ledger))
    return text
