"""What two-pass evaluations of a search say of first and second answers, in sentences."""

from __future__ import annotations

from eval.report.text import number
from eval.statistics.estimate import Estimate
from eval.two_turn_figures import TwoTurnFigures, two_turn_figures
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY, UNTRAINED
from search.ledger import Ledger, Stage


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
    second = "Acc@t1'" if untrained else "Acc@t2"
    return (
        f"Acc@t1 {_cell(figures.first)}, {second} {_cell(figures.second)}, delta {_cell(figures.delta)}, "
        f"incorrect to correct {_cell(figures.corrected)}, correct to incorrect {_cell(figures.regressed)}"
    )


def _cell(estimate: Estimate) -> str:
    return f"{number(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"
