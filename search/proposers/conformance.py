"""What every proposer has to do, as one function: `check_proposer(MyProposer)` in a test of one's own."""

from __future__ import annotations

from collections.abc import Callable

from rewards_generated.identity import CodeUnreadable, identity
from rewards_generated.rollout import Rollout
from search.proposers.base import (
    FailedCandidate,
    Feedback,
    ProposalBatch,
    ProposalRequest,
    Proposer,
    RankedCandidate,
)

QUESTION = "How much is 2 + 3?"
RIGHT = "<thinking>2 + 3 = 5</thinking>\n<solution>5</solution>"
WRONG = "<thinking>2 + 3 = 6</thinking>\n<solution>6</solution>"


def check_proposer(build: Callable[[], Proposer], repeatable: bool = True) -> None:
    """Asks for three rounds: the first, one after a ranking, and one after nothing but failures.

    `build`: makes a new proposer. `repeatable`: whether equal requests are to give equal proposals, as they should
    wherever no language model is asked. Raises AssertionError with one sentence for the first thing that is wrong.
    """
    assert isinstance(build().name, str), "a proposer has a `name`"
    assert build().name, "the `name` of a proposer is not empty"
    proposer = build()
    first = _checked(proposer, _request(1, Feedback("ranked"), frozenset()))
    ranked = tuple(
        RankedCandidate(
            name=item.name,
            identity=identity(item.code),
            round=1,
            code=item.code,
            family=item.family,
            parents=(),
            f1=0.8 - place / 10,
            f1_low=0.7 - place / 10,
            f1_high=0.9 - place / 10,
            accuracy=0.6 - place / 10,
            extraction_rate=1.0,
            firing_rate=None,
            mean_completion_tokens=30.0,
        )
        for place, item in enumerate(first.proposals)
    )
    known = frozenset(item.identity for item in ranked)
    _checked(proposer, _request(2, Feedback("ranked", ranked), known))
    failed = tuple(FailedCandidate(item.name, item.identity, 1, item.code, ("it failed",)) for item in ranked)
    _checked(proposer, _request(2, Feedback("ranked", (), failed), known))
    _checked(proposer, _request(2, Feedback("none"), known))
    if repeatable:
        request = _request(1, Feedback("ranked"), frozenset())
        codes = [[item.code for item in build().propose(request).proposals] for _ in range(2)]
        assert codes[0] == codes[1], "equal requests give equal proposals: every choice comes from `request.seed`"


def _request(number: int, feedback: Feedback, known: frozenset[str]) -> ProposalRequest:
    rollouts = [Rollout(QUESTION, completion, "5", completion is RIGHT, True, "q") for completion in (RIGHT, WRONG) * 4]
    return ProposalRequest(
        round=number,
        count=3,
        reflection_minimum=0,
        feedback=feedback,
        task_description="Sums of two numbers, answered in <solution> tags.",
        question_answer_pairs=[(QUESTION, "5")],
        rollouts=rollouts,
        seed=7,
        known_identities=known,
        base_rewards=("answer_check",),
    )


def _checked(proposer: Proposer, request: ProposalRequest) -> ProposalBatch:
    batch = proposer.propose(request)
    assert batch.proposals or batch.unusable, "a round brings something, be it unusable"
    assert len(batch.proposals) <= request.count, "no more proposals than were asked for"
    names = [item.name for item in batch.proposals]
    assert len(set(names)) == len(names), "proposals of a round have different names"
    identities = set()
    for item in batch.proposals:
        assert item.name, "every proposal has a name"
        try:
            identities.add(identity(item.code))
        except CodeUnreadable:
            raise AssertionError(f"the code of {item.name} is Python; what is not belongs to `unusable`") from None
    assert len(identities) == len(names), "proposals of a round are different code"
    assert not identities & request.known_identities, "nothing is proposed that an earlier round has proposed"
    return batch
