"""The pre-screen: what passed the gate is scored on the base policy's rollouts before anything is trained on it."""

from __future__ import annotations

from collections.abc import Sequence

from eval.prescreening import prescreening
from eval.similarity import RewardProfile, closest
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.rollout import Rollout
from rewards_generated.sandbox.settings import SandboxSettings
from rewards_generated.scorer import EnsembleScorer
from search.config import SearchConfig
from search.jobs import base_members
from search.ledger import Candidate
from search.run import Run


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
        threshold = config.prescreen.duplicate_correlation
        base = base_totals(config, rollouts)
        failed = {job.subject for job in ledger.jobs("screening") if job.failure}
        earlier = [
            reward_profile(config, name, scores, base, rollouts)
            for name, scores in ledger.prescreening_scores().items()
            if name not in failed and not known[name].duplicate
        ]
        for candidate in missing:
            scores = score_rollouts(candidate.name, candidate.code, rollouts, config.sandbox)
            profile = reward_profile(config, candidate.name, scores, base, rollouts)
            nearest = closest(profile, earlier, threshold)
            duplicate = threshold is not None and nearest is not None and nearest.duplicates(threshold)
            figures = prescreening(rollouts, scores, base, config.screening.grpo.generations).model_copy(
                update={"closest": nearest, "duplicate": duplicate}
            )
            ledger.record_prescreening(candidate.name, figures, scores)
            known[candidate.name] = figures
            run.progress.job_done(f"pre-screen {candidate.name}", figures.reason)
            if duplicate:
                run.progress.skip_steps(config.screening.grpo.steps * config.screening.seeds)
            else:
                earlier.append(profile)
    return [candidate for candidate in accepted if not known[candidate.name].duplicate]


def score_rollouts(name: str, code: str, rollouts: Sequence[Rollout], sandbox: SandboxSettings) -> list[float | None]:
    """In the sandbox, all in one batch; None where it failed. The gate's own scores are of fewer rollouts."""
    with EnsembleScorer(Ensemble(name=name, members=(Member(name=name, code=code),)), sandbox) as scorer:
        return scorer.score([rollout.sample for rollout in rollouts]).components[name]


def base_totals(config: SearchConfig, rollouts: Sequence[Rollout]) -> list[float]:
    """What the base rewards of the search give together."""
    with EnsembleScorer(Ensemble(name="base rewards", members=base_members(config)), config.sandbox) as scorer:
        totals = scorer.score([rollout.sample for rollout in rollouts]).totals
    return [total for total in totals if total is not None]


def reward_profile(
    config: SearchConfig, name: str, scores: Sequence[float | None], base: Sequence[float], rollouts: Sequence[Rollout]
) -> RewardProfile:
    groups = [rollout.group for rollout in rollouts]
    return RewardProfile(name, scores, base, groups, config.screening.grpo.scale_advantages)
