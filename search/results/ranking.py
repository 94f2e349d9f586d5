"""How every candidate of a search stands: scored, unscored and why, or still to come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from eval.prescreening import PreScreening
from eval.report.data import Flag, Scores
from eval.report.ranking import standing
from eval.report.scores import Runs, score_runs
from eval.tasks.base import Split
from rewards_generated.gate.verdict import Verdict
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY, UNTRAINED
from search.config.seeds import screening_seeds
from search.ledger import Candidate, Ledger, Stage

Status = Literal["screened", "rejected", "duplicate", "stopped", "failed", "pending"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One candidate. `scores` is None unless it is screened; `reasons` says why it has none."""

    candidate: Candidate
    status: Status
    scores: Scores | None
    reasons: tuple[str, ...]
    verdict: Verdict | None
    result: dict[str, Any] | None
    """The result of its run of the first seed, without predictions."""
    prescreening: PreScreening | None = None
    rung: int | None = None
    """Steps after which it was stopped; None: it was not."""
    rung_scores: Scores | None = None
    """At that rung. They say nothing beside scores of other steps, so they are never among `scores`."""
    flags: tuple[Flag, ...] = ()
    """Signs of reward hacking in its screening."""

    @property
    def firing_rate(self) -> float | None:
        """Share of completions on which the candidate's reward was not 0, in the run of the first seed."""
        rewards = self.result["rewards"] if self.result else ()
        return next((item["firing_rate"] for item in rewards if item["name"] == self.candidate.name), None)


def outcomes(config: SearchConfig, ledger: Ledger) -> list[Outcome]:
    """Every candidate, in the order in which they were proposed."""
    verdicts, prescreenings, audits = ledger.verdicts(), ledger.prescreenings(), ledger.audits()
    return [
        replace(
            _standing(config, ledger, candidate, verdicts.get(candidate.name), prescreenings.get(candidate.name)),
            flags=audits.get(candidate.name, ()),
        )
        for candidate in ledger.candidates()
    ]


def ranked(every: list[Outcome]) -> list[Outcome]:
    """The scored ones, in the order of `standing`."""
    return sorted((o for o in every if o.scores is not None), key=lambda o: standing(o.scores, o.candidate))


def stopped(every: list[Outcome]) -> list[Outcome]:
    """Those stopped at a rung, to be listed below the ranked ones: the longest trained first."""
    found = [outcome for outcome in every if outcome.rung is not None and outcome.rung_scores is not None]
    return sorted(found, key=lambda o: (-(o.rung or 0), standing(o.rung_scores, o.candidate)))


def screening_scores(config: SearchConfig, ledger: Ledger, subject: str) -> Scores | None:
    """On the split that ranks; None unless the runs of all seeds ended well."""
    seeds = screening_seeds(config.seed, config.screening.seeds)
    return complete_scores(ledger, "screening", subject, seeds, config.search.select_on)


def complete_scores(
    ledger: Ledger, stage: Stage, subject: str, seeds: list[int], split: Split, rung: int | None = None
) -> Scores | None:
    return score_runs(complete_runs(ledger, stage, subject, seeds, split, rung) or {})


def complete_runs(
    ledger: Ledger, stage: Stage, subject: str, seeds: list[int], split: Split, rung: int | None = None
) -> Runs | None:
    """None unless there are predictions of every seed: a part of the seeds is no score. `rung`: see the ledger."""
    runs = ledger.predictions(stage, subject, split, rung)
    return {seed: runs[seed] for seed in seeds} if all(runs.get(seed) for seed in seeds) else None


def control_scores(config: SearchConfig, ledger: Ledger) -> dict[str, Scores | None]:
    """The controls that every round is compared with."""
    untrained = ledger.predictions("screening", UNTRAINED, config.search.select_on)
    return {UNTRAINED: score_runs(untrained), BASE_ONLY: screening_scores(config, ledger, BASE_ONLY)}


def _standing(
    config: SearchConfig,
    ledger: Ledger,
    candidate: Candidate,
    verdict: Verdict | None,
    prescreening: PreScreening | None,
) -> Outcome:
    if verdict is None:
        return Outcome(candidate, "pending", None, (), None, None)
    if not verdict.accepted:
        return Outcome(candidate, "rejected", None, verdict.reasons, verdict, None)
    if prescreening is not None and prescreening.reason is not None:
        return Outcome(candidate, "duplicate", None, (prescreening.reason,), verdict, None, prescreening)
    seeds = screening_seeds(config.seed, config.screening.seeds)
    records = [ledger.job("screening", candidate.name, seed) for seed in seeds]
    result = records[0].result if records[0] else None
    failures = tuple(dict.fromkeys(record.failure for record in records if record and record.failure))
    if failures:
        return Outcome(candidate, "failed", None, failures, verdict, result, prescreening)
    scores = screening_scores(config, ledger, candidate.name)
    if scores is None and all(records):
        split = config.search.select_on
        for rung in reversed(ledger.rungs("screening", candidate.name, split)):
            if at_rung := complete_scores(ledger, "screening", candidate.name, seeds, split, rung):
                reason = (
                    f"stopped after {rung} of {config.screening.grpo.steps} steps, with F1 {at_rung.f1.value:.3f} "
                    f"[{at_rung.f1.low:.3f}, {at_rung.f1.high:.3f}] there: others did better at that point"
                )
                return Outcome(candidate, "stopped", None, (reason,), verdict, result, prescreening, rung, at_rung)
    status: Status = "screened" if scores else "pending"
    return Outcome(candidate, status, scores, (), verdict, result, prescreening)
