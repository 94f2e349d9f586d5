"""Gate and pre-screen while a round is still being proposed, so that what they refuse can be asked for again at once.

Every verdict is written down before the proposer hears of it: a round that was interrupted asks the same questions
again, although a check under a time limit might end otherwise the second time. What the round has in the end is
recorded as ever, with the gate's verdict from here; the pre-screen, which goes by the order of the round's candidates,
is made again when they are all there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from rewards_generated.gate.verdict import Verdict, together
from rewards_generated.rollout import Rollout
from search.ledger import Candidate, Ledger
from search.proposers.base import Proposal, UnusableItem
from search.rounds.ingest import EXCERPT
from search.rounds.prescreen import Comparisons
from search.session import Run


class EarlyChecks:
    """Those of one round."""

    def __init__(self, run: Run, number: int, rollouts: Sequence[Rollout]) -> None:
        self._run, self._number, self._rollouts = run, number, rollouts
        self._found: dict[str, dict[str, Any]] = run.ledger.fact(_fact(number)) or {}

    @cached_property
    def _comparisons(self) -> Comparisons:
        return Comparisons(self._run, self._rollouts)

    def __call__(self, proposal: Proposal) -> UnusableItem | None:
        """Why a candidate would not be trained; None: it would."""
        run = self._run
        kind = run.config.search.proposes
        about = proposal.origin, proposal.description, proposal.family, proposal.parents
        candidate = Candidate(proposal.name, self._number, 0, None, proposal.code, *about, kind)
        compares, key = self._run.config.prescreen.rejects_duplicates, _key(proposal.code)
        if key not in self._found:
            verdicts = run.checks.verdicts(run.config, run.task, candidate, self._rollouts)
            duplicate = None
            if compares and together(verdicts).accepted:
                duplicate = self._comparisons.screen(candidate)[0].reason
            dumped = [verdict.model_dump(mode="json") for verdict in verdicts.values()]
            self._found[key] = {"verdicts": dumped, "duplicate": duplicate}
            self._run.ledger.record_fact(_fact(self._number), self._found)
        elif compares and self._found[key]["duplicate"] is None and self._verdict(candidate).accepted:
            # Later candidates are compared with it.
            self._comparisons.screen(candidate)
        return self._problem(candidate)

    def _verdict(self, candidate: Candidate) -> Verdict:
        return together(_named(self._found[_key(candidate.code)], candidate))

    def _problem(self, candidate: Candidate) -> UnusableItem | None:
        verdict, excerpt = self._verdict(candidate), candidate.code[:EXCERPT]
        if not verdict.accepted:
            return UnusableItem("rejected", f"{candidate.name!r}: {'; '.join(verdict.reasons)}", excerpt)
        if (duplicate := self._found[_key(candidate.code)]["duplicate"]) is not None:
            return UnusableItem("duplicate", f"{candidate.name!r}: {duplicate}", excerpt)
        return None


def early_verdicts(ledger: Ledger, candidate: Candidate) -> dict[str, Verdict]:
    """The gate's, if they were made while the round was proposed; as `Checks.verdicts` gives them, else empty."""
    found = (ledger.fact(_fact(candidate.round)) or {}).get(_key(candidate.code))
    return {} if found is None else _named(found, candidate)


def _named(found: dict[str, Any], candidate: Candidate) -> dict[str, Verdict]:
    """The recorded verdicts by the names that the candidate's rewards have now: it may have been given another."""
    names = [candidate.name] if candidate.kind == "reward" else [member.name for member in candidate.members]
    return dict(zip(names, map(Verdict.model_validate, found["verdicts"]), strict=True))


def _fact(number: int) -> str:
    return f"early_checks_{number}"


def _key(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()
