"""How far a run has come, for people."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Literal, get_args

from rich.console import Console

from eval.report.table import printable
from search.config.names import GREEDY_SELECTED as SELECTED
from search.config.source import parse_config
from search.finals.greedy import STAGE
from search.ledger import Ledger, is_driven
from search.proposers.base import Spending
from search.results.models import proposing_models
from search.results.notes import changes, go_on, nothing_scored
from search.results.ranking import Status, control_scores, outcomes
from search.results.strata import strata_note
from search.results.tables import models_table, outcomes_table, prescreening_table

STATUSES: tuple[Status, ...] = get_args(Status)
State = Literal["waiting", "running", "stopped", "finished"]


def print_status(folder: Path) -> None:
    """Raises UserError if the folder holds no run."""
    with closing(Ledger.open(folder)) as ledger:
        _print(folder, ledger, Console(highlight=False, markup=False, soft_wrap=True))


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
    calls = ledger.calls()
    spent = Spending.of(calls)
    if spent.calls:
        price = f"{spent.cost_usd:.4f} USD" + (f" and {spent.unpriced_calls} unpriced" if spent.unpriced_calls else "")
        console.print(f"language model: {spent.calls} calls, {spent.tokens:,} tokens, {price}")
        if calls[-1].error:
            console.print(printable(f"last call: {calls[-1].model}: {calls[-1].error}"))
        if models := proposing_models(ledger, every):
            console.print(models_table(models))
    console.print(
        f"sandbox: level {ledger.fact('sandbox')['level']}; configuration {ledger.fact('config_digest')[:12]}"
    )
    if strata := strata_note(config, ledger):
        console.print(strata)
    for change in changes(ledger):
        console.print(printable(f"changed while it ran: {change}"))
    for outcome in every:
        name = f"  {outcome.candidate.name} (round {outcome.candidate.round})"
        for reason in outcome.reasons:
            console.print(printable(f"{name} {outcome.status}: {reason}"))
    for outcome in every:
        name = f"  {outcome.candidate.name} (round {outcome.candidate.round})"
        for flag in outcome.flags:
            console.print(printable(f"{name} shows a sign of reward hacking, {flag.name}: {flag.detail}"))
    if any(outcome.scores or outcome.rung_scores for outcome in every):
        console.print(outcomes_table(every, control_scores(config, ledger)))
    if any(outcome.prescreening for outcome in every):
        console.print(prescreening_table(every))


def state_of(folder: Path, ledger: Ledger) -> State:
    """`waiting`: for the answer to a question; `stopped`: for whatever reason, and can be resumed."""
    if ledger.milestone("finished"):
        return "finished"
    if is_driven(folder):
        return "running"
    return "waiting" if ledger.fact("question") else "stopped"


def state(folder: Path, ledger: Ledger) -> str:
    """What the run is doing, and what a user can do."""
    now = state_of(folder, ledger)
    if now == "finished":
        return f"finished; see `reward-search leaderboard {folder}`"
    if now == "running":
        return "running"
    if now == "waiting":
        return f"round {ledger.fact('question')['round']} waits for an answer; see `reward-search ask {folder}`"
    config = parse_config(ledger.fact("config"))
    if problem := nothing_scored(config, ledger):
        return f"stopped; {problem}; {go_on(config, folder)}"
    return f"stopped; continue with `reward-search run --run-dir {folder} --resume`"
