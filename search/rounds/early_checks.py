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

from eval.prescreener import Prescreener
from rewards_generated.gate import check
from rewards_generated.gate.verdict import Verdict
from rewards_generated.rollout import Rollout
from search.ledger import Ledger
from search.proposers.base import Proposal, UnusableItem
from search.rounds.prescreen import primed
from search.session import Run

EXCERPT = 400


class EarlyChecks:
    """Those of one round."""

    def __init__(self, run: Run, number: int, rollouts: Sequence[Rollout]) -> None:
        self._run, self._number, self._rollouts = run, number, rollouts
        self._found: dict[str, dict[str, Any]] = run.ledger.fact(_fact(number)) or {}

    @cached_property
    def _prescreener(self) -> Prescreener | None:
        return primed(self._run, self._rollouts) if self._run.config.prescreen.rejects_duplicates else None

    def __call__(self, proposal: Proposal) -> UnusableItem | None:
        """Why a candidate would not be trained; None: it would."""
        key = _key(proposal.code)
        if key not in self._found:
            verdict = gate_verdict(self._run, proposal.code, self._rollouts)
            duplicate = None
            if verdict.accepted and self._prescreener is not None:
                duplicate = self._prescreener.screen(proposal.name, proposal.code)[0].reason
            self._found[key] = {"verdict": verdict.model_dump(mode="json"), "duplicate": duplicate}
            self._run.ledger.record_fact(_fact(self._number), self._found)
        elif self._prescreener is not None and self._accepted(key):
            # Later candidates are compared with it.
            self._prescreener.screen(proposal.name, proposal.code)
        return self._problem(key, proposal)

    def _accepted(self, key: str) -> bool:
        return bool(self._found[key]["verdict"]["accepted"]) and self._found[key]["duplicate"] is None

    def _problem(self, key: str, proposal: Proposal) -> UnusableItem | None:
        found, excerpt = self._found[key], proposal.code[:EXCERPT]
        verdict = Verdict.model_validate(found["verdict"])
        if not verdict.accepted:
            return UnusableItem("rejected", f"{proposal.name!r}: {'; '.join(verdict.reasons)}", excerpt)
        if found["duplicate"] is not None:
            return UnusableItem("duplicate", f"{proposal.name!r}: {found['duplicate']}", excerpt)
        return None


def early_verdict(ledger: Ledger, number: int, code: str) -> Verdict | None:
    """The gate's, if it was made while the round was proposed."""
    found = (ledger.fact(_fact(number)) or {}).get(_key(code))
    return None if found is None else Verdict.model_validate(found["verdict"])


def gate_verdict(run: Run, code: str, rollouts: Sequence[Rollout]) -> Verdict:
    return check(code, rollouts=rollouts, answers=run.task, settings=run.config.gate, sandbox=run.config.sandbox)


def _fact(number: int) -> str:
    return f"early_checks_{number}"


def _key(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()
