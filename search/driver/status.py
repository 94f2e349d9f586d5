"""How far a run has come, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eval.report.leaderboard import format_estimate
from search.config.source import parse_config
from search.finals.greedy import SELECTED, STAGE
from search.ledger import Ledger, is_driven
from search.proposers.base import Spending
from search.results.ranking import Outcome, Status, control_scores, outcomes
from search.results.tables import outcomes_table

STATUSES: tuple[Status, ...] = get_args(Status)


def print_status(folder: Path) -> None:
    """Raises UserError if the folder holds no run."""
    ledger = Ledger.open(folder)
    try:
        _print(folder, ledger, Console(highlight=False, markup=False, soft_wrap=True))
    finally:
        ledger.close()


def _print(folder: Path, ledger: Ledger, console: Console) -> None:
    config = parse_config(ledger.fact("config"))
    every = outcomes(config, ledger)
    console.print(f"{config.name}: {state(folder, ledger)}")
    rounds = ledger.rounds()
    unusable = sum(len(item.unusable) for item in rounds)
    counts = Counter(outcome.status for outcome in every)
    console.print(
        f"rounds proposed: {len(rounds)} of {config.search.rounds}; candidates: "
        + ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status] or status != "stopped")
        + f"; unusable items: {unusable}"
    )
    if tried := ledger.jobs(STAGE):
        selected = ledger.milestone(SELECTED)
        members = " + ".join(selected.detail["members"]) if selected else "not over"
        console.print(f"greedy selection: {len(tried)} short runs ended; {members or 'nothing could be scored'}")
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
    for outcome in every:
        for reason in outcome.reasons:
            name = f"{outcome.candidate.name} (round {outcome.candidate.round}) {outcome.status}"
            console.print("".join(c if c.isprintable() else " " for c in f"  {name}: {reason}"))
    for outcome in every:
        for flag in outcome.flags:
            name = f"{outcome.candidate.name} (round {outcome.candidate.round})"
            said = f"  {name} shows a sign of reward hacking, {flag.name}: {flag.detail}"
            console.print("".join(c if c.isprintable() else " " for c in said))
    if any(outcome.scores or outcome.rung_scores for outcome in every):
        console.print(outcomes_table(every, control_scores(config, ledger)))
    if any(outcome.prescreening for outcome in every):
        console.print(prescreening_table(every))


def prescreening_table(every: Sequence[Outcome]) -> Table:
    """What the base policy's rollouts said of each candidate before it was trained, in the order of proposal."""
    table = Table(title="before training, on rollouts of the base policy", title_justify="left")
    table.add_column("candidate", overflow="fold", ratio=1)
    table.add_column("AUC", justify="right", no_wrap=True, min_width=len("0.000 [0.000, 0.000]"))
    for column in ("in group", "spread", "length"):
        table.add_column(column, justify="right", no_wrap=True, min_width=len(column))
    for outcome in every:
        if (found := outcome.prescreening) is not None:
            shares = ["—" if figure is None else f"{figure.value:.2f}" for figure in (found.preference, found.spread)]
            length = "—" if found.length is None else f"{found.length.value:+.2f}"
            name = Text(outcome.candidate.name)
            if found.closest is not None:
                name.append(f"\nmost like {found.closest.name} ({found.closest.rank_correlation:+.3f})", "dim")
            table.add_row(name, format_estimate(found.auc), *shares, length)
    return table


def state(folder: Path, ledger: Ledger) -> str:
    """What the run is doing, and what a user can do."""
    if ledger.milestone("finished"):
        return f"finished; see `reward-search leaderboard {folder}`"
    if is_driven(folder):
        return "running"
    if question := ledger.fact("question"):
        return f"round {question['round']} waits for an answer; see `reward-search ask {folder}`"
    return f"stopped; continue with `reward-search run --run-dir {folder} --resume`"
