"""How far a run has come, for people."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console

from search.config_source import parse_config
from search.ledger import Ledger, is_driven
from search.progress import standings_table
from search.proposers.base import Spending
from search.standings import control_scores, standings


def print_status(folder: Path) -> None:
    """Raises UserError if the folder holds no run."""
    ledger = Ledger.open(folder)
    try:
        _print(folder, ledger, Console(highlight=False, markup=False, soft_wrap=True))
    finally:
        ledger.close()


def _print(folder: Path, ledger: Ledger, console: Console) -> None:
    config = parse_config(ledger.fact("config"))
    every = standings(config, ledger)
    console.print(f"{config.name}: {state(folder, ledger)}")
    rounds = ledger.rounds()
    unusable = sum(len(item.unusable) for item in rounds)
    counts = Counter(standing.status for standing in every)
    console.print(
        f"rounds proposed: {len(rounds)} of {config.search.rounds}; candidates: "
        + ", ".join(f"{counts[status]} {status}" for status in ("screened", "rejected", "failed", "pending"))
        + f"; unusable items: {unusable}"
    )
    finalists = ledger.finalists()
    if finalists:
        console.print(f"finalists: {len(finalists)}; retraining runs ended: {len(ledger.jobs('retraining'))}")
    spent = Spending.of(ledger.calls())
    if spent.calls:
        price = f"{spent.cost_usd:.4f} USD" + (f" and {spent.unpriced_calls} unpriced" if spent.unpriced_calls else "")
        console.print(f"language model: {spent.calls} calls, {spent.tokens:,} tokens, {price}")
    console.print(
        f"sandbox: level {ledger.fact('sandbox')['level']}; configuration {ledger.fact('config_digest')[:12]}"
    )
    for standing in every:
        for reason in standing.reasons:
            name = f"{standing.candidate.name} (round {standing.candidate.round}) {standing.status}"
            console.print("".join(c if c.isprintable() else " " for c in f"  {name}: {reason}"))
    if any(standing.scores for standing in every):
        console.print(standings_table(every, control_scores(config, ledger)))


def state(folder: Path, ledger: Ledger) -> str:
    """What the run is doing, and what a user can do."""
    if ledger.milestone("finished"):
        return f"finished; see `reward-search leaderboard {folder}`"
    if is_driven(folder):
        return "running"
    if question := ledger.fact("question"):
        return f"round {question['round']} waits for an answer; see `reward-search ask {folder}`"
    return f"stopped; continue with `reward-search run --run-dir {folder} --resume`"
