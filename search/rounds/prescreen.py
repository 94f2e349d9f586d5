"""The pre-screen of a search: what passed the gate is scored on the base policy's rollouts before it is trained."""

from __future__ import annotations

from collections.abc import Sequence

from eval.prescreener import Prescreener
from eval.tasks.base import Task
from rewards_generated.rollout import Rollout
from search.config.models import SearchConfig
from search.config.plan import candidate_steps
from search.ledger import Candidate
from search.session import Run


def prescreen(run: Run, accepted: Sequence[Candidate], rollouts: Sequence[Rollout]) -> list[Candidate]:
    """Those of the accepted that are worth a training run: all but near-duplicates of an earlier one.

    A candidate is compared with every one that went on to training before it, in the order of proposal, except for
    those whose run failed: they left nothing that a duplicate could repeat.
    """
    config, ledger = run.config, run.ledger
    if not config.prescreen.enabled:
        return list(accepted)
    known = ledger.prescreenings()
    missing = [candidate for candidate in accepted if candidate.name not in known]
    run.progress.phase("pre-screen", len(missing))
    if missing:
        prescreener = primed(run, rollouts)
    for candidate in missing:
        figures, scores = prescreener.screen(candidate.name, candidate.code)
        ledger.record_prescreening(candidate.name, figures, scores)
        known[candidate.name] = figures
        run.progress.job_done(f"pre-screen {candidate.name}", figures.reason)
        if figures.duplicate:
            run.progress.skip_steps(candidate_steps(config))
    return [candidate for candidate in accepted if not known[candidate.name].duplicate]


def primed(run: Run, rollouts: Sequence[Rollout]) -> Prescreener:
    """One that knows what went on to training so far."""
    config, ledger = run.config, run.ledger
    prescreener, known = configured(config, rollouts, run.task), ledger.prescreenings()
    failed = {job.subject for job in ledger.jobs("screening") if job.failure}
    for name, scores in ledger.prescreening_scores().items():
        if name not in failed and not known[name].duplicate:
            prescreener.know(name, scores)
    return prescreener


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
