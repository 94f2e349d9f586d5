"""The pre-screen of a search: what passed the gate is scored on the base policy's rollouts before it is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from eval.prescreener import Prescreener, score_rollouts
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
    known, every = ledger.prescreenings(), {candidate.name: candidate for candidate in ledger.candidates()}
    missing = [candidate for candidate in accepted if candidate.name not in known]
    run.progress.phase("pre-screen", len(missing))
    if missing:
        prescreeners = {
            arrangement: configured(config, rollouts, run.task)
            for arrangement in dict.fromkeys(candidate.arrangement for candidate in missing)
        }
        failed = {job.subject for job in ledger.jobs("screening") if job.failure}
        for name, scores in ledger.prescreening_scores().items():
            arranged_so = prescreeners.get(every[name].arrangement)
            if arranged_so and name not in failed and not known[name].duplicate:
                arranged_so.know(name, scores)
    for candidate in missing:
        scores = added_scores(
            candidate, lambda member: score_rollouts(member.name, member.code, rollouts, config.sandbox, run.task)
        )
        figures = prescreeners[candidate.arrangement].screen_scores(candidate.name, scores)
        ledger.record_prescreening(candidate.name, figures, scores)
        known[candidate.name] = figures
        run.progress.job_done(f"pre-screen {candidate.name}", figures.reason)
        if figures.duplicate:
            run.progress.skip_steps(candidate_steps(config))
    return [candidate for candidate in accepted if not known[candidate.name].duplicate]


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
