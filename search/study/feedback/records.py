"""What a search measured, and the figures of a search that the study compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from eval.report.data import Scores
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY, UNTRAINED
from search.ledger import Ledger
from search.results.entries import final_entries
from search.results.ranking import control_scores, outcomes
from search.study.base import Record
from search.study.cells import change, mean


class Figures(Record):
    """None where there is no score, never 0."""

    f1: float | None
    accuracy: float | None


PROPOSED = ("name", "identity", "round", "origin", "family", "parents")


class CandidateRecord(Record):
    name: str
    identity: str | None
    round: int
    origin: str
    family: str
    parents: tuple[str, ...]
    """Identities."""
    status: str
    f1: float | None
    """This and accuracy are of the split that ranks."""
    accuracy: float | None


class SearchRecord(Record):
    """Every candidate with its figures, and the controls of the search."""

    seed: int
    feedback: str
    candidates: tuple[CandidateRecord, ...]
    base_only: Figures
    untrained: Figures


class EntryRecord(Record):
    """A retrained ensemble or a control, with its figures on the split that is reported."""

    name: str
    kind: str
    control: str | None
    members: tuple[str, ...]
    failure: str | None
    f1: float | None
    accuracy: float | None


class FinalsRecord(Record):
    seed: int
    entries: tuple[EntryRecord, ...]

    @property
    def ensemble(self) -> float | None:
        """F1 of the ensemble."""
        return next((entry.f1 for entry in self.entries if entry.kind == "ensemble"), None)

    @property
    def draws(self) -> list[float | None]:
        """F1 of the random draws."""
        return [entry.f1 for entry in self.entries if (entry.control or "").startswith("random draw")]

    def control(self, name: str) -> float | None:
        return next((entry.f1 for entry in self.entries if entry.control == name), None)


def search_record(config: SearchConfig, ledger: Ledger) -> SearchRecord:
    controls = control_scores(config, ledger)
    candidates = [
        CandidateRecord(
            **{name: getattr(outcome.candidate, name) for name in PROPOSED},
            status=outcome.status,
            **_figures(outcome.scores),
        )
        for outcome in outcomes(config, ledger)
    ]
    return SearchRecord(
        seed=config.seed,
        feedback=config.search.feedback,
        candidates=tuple(candidates),
        base_only=Figures(**_figures(controls[BASE_ONLY])),
        untrained=Figures(**_figures(controls[UNTRAINED])),
    )


def finals_record(config: SearchConfig, ledger: Ledger) -> FinalsRecord:
    entries = [
        EntryRecord(**entry.model_dump(include=set(EntryRecord.model_fields)), **_figures(entry.test))
        for entry in final_entries(config, ledger)
    ]
    return FinalsRecord(seed=config.seed, entries=tuple(entries))


def _figures(scores: Scores | None) -> dict[Literal["f1", "accuracy"], float | None]:
    if scores is None:
        return {"f1": None, "accuracy": None}
    return {"f1": scores.f1.value, "accuracy": scores.accuracy.value}


@dataclass(frozen=True, slots=True)
class Measures:
    """One search in figures. None: there is no scored candidate to take them from."""

    by_round_f1: tuple[float | None, ...]
    """Mean F1 of the scored candidates of every round."""
    by_round_accuracy: tuple[float | None, ...]
    best_f1: float | None
    """Of all rounds."""
    parents_lead: float | None
    """F1 of the parents of later candidates minus the mean of what was scored when they were chosen, averaged over
    the candidates with a scored parent: above 0 where parents are chosen by merit."""
    later: int
    """Candidates after round 1."""
    scored_later: int
    with_scored_parent: int
    origins: Counter[str]
    """Of the candidates after round 1."""

    @property
    def first_f1(self) -> float | None:
        return self.by_round_f1[0]

    @property
    def last_f1(self) -> float | None:
        return self.by_round_f1[-1]

    @property
    def gain_in_f1(self) -> float | None:
        return change(self.first_f1, self.last_f1)

    @property
    def gain_in_accuracy(self) -> float | None:
        return change(self.by_round_accuracy[0], self.by_round_accuracy[-1])


def measures(candidates: Sequence[CandidateRecord], rounds: int) -> Measures:
    scored = [item for item in candidates if item.f1 is not None]
    later = [item for item in candidates if item.round > 1]
    leads = [lead for item in later if (lead := _parents_lead(item, scored)) is not None]
    numbers = range(1, rounds + 1)
    return Measures(
        by_round_f1=tuple(mean(item.f1 for item in scored if item.round == number) for number in numbers),
        by_round_accuracy=tuple(mean(item.accuracy for item in scored if item.round == number) for number in numbers),
        best_f1=max((item.f1 for item in scored if item.f1 is not None), default=None),
        parents_lead=mean(leads),
        later=len(later),
        scored_later=sum(item.f1 is not None for item in later),
        with_scored_parent=len(leads),
        origins=Counter(item.origin for item in later),
    )


def _parents_lead(candidate: CandidateRecord, scored: Sequence[CandidateRecord]) -> float | None:
    pool = [item for item in scored if item.round < candidate.round]
    parents = [item for item in pool if item.identity in candidate.parents]
    return change(mean(item.f1 for item in pool), mean(item.f1 for item in parents))
