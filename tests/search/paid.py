"""A proposer whose answers cost something, for tests of what a killed search has paid."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from search.proposers.base import LanguageModelCall, Proposal, ProposalBatch, ProposalRequest
from tests.search.searches import reward_code


class PaidProposer:
    """Asks for one candidate per exchange. Every request that is sent is a line in the file `bill`, written when it is
    worked on: between the row that reserves it and the row that holds its answer."""

    name = "paid"

    def __init__(self, bill: str) -> None:
        self.bill = Path(bill)

    def propose(self, request: ProposalRequest) -> ProposalBatch:
        recorded = {call.exchange: call for call in request.recorded_calls if call.reply is not None}
        proposals = []
        for exchange in range(request.count):
            call = recorded.get(exchange) or self._asked(request, exchange)
            number = int(call.reply or "")
            proposals.append(Proposal(f"reward-{number}", reward_code(number), "paid", family="correctness"))
        return ProposalBatch(tuple(proposals))

    def _asked(self, request: ProposalRequest, exchange: int) -> LanguageModelCall:
        reserved = LanguageModelCall(
            "paid", f"{request.round} {exchange}", None, "none yet", 10, 10, 1.0, exchange=exchange
        )
        settle = request.record_call(reserved)
        with self.bill.open("a", encoding="utf-8") as file:
            file.write(json.dumps([request.round, exchange]) + "\n")
            file.flush()
            os.fsync(file.fileno())
        ranked = request.feedback.ranked
        best = int(ranked[0].name.split("-")[1].split("_")[0]) % 7 if ranked else 0
        reply = str(100 * request.round + best + exchange)
        call = replace(reserved, reply=reply, error=None, prompt_tokens=5, completion_tokens=5, cost_usd=0.25)
        settle(call)
        return call
