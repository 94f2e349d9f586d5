"""A proposer of one's own: rewards from a template, whose number moves towards that of the best candidate so far.

    proposer: {name: "examples.proposer_of_ones_own:MovingNumber", options: {start: 0.2}}

in a configuration, run from the folder above this one. `check_proposer` says whether it does all that a proposer has to
do; run this file to see it:  python examples/proposer_of_ones_own.py
"""

from __future__ import annotations

import random
import re

from rewards_generated.identity import identity
from search.proposers.base import Proposal, ProposalBatch, ProposalRequest
from search.proposers.conformance import check_proposer

TEMPLATE = '''"""Pays {bonus:.4f} for each equation, on top of 1 for the right answer in its tags."""

import re


def reward(prompt: str, completion: str, answer: str) -> float:
    right = 1.0 if f"<solution>{{answer}}</solution>" in completion else 0.0
    return right + {bonus:.4f} * min(5, len(re.findall("[0-9]+ = [0-9]+", completion)))
'''


class MovingNumber:
    name = "moving-number"

    def __init__(self, start: float = 0.1) -> None:
        self.start = start

    def propose(self, request: ProposalRequest) -> ProposalBatch:
        draws = random.Random(request.seed)
        centre = self.start
        if request.feedback.ranked:
            found = re.search(r"Pays ([0-9.]+) ", request.feedback.ranked[0].code)
            centre = float(found[1]) if found else centre
        proposals: dict[str, Proposal] = {}
        while len(proposals) < request.count:
            bonus = centre * draws.uniform(0.5, 2.0)
            name, code = f"equations_{bonus:.4f}".replace(".", "_"), TEMPLATE.format(bonus=bonus)
            if identity(code) not in request.known_identities:
                proposals[name] = Proposal(name, code, self.name)
        return ProposalBatch(tuple(proposals.values()))


if __name__ == "__main__":
    check_proposer(MovingNumber)
    print("it does all that a proposer has to do")
