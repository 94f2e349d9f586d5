"""The pre-screen of a search: what passed the gate is scored on the base policy's rollouts before it is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from eval.prescreener import Prescreener
from eval.prescreening import PreScreening
from eval.tasks.base import Task
from rewards_generated.ensemble import Member
from rewards_generated.rollout import Rollout
from search.config.models import SearchConfig
from search.config.plan import candidate_steps
from search.ledger import Candidate
from search.session import Run


def prescreen(run: Run, accepted: Sequence[Candidate], rollouts: Sequence[Rollout]) -> list[Candidate]:
    """Those of the accepted that are worth a training run: all but near-duplicates of an earlier one.

    A candidate is compared with every one that went on to training before it, in the order of proposal, except for
    those whose run failed: they left nothing that a duplicate could repeat. One whose weights have schedules is
    compared with those of the same schedules.
    """
    config, ledger = run.config, run.ledger
    if not config.prescreen.enabled:
        return list(accepted)
    known = ledger.prescreenings()
    missing = [candidate for candidate in accepted if candidate.name not in known]
    run.progress.phase("pre-screen", len(missing))
    comparisons = Comparisons(run, rollouts)
    for candidate in missing:
        figures, scores = comparisons.screen(candidate)
        ledger.record_prescreening(candidate.name, figures, scores)
        known[candidate.name] = figures
        run.progress.job_done(f"pre-screen {candidate.name}", figures.reason)
        if figures.duplicate:
            run.progress.skip_steps(candidate_steps(config))
    return [candidate for candidate in accepted if not known[candidate.name].duplicate]


class Comparisons:
    """With what went on to training so far, apart for each arrangement of weights."""

    def __init__(self, run: Run, rollouts: Sequence[Rollout]) -> None:
        self._run, self._rollouts = run, rollouts
        self._prescreeners: dict[tuple[tuple[str, str], ...], Prescreener] = {}

    def screen(self, candidate: Candidate) -> tuple[PreScreening, list[float | None]]:
        """Its figures and its scores of the rollouts; the next are compared with it, unless it is a duplicate."""
        run = self._run
        scores = added_scores(candidate, lambda member: run.checks.scores(run.config, run.task, member, self._rollouts))
        return self._of(candidate.arrangement).screen_scores(candidate.name, scores), scores

    def _of(self, arrangement: tuple[tuple[str, str], ...]) -> Prescreener:
        if arrangement not in self._prescreeners:
            ledger = self._run.ledger
            made, known = configured(self._run.config, self._rollouts, self._run.task), ledger.prescreenings()
            every = {candidate.name: candidate for candidate in ledger.candidates()}
            failed = {job.subject for job in ledger.jobs("screening") if job.failure}
            for name, scores in ledger.prescreening_scores().items():
                if every[name].arrangement == arrangement and name not in failed and not known[name].duplicate:
                    made.know(name, scores)
            self._prescreeners[arrangement] = made
        return self._prescreeners[arrangement]


def added_scores(candidate: Candidate, scores_of: Callable[[Member], list[float | None]]) -> list[float | None]:
    """What the candidate adds to the base rewards' total, one per rollout: its rewards' scores by their mean weights
    over a run, less those of the base rewards that it replaces; None where any of them is. `scores_of`: unweighted."""
    if candidate.kind == "reward":
        return scores_of(candidate.members[0])
    rows = [(member.mean_weight, scores_of(member)) for member in candidate.members]
    rows += [(-1.0, scores_of(Member(name=name))) for name in candidate.replaces]
    weights = [weight for weight, _ in rows]
    return [
        None if None in column else math.fsum(w * (score or 0.0) for w, score in zip(weights, column, strict=True))
        for column in zip(*(scores for _, scores in rows), strict=True)
    ]


def configured(config: SearchConfig, rollouts: Sequence[Rollout], task: Task) -> Prescreener:
    return Prescreener(
        rollouts,
        generations=config.screening.grpo.generations,
        threshold=config.prescreen.duplicate_correlation,
        base=config.search.base_rewards,
        answers=task,
        scale=config.screening.grpo.scale_advantages,
        sandbox=config.sandbox,
    )
