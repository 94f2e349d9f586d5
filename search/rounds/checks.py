"""What is found out about a candidate before it is trained: the gate's verdicts, and its scores of rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eval.prescreener import Scores, score_rollouts
from eval.tasks.base import Task
from rewards_generated.ensemble import Member
from rewards_generated.gate import check
from rewards_generated.gate.members import check_member
from rewards_generated.gate.verdict import Verdict
from rewards_generated.rollout import Rollout
from search.config.models import SearchConfig
from search.ledger import Candidate


class Checks:
    """In the sandbox. A search that is only rehearsed has others."""

    def verdicts(
        self, config: SearchConfig, task: Task, candidate: Candidate, rollouts: Sequence[Rollout]
    ) -> dict[str, Verdict]:
        """By the names that the candidate's rewards have in ensembles: those of a set each at its own weights."""
        known: dict[str, Any] = {"rollouts": rollouts, "answers": task, "sandbox": config.sandbox}
        known["contracts"] = config.search.contracts
        # Drawn afresh per search, and by nothing that an author of rewards is told.
        known["seed"] = config.digest
        known["batch"] = config.screening.grpo.prompts_per_step * config.screening.grpo.generations
        if candidate.kind == "reward":
            return {candidate.name: check(candidate.code, settings=config.gate, **known)}
        return {member.name: check_member(member, config.gate, **known) for member in candidate.members}

    def scores(self, config: SearchConfig, task: Task, member: Member, rollouts: Sequence[Rollout]) -> Scores:
        """Unweighted, one per rollout; None where the reward failed."""
        return score_rollouts(member.name, member.code, rollouts, config.sandbox, task)
