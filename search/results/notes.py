"""What must be said beside the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.report.text import counted, interval, number
from eval.statistics.estimate import Estimate
from eval.two_turn_figures import TwoTurnFigures, two_turn_figures
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY, RANDOM, UNTRAINED
from search.config.names import GREEDY_SELECTED as SELECTED
from search.ledger import Ledger, Stage
from search.results.entries import final_entries
from search.results.ranking import outcomes, ranked
from search.results.strata import strata_note


def notes(config: SearchConfig, ledger: Ledger) -> list[str]:
    """What must be said beside the figures: how winner and test split were chosen and opened, then the remarks."""
    said = []
    if config.search.select_on == "test":
        said.append(
            "Candidates and winner were selected on the test split itself (select_on: test), as the paper does: "
            "the winner's figures are optimistic."
        )
    winner = ledger.milestone("winner_named")
    opened = ledger.milestone("test_opened")
    if opened and winner and winner.detail["name"] and config.search.select_on == "validation":
        said.append(
            f"{winner.detail['name']} was named the winner on validation at {winner.at:%Y-%m-%d %H:%M:%S} UTC; "
            f"the test split was opened once, after that, at {opened.at:%H:%M:%S} UTC."
        )
    return [*said, *remarks(config, ledger)]


def remarks(config: SearchConfig, ledger: Ledger) -> list[str]:
    """What the report does not see from its data."""
    said = two_turn_notes(config, ledger)
    if strata := strata_note(config, ledger):
        said.append(strata)
    winner = ledger.milestone("winner_named")
    if winner and winner.detail["name"] is None:
        said.append("No ensemble was scored, so there is no winner.")
    ahead = controls_ahead(config, ledger)
    if winner and ahead:
        said.append(
            f"On {config.search.select_on} {', '.join(ahead)} {'scores' if len(ahead) == 1 else 'score'} at least as "
            f"high as the named winner {winner.detail['name']}: the search has not been shown to help."
        )
    if winner is None:
        said.append("The winner is not named yet: candidates are ranked by their screenings, without retraining.")
    if selected := ledger.milestone(SELECTED):
        said.append(greedy_note(config, selected.detail))
    if ledger.milestone("ensembles_fixed"):
        missing = sorted(set(config.finals.ensembles) - {finalist.name for finalist in ledger.finalists()})
        if missing:
            said.append(f"Not formed, for lack of scored candidates that qualify: {', '.join(missing)}.")
    wanted = config.finals.random_controls
    drawn = sum(finalist.name.startswith(RANDOM) for finalist in ledger.finalists())
    if ledger.milestone("controls_fixed") and drawn < wanted.first_round + wanted.pool:
        said.append(
            f"{drawn} of {wanted.first_round + wanted.pool} random draws were possible: there were too few scored "
            "candidates for more sets of the winner's size."
        )
    return said


def changes(ledger: Ledger) -> list[str]:
    """What was changed while the search was stopped, a line each, with the time at which it went on."""
    return [f"{change.at:%Y-%m-%d %H:%M} UTC, {change}" for change in ledger.changes()]


def nothing_scored(config: SearchConfig, ledger: Ledger) -> str | None:
    """What to say where all rounds are over and no candidate has a score; None otherwise."""
    every = outcomes(config, ledger)
    if len(ledger.rounds()) < config.search.rounds or ranked(every):
        return None
    so = "nothing can be chosen" + (", and the test split stays sealed" if config.search.select_on != "test" else "")
    rounds = counted(config.search.rounds, "round")
    if not every:
        return f"no candidate was proposed in {rounds}: {so}"
    counts = Counter(outcome.status for outcome in every)
    how = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"no candidate of {rounds} could be scored ({how}): {so}"


def go_on(config: SearchConfig, folder: Path) -> str:
    """What can be done where nothing was scored."""
    return (
        f"go on with `reward-search run --run-dir {folder} --resume --set search.rounds={config.search.rounds + 1}`, "
        "or set other `proposer.options`"
    )


def greedy_note(config: SearchConfig, selected: Mapping[str, Any]) -> str:
    """What the selection of `greedy` took, which no other ensemble had, and what it tried last."""
    grown = [
        f"{step['added']} ({step['tried'][step['added']]:.3f})"
        for step in selected["path"]
        if step["added"] is not None
    ]
    last = selected["path"][-1] if selected["path"] else {"tried": {}, "added": None}
    ended = ""
    if grown and last["added"] is None:
        ended = f"; of {', '.join(last['tried'])} none then gained {config.finals.greedy.least_gain:.3f} of accuracy"
    return (
        f"The members of greedy were chosen by {selected['runs']} short training runs of {config.greedy_steps} steps, "
        f"ranked on {config.search.select_on}, which no other ensemble had: "
        f"{', then '.join(grown) or 'none could be scored'}{ended}."
    )


def controls_ahead(config: SearchConfig, ledger: Ledger) -> list[str]:
    """Names of the controls whose F1 on the split that ranks is at least the winner's."""
    scored = [(entry, getattr(entry, config.search.select_on)) for entry in final_entries(config, ledger)]
    best = next((scores.f1.value for entry, scores in scored if entry.winner and scores), None)
    if best is None:
        return []
    return [entry.name for entry, scores in scored if entry.kind == "control" and scores and scores.f1.value >= best]


def two_turn_notes(config: SearchConfig, ledger: Ledger) -> list[str]:
    """One sentence on the untrained base, the base rewards alone and the winner; none where evaluations have one pass.

    Figures are of the split that ranks and the smallest seed.
    """
    if config.second_turn is None:
        return []
    winner = ledger.milestone("winner_named")
    subjects: list[tuple[Stage, str]] = [("screening", UNTRAINED), ("screening", BASE_ONLY)]
    if winner and winner.detail["name"]:
        subjects.append(("retraining", winner.detail["name"]))
    said = [
        f"{subject}: {_words(found, subject == UNTRAINED)}"
        for stage, subject in subjects
        if (found := two_turns_of(config, ledger, stage, subject)) is not None
    ]
    if not said:
        return []
    return [
        f"Every question was asked in two passes, and the second answer counts. On {config.search.select_on}, of the "
        f"smallest seed: {'; '.join(said)}."
    ]


def two_turns_of(config: SearchConfig, ledger: Ledger, stage: Stage, subject: str) -> TwoTurnFigures | None:
    """Of the subject's evaluation with the smallest seed on the split that ranks; None where there is none."""
    found = [
        item
        for item in ledger.evaluations(stage)
        if item.subject == subject and item.split == config.search.select_on and item.rung is None
    ]
    if not found:
        return None
    return two_turn_figures(ledger.completions(min(found, key=lambda item: item.seed)))


def _words(figures: TwoTurnFigures, untrained: bool) -> str:
    def cell(estimate: Estimate) -> str:
        return f"{number(estimate.value)} {interval(estimate)}"

    second = "Acc@t1'" if untrained else "Acc@t2"
    return (
        f"Acc@t1 {cell(figures.first)}, {second} {cell(figures.second)}, delta {cell(figures.delta)}, "
        f"incorrect to correct {cell(figures.corrected)}, correct to incorrect {cell(figures.regressed)}"
    )
