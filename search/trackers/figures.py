"""What trackers are told of a search, from its ledger."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eval.metrics import compute_metrics
from search.config.models import SearchConfig
from search.ledger import Candidate, JobRecord, Ledger, Stage
from search.proposers.base import Spending
from search.results.ranking import Outcome, ranked
from search.trackers.base import Point, TrackedRun

TRAINING: tuple[Stage, ...] = ("screening", "greedy", "retraining", "transfer")
LONGEST_FACT = 500
"""Characters."""


def search_facts(config: SearchConfig) -> dict[str, str | int | float]:
    """Of the configuration what is a plain value, by its path; options may hold addresses and are left out."""
    return dict(_plain("", {k: v for k, v in config.plain().items() if k != "trackers"}))


def search_point(config: SearchConfig, ledger: Ledger, every: Sequence[Outcome]) -> Point:
    """How far the search is, by the number of jobs that are over."""
    jobs, spent, best = len(ledger.places()), Spending.of(ledger.calls()), ranked(list(every))
    values = {"jobs/done": float(jobs), "cost/usd": spent.cost_usd, "cost/tokens": float(spent.tokens)}
    values |= {f"candidates/{status}": float(count) for status, count in _counts(every).items()}
    if best and best[0].scores is not None:
        split, scores = config.search.select_on, best[0].scores
        values |= {f"best/{split}_f1": scores.f1.value, f"best/{split}_accuracy": scores.accuracy.value}
    return Point(jobs, values)


def rounds_over(ledger: Ledger) -> list[int]:
    """Rounds whose candidates will get no further runs: another one follows, or the finals do."""
    numbers = [item.number for item in ledger.rounds()]
    finals = any(ledger.milestone(name) for name in ("ensembles_fixed", "greedy_selected", "finished"))
    return numbers if finals else numbers[:-1]


def round_point(config: SearchConfig, number: int, every: Sequence[Outcome]) -> Point | None:
    """F1 of the candidates of a round, on the split that ranks; None without any that was scored."""
    own = [o.scores.f1.value for o in every if o.candidate.round == number and o.scores is not None]
    if not own:
        return None
    split = config.search.select_on
    values = {f"{split}_f1_best": max(own), f"{split}_f1_mean": math.fsum(own) / len(own), "scored": float(len(own))}
    return Point(number, {f"round/{name}": value for name, value in values.items()})


def tracked_run(config: SearchConfig, ledger: Ledger, place: tuple[Stage, str, int]) -> TrackedRun | None:
    """The training run that the ledger has there; None: it is no training."""
    stage, subject, seed = place
    record = ledger.job(stage, subject, seed) if stage in TRAINING else None
    if record is None or "curves" not in record.result:
        return None
    candidate = next((found for found in ledger.candidates() if found.name == subject), None)
    points = [Point(int(entry["step"]), dict(_numbers("", entry))) for entry in record.result["curves"]]
    last = points[-1].step if points else 0
    points += [Point(last, values)] if (values := _ended(config, ledger, record)) else []
    return TrackedRun(
        name=f"{stage}/{_name(subject)}/seed-{seed}",
        facts={"search": config.name, "stage": stage, "subject": subject, "seed": seed, **_facts(record, candidate)},
        points=points,
        failed=record.failure is not None,
    )


def _counts(every: Sequence[Outcome]) -> dict[str, int]:
    return {status: sum(o.status == status for o in every) for status in ("screened", "rejected", "failed")}


def _ended(config: SearchConfig, ledger: Ledger, record: JobRecord) -> dict[str, float]:
    """Of the evaluation at the end of the run; of one that failed, that it did."""
    if record.failure is not None:
        return {"failed": 1.0}
    split = config.search.select_on
    answers = ledger.predictions(record.stage, record.subject, split).get(record.seed, [])
    found = compute_metrics(answers).strict
    values = {f"{split}/f1": found.f1, f"{split}/accuracy": found.accuracy}
    return {name: value for name, value in values.items() if value is not None}


def _facts(record: JobRecord, candidate: Candidate | None) -> dict[str, str | int | float]:
    facts: dict[str, str | int | float] = {}
    if candidate is not None:
        facts = {
            "round": candidate.round,
            "family": candidate.family,
            "origin": candidate.origin,
            "identity": candidate.identity or "",
            "parents": ", ".join(candidate.parents),
            "description": candidate.description,
        }
    if record.failure is not None:
        facts["failure"] = record.failure
    seconds = record.result.get("seconds", {})
    facts |= {f"seconds_{_name(phase)}": round(float(spent), 3) for phase, spent in seconds.items()}
    return {name: value[:LONGEST_FACT] if isinstance(value, str) else value for name, value in facts.items()}


def _numbers(path: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """All finite numbers of an entry of the curves but its step, those of each reward under its name."""
    for key, value in entry.items():
        name = f"{path}{_name(key)}"
        if isinstance(value, Mapping):
            yield from _numbers(f"{name}/", value)
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and name != "step":
            yield name, float(value)


def _plain(path: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str | int | float]]:
    for key, value in values.items():
        name = f"{path}{_name(key)}"
        if isinstance(value, Mapping):
            if key != "options":
                yield from _plain(f"{name}.", value)
        elif isinstance(value, str | int | float):
            yield name, value[:LONGEST_FACT] if isinstance(value, str) else value


def _name(text: str) -> str:
    """What every tracker takes as a name: of other characters an underscore."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)
