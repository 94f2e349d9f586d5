"""What a search measured, as plain JSON values, and the figures of a search that the study compares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eval.report.data import Entry, Scores
from search.config.models import SearchConfig
from search.jobs.descriptions import BASE_ONLY, UNTRAINED
from search.ledger import Ledger
from search.results.entries import final_entries
from search.results.ranking import control_scores, outcomes
from search.study.base import Result


def search_record(config: SearchConfig, ledger: Ledger) -> Result:
    """Every candidate with its figures on the split that ranks, and the controls of the search."""
    controls = control_scores(config, ledger)
    return {
        "seed": config.seed,
        "feedback": config.search.feedback,
        "candidates": [
            {
                "name": outcome.candidate.name,
                "identity": outcome.candidate.identity,
                "round": outcome.candidate.round,
                "origin": outcome.candidate.origin,
                "family": outcome.candidate.family,
                "parents": list(outcome.candidate.parents),
                "status": outcome.status,
                **_figures(outcome.scores),
            }
            for outcome in outcomes(config, ledger)
        ],
        "base_only": _figures(controls[BASE_ONLY]),
        "untrained": _figures(controls[UNTRAINED]),
    }


def finals_record(config: SearchConfig, ledger: Ledger) -> Result:
    """Every retrained ensemble and control with its figures on the split that is reported."""
    return {"seed": config.seed, "entries": [_entry(entry) for entry in final_entries(config, ledger)]}


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "kind": entry.kind,
        "control": entry.control,
        "members": list(entry.members),
        "failure": entry.failure,
        **_figures(entry.test),
    }


def _figures(scores: Scores | None) -> dict[str, float | None]:
    """None where there is no score, never 0."""
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
    origins: dict[str, int]
    """Of the candidates after round 1."""


def measures(record: Result, rounds: int) -> Measures:
    candidates: list[dict[str, Any]] = record["candidates"]
    scored = [item for item in candidates if item["f1"] is not None]
    later = [item for item in candidates if item["round"] > 1]
    leads = [lead for item in later if (lead := _parents_lead(item, scored)) is not None]
    origins: dict[str, int] = {}
    for item in later:
        origins[item["origin"]] = origins.get(item["origin"], 0) + 1
    return Measures(
        by_round_f1=tuple(_mean_of_round(scored, number, "f1") for number in range(1, rounds + 1)),
        by_round_accuracy=tuple(_mean_of_round(scored, number, "accuracy") for number in range(1, rounds + 1)),
        best_f1=max((item["f1"] for item in scored), default=None),
        parents_lead=_mean(leads),
        later=len(later),
        scored_later=sum(item["f1"] is not None for item in later),
        with_scored_parent=len(leads),
        origins=origins,
    )


def _parents_lead(candidate: dict[str, Any], scored: Sequence[dict[str, Any]]) -> float | None:
    pool = [item for item in scored if item["round"] < candidate["round"]]
    parents = _mean([item["f1"] for item in pool if item["identity"] in candidate["parents"]])
    everyone = _mean([item["f1"] for item in pool])
    return None if parents is None or everyone is None else parents - everyone


def _mean_of_round(scored: Sequence[dict[str, Any]], number: int, figure: str) -> float | None:
    return _mean([item[figure] for item in scored if item["round"] == number])


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
