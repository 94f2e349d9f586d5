"""What rewards say of the base policy's rollouts: the pre-screen's scores, and those that it did not make."""

from __future__ import annotations

import math
from collections.abc import Sequence

from eval.similarity import RewardProfile, advantage_correlation
from rewards_generated.aggregation import totals
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.rollout import Rollout
from search.ledger import Candidate
from search.rounds.prescreen import added_scores, configured
from search.session import Run

Scores = list[float | None]
"""One per rollout; None where the reward failed."""


class BaseScores:
    """Scores of every member that is asked for, over rollouts on train questions."""

    def __init__(self, run: Run, rollouts: Sequence[Rollout]) -> None:
        self._run, self._rollouts = run, rollouts
        self._scale = run.config.screening.grpo.scale_advantages
        self._prescreener = configured(run.config, rollouts, run.task)
        made = run.ledger.prescreening_scores()
        # By code, of a set its text: random controls may come from another search, whose candidates may have the
        # same names.
        self._known: dict[str, Scores] = {
            candidate.code: made[candidate.name] for candidate in run.ledger.candidates() if candidate.name in made
        }
        self._profiles: dict[str, RewardProfile] = {}

    def of(self, member: Member) -> Scores:
        """A candidate's from the ledger; of one that was not pre-screened, and of base rewards, made now."""
        key = member.code or member.name
        if key not in self._known:
            run = self._run
            self._known[key] = run.checks.scores(run.config, run.task, member, self._rollouts)
        return self._known[key]

    def rank_correlation(self, first: Candidate, second: Candidate) -> float:
        """Spearman's of what the two add to the base rewards, over the rollouts that both scored; 0 where either is
        constant there, so that nothing is known against having both."""
        similarity = self._profile(first).similarity(self._profile(second))
        return 0.0 if similarity is None else similarity.rank_correlation

    def frozen(self, members: Sequence[Member]) -> tuple[Member, ...]:
        """The members with mean and standard deviation (n - 1) of their scores, for `zscore`.

        Rollouts that a member could not score are left out; with fewer than two scored ones its scale is unknown and
        it counts as constant (std 0).
        """
        return tuple(member.model_copy(update=_statistics(self.of(member))) for member in members)

    def agreement(self, ensemble: Ensemble) -> float | None:
        """Correlation of the advantages that the ensemble's totals give with those that bare correctness would give.

        Over the rollouts that every member scored, weights with a schedule at their means over a run. None where either
        is without any: no group in which totals, or correctness, differ.
        """
        groups = [rollout.group for rollout in self._rollouts]
        mean = [m.model_copy(update={"weight": m.mean_weight, "schedule": None}) for m in ensemble.members]
        found = totals(
            ensemble.model_copy(update={"members": tuple(mean)}), [self.of(member) for member in mean], groups
        )
        right = [float(rollout.correct) for rollout in self._rollouts]
        return advantage_correlation(found, right, groups, self._scale)

    def _profile(self, candidate: Candidate) -> RewardProfile:
        key = candidate.code
        if key not in self._profiles:
            scores = self._known.get(key) or added_scores(candidate, self.of)
            self._profiles[key] = self._prescreener.profile(candidate.name, scores)
        return self._profiles[key]


def _statistics(scores: Sequence[float | None]) -> dict[str, float]:
    values = [score for score in scores if score is not None]
    if not values:
        return {"mean": 0.0, "std": 0.0}
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return {"mean": mean, "std": math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else 0.0}
