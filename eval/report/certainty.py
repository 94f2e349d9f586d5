"""How sure the rankings are, in words."""

from __future__ import annotations

from eval.report.data import RankingEvidence, ReportData
from eval.report.text import interval, number, signed_points
from eval.statistics.optimism import SelectionOptimism


def ranking_evidence(data: ReportData) -> list[tuple[str, RankingEvidence]]:
    """What is known of how sure each ranking is, with its title."""
    split = data.run.selection_split
    found = [
        (f"Entries on {split}", data.final_evidence),
        ("Entries on test, where nothing was selected", data.test_evidence),
        (f"Candidates, by their screenings on {split}", data.screening_evidence),
    ]
    return [(title, evidence) for title, evidence in found if evidence is not None]


def evidence_words(evidence: RankingEvidence) -> str:
    """A ranking's optimism and stability in sentences."""
    several = evidence.seeds > 1
    said = []
    if evidence.agreement is not None:
        by = "two halves of the questions, by different runs," if several else "two halves of the questions"
        said.append(
            f"Rankings by {by} agree with a rank correlation of {number(evidence.agreement, 2)} (1: alike, 0: chance)."
        )
    if evidence.optimism is not None:
        said.append(_optimism_words(evidence.optimism, evidence.seed_optimism))
    if not several:
        said.append(
            "With one run per entry the trained policies are taken as given: the luck of training is not in it."
        )
    return " ".join(said)


def _optimism_words(found: SelectionOptimism, over_seeds: SelectionOptimism | None) -> str:
    said = (
        f"{found.name} was picked with an accuracy of {number(found.observed)}; repeating the selection on resampled "
        f"data puts what to expect on new questions at {_corrected(found)}"
    )
    if over_seeds is not None:
        said += f", on new seeds and new questions at {_corrected(over_seeds)}"
    return said + "."


def _corrected(found: SelectionOptimism) -> str:
    corrected = f"{number(found.corrected.value)} {interval(found.corrected)}"
    return f"{corrected} (an optimism of {signed_points(found.optimism)} points)"
