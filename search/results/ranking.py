"""How every candidate of a search stands: scored, unscored and why, or still to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eval.audit import NEVER_VARIED
from eval.prescreening import PreScreening
from eval.report.data import Flag, Scores, SeedLuck
from eval.report.ranking import ranking_key
from eval.report.scores import Runs, correct_table, score_runs
from eval.statistics.best import shrunken_means
from eval.statistics.luck import SeedVariance, interval_of_deviation, pooled_seed_variance, pooled_with
from eval.tasks.base import Split
from rewards_generated.gate.verdict import Verdict
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY, RACES, UNTRAINED
from search.config.seeds import retraining_seeds, screening_seeds
from search.ledger import Candidate, Ledger, Stage

Status = Literal["screened", "rejected", "duplicate", "stopped", "failed", "pending"]

EARLIER_LUCK = "earlier_luck"
"""The fact that holds what earlier searches saw of the luck of seeds."""


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
        """Share of completions on which the candidate's reward was not 0, in the run of the first seed; of a set that
        of the reward that was so most often."""
        names = {member.name for member in self.candidate.members} if self.result else set()
        rates = [item["firing_rate"] for item in self.result["rewards"] if item["name"] in names] if self.result else []
        return max((rate for rate in rates if rate is not None), default=None)


def outcomes(config: SearchConfig, ledger: Ledger) -> list[Outcome]:
    """Every candidate, in the order in which they were proposed."""
    verdicts, prescreenings, audits = ledger.verdicts(), ledger.prescreenings(), ledger.audits()
    luck = seed_luck(config, ledger)
    found = [
        _unless_constant(
            _outcome(config, ledger, candidate, verdicts.get(candidate.name), prescreenings.get(candidate.name), luck),
            audits.get(candidate.name, ()),
        )
        for candidate in ledger.candidates()
    ]
    return _shrunken(found, luck) if config.screening.race and luck is not None else found


def _unless_constant(outcome: Outcome, flags: tuple[Flag, ...]) -> Outcome:
    """With its signs; without scores where its value never varied in training: it was not tried."""
    constant = [flag for flag in flags if flag.name == NEVER_VARIED]
    if not constant or outcome.scores is None:
        return replace(outcome, flags=flags)
    return replace(outcome, flags=flags, scores=None, status="failed", reasons=(constant[0].detail,))


def _shrunken(every: list[Outcome], luck: SeedVariance) -> list[Outcome]:
    """With means that can be ranked although some have more runs than others."""
    scored = [outcome.scores for outcome in every if outcome.scores]
    if not scored:
        return every
    of_runs = max(luck.of_runs, 1e-6)  # runs that answer alike are not certain
    variances = [of_runs / len(scores.seeds) for scores in scored]
    means = iter(shrunken_means([scores.accuracy.value for scores in scored], variances).tolist())
    return [
        replace(outcome, scores=outcome.scores.model_copy(update={"shrunken_accuracy": next(means)}))
        if outcome.scores
        else outcome
        for outcome in every
    ]


def ranked(every: list[Outcome]) -> list[Outcome]:
    """The scored ones, in the order of `ranking_key`."""
    return sorted((o for o in every if o.scores is not None), key=lambda o: ranking_key(o.scores, o.candidate))


def stopped(every: list[Outcome]) -> list[Outcome]:
    """Those stopped at a rung, to be listed below the ranked ones: the longest trained first."""
    found = [outcome for outcome in every if outcome.rung is not None and outcome.rung_scores is not None]
    return sorted(found, key=lambda o: (-(o.rung or 0), ranking_key(o.rung_scores, o.candidate)))


def seeds_of(config: SearchConfig, ledger: Ledger, subject: str) -> list[int]:
    """Of the screenings of a candidate, those of the races that it is in included, or of the base rewards alone, which
    are run more often."""
    settings = config.screening
    if subject == BASE_ONLY:
        return screening_seeds(config.seed, settings.control_runs)
    races: dict[str, list[str]] = (ledger.fact(RACES) or {}) if settings.race else {}
    stages = [int(key.split(".")[1]) for key, names in races.items() if subject in names]
    return screening_seeds(config.seed, settings.seeds + sum(settings.race[stage].seeds for stage in stages))


def final_seeds_of(config: SearchConfig, finalist: str) -> list[int]:
    """Of the retrainings of one finalist; the base rewards alone are run more often."""
    settings = config.finals
    return retraining_seeds(config.seed, settings.control_runs if finalist == BASE_ONLY else settings.seeds)


def seed_luck(config: SearchConfig, ledger: Ledger) -> SeedVariance | None:
    """How runs of one recipe differ: as this search saw it, pooled with what earlier ones saw that were named at its
    start. None where nothing was trained twice."""
    earlier = ledger.fact(EARLIER_LUCK)
    found = (own_seed_luck(config, ledger), SeedVariance(**earlier) if earlier else None)
    return pooled_with([luck for luck in found if luck is not None])


def own_seed_luck(config: SearchConfig, ledger: Ledger) -> SeedVariance | None:
    """The same of this search alone, pooled over all that was trained more than once: the base rewards alone,
    candidates, finalists. Runs of one recipe in screening and in retraining stand together where their steps are
    equal and they answered the same questions. None where nothing was trained twice."""
    split = config.search.select_on
    recipes: dict[str, list[tuple[Stage, str]]] = {}
    for subject in (BASE_ONLY, *(candidate.name for candidate in ledger.candidates())):
        recipes[f"screening {subject}"] = [("screening", subject)]
    for finalist in ledger.finalists():
        if finalist.same_as is None:
            alone = not finalist.candidates and finalist.steps == config.screening.grpo.steps
            key = f"screening {BASE_ONLY}" if alone else f"retraining {finalist.name}"
            recipes.setdefault(key, []).append(("retraining", finalist.name))
    # Answers are read of what ran twice alone: in most searches that is little of all.
    stages: tuple[Stage, ...] = ("screening", "retraining")
    runs = Counter(
        (stage, evaluation.subject)
        for stage in stages
        for evaluation in ledger.evaluations(stage)
        if evaluation.split == split and evaluation.rung is None
    )
    repeated = [parts for parts in recipes.values() if sum(runs[part] for part in parts) > 1]
    found = [[ledger.predictions(stage, subject, split) for stage, subject in parts] for parts in repeated]
    return pooled_seed_variance([table for parts in found for table in _tables(parts)])


def luck_facts(config: SearchConfig, ledger: Ledger) -> SeedLuck | None:
    """The same as a report shows it."""
    luck = seed_luck(config, ledger)
    if luck is None:
        return None
    bounds = interval_of_deviation(luck)
    earlier = ledger.fact(EARLIER_LUCK)
    return SeedLuck(
        deviation=luck.deviation,
        low=bounds.low,
        high=bounds.high,
        recipes=luck.recipes,
        runs=luck.runs,
        earlier_runs=earlier["runs"] if earlier else 0,
    )


def _tables(parts: Sequence[Runs]) -> list[NDArray[np.bool_]]:
    """One table per set of questions, of the runs that answered them all."""
    by_questions: dict[tuple[str, ...], Runs] = {}
    for runs in parts:
        for seed, predictions in runs.items():
            asked = tuple(prediction.id for prediction in predictions)
            by_questions[asked] = {**by_questions.get(asked, {}), seed: predictions}
    return [correct_table(runs) for asked, runs in by_questions.items() if asked]


def screening_scores(
    config: SearchConfig, ledger: Ledger, subject: str, luck: SeedVariance | None = None
) -> Scores | None:
    """On the split that ranks; None unless the runs of all seeds ended well."""
    return complete_scores(
        ledger, "screening", subject, seeds_of(config, ledger, subject), config.search.select_on, luck=luck
    )


def complete_scores(
    ledger: Ledger,
    stage: Stage,
    subject: str,
    seeds: list[int],
    split: Split,
    rung: int | None = None,
    luck: SeedVariance | None = None,
) -> Scores | None:
    return score_runs(complete_runs(ledger, stage, subject, seeds, split, rung) or {}, luck=luck)


def complete_runs(
    ledger: Ledger, stage: Stage, subject: str, seeds: list[int], split: Split, rung: int | None = None
) -> Runs | None:
    """None unless there are predictions of every seed: a part of the seeds is no score. `rung`: see the ledger."""
    runs = ledger.predictions(stage, subject, split, rung)
    return {seed: runs[seed] for seed in seeds} if all(runs.get(seed) for seed in seeds) else None


def control_scores(config: SearchConfig, ledger: Ledger) -> dict[str, Scores | None]:
    """The controls that every round is compared with."""
    base_only = screening_scores(config, ledger, BASE_ONLY, seed_luck(config, ledger))
    return {UNTRAINED: untrained_scores(config, ledger), BASE_ONLY: base_only}


def untrained_scores(config: SearchConfig, ledger: Ledger) -> Scores | None:
    """On the split that ranks."""
    return score_runs(ledger.predictions("screening", UNTRAINED, config.search.select_on), trained=False)


def _outcome(
    config: SearchConfig,
    ledger: Ledger,
    candidate: Candidate,
    verdict: Verdict | None,
    prescreening: PreScreening | None,
    luck: SeedVariance | None,
) -> Outcome:
    if verdict is None:
        return Outcome(candidate, "pending", None, (), None, None)
    if not verdict.accepted:
        return Outcome(candidate, "rejected", None, verdict.reasons, verdict, None)
    if prescreening is not None and prescreening.reason is not None:
        return Outcome(candidate, "duplicate", None, (prescreening.reason,), verdict, None, prescreening)
    seeds = seeds_of(config, ledger, candidate.name)
    records = [ledger.job("screening", candidate.name, seed) for seed in seeds]
    result = records[0].result if records[0] else None
    failures = tuple(dict.fromkeys(record.failure for record in records if record and record.failure))
    if failures:
        return Outcome(candidate, "failed", None, failures, verdict, result, prescreening)
    scores = screening_scores(config, ledger, candidate.name, luck)
    if scores is None and all(records):
        split = config.search.select_on
        for rung in reversed(ledger.rungs("screening", candidate.name, split)):
            if at_rung := complete_scores(ledger, "screening", candidate.name, seeds, split, rung, luck):
                reason = (
                    f"stopped after {rung} of {config.screening.grpo.steps} steps, with F1 {at_rung.f1.value:.3f} "
                    f"[{at_rung.f1.low:.3f}, {at_rung.f1.high:.3f}] there: others did better at that point"
                )
                return Outcome(candidate, "stopped", None, (reason,), verdict, result, prescreening, rung, at_rung)
    status: Status = "screened" if scores else "pending"
    return Outcome(candidate, status, scores, (), verdict, result, prescreening)
