"""From replies to a round's proposals: what is accepted, what is put aside, and asking again for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from rewards_generated.reward_set import candidate_identity
from search.proposers.base import (
    AwaitingAnswer,
    BudgetExhausted,
    LanguageModelCall,
    Proposal,
    ProposalBatch,
    ProposalRequest,
    UnusableItem,
)
from search.proposers.question.prompt import FollowUp, Form, render_prompt
from search.proposers.replies.reply import ReplyItem, excerpt, parse_reply
from search.proposers.replies.sets import parse_set_reply
from search.proposers.settings import PromptSettings

REFLECTION = "reflection"


class Render(Protocol):
    """The prompt of a question, in the form of answer that its model can give, shortened by so many levels."""

    def __call__(self, form: Form, shortening: int = 0) -> str: ...


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of a wave of questions, in their order; `exhausted`: why some were not asked."""

    calls: Sequence[LanguageModelCall]
    exhausted: BudgetExhausted | None = None


@dataclass
class Collection:
    """The proposals of one round as they come in."""

    request: ProposalRequest
    accepted: list[Proposal] = field(default_factory=list)
    aside: list[Proposal] = field(default_factory=list)
    """Good candidates beyond the share left over by the demanded reflection variants; used if those never come."""
    unusable: list[UnusableItem] = field(default_factory=list)
    untrainable: list[Proposal] = field(default_factory=list)
    """Candidates that would not be trained; their places are asked for again."""
    problems: list[UnusableItem] = field(default_factory=list)
    """Why, one for each of them."""
    identities: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.names.update(self.request.feedback.names)

    @property
    def missing(self) -> int:
        return self.request.count - len(self.accepted)

    @property
    def empty(self) -> bool:
        """Whether not a single candidate has come in, trainable or not."""
        return not (self.accepted or self.untrainable)

    @property
    def missing_reflections(self) -> int:
        have = sum(item.family == REFLECTION for item in self.accepted)
        return max(0, min(self.request.reflection_minimum, self.request.count) - have)

    def add_reply(self, call: LanguageModelCall) -> None:
        reply, reason = call.reply or "", call.finish_reason
        if self.request.proposes == "reward_set":
            items, unusable = parse_set_reply(reply, reason, self.request.base_rewards)
        else:
            items, unusable = parse_reply(reply, reason)
        self.unusable.extend(unusable)
        for item in items:
            self._add(item, call.model)

    def batch(self) -> ProposalBatch:
        """Candidates put aside fill what is still missing; the rest of them is surplus."""
        proposals, aside = list(self.accepted), list(self.aside)
        while aside and len(proposals) < self.request.count:
            proposals.append(aside.pop(0))
        surplus = [
            UnusableItem(
                "surplus", f"{item.name!r}: enough candidates that are not of the family reflection", excerpt(item.code)
            )
            for item in aside
        ]
        return ProposalBatch(tuple(proposals), (*self.unusable, *surplus), tuple(self.untrainable))

    def _add(self, item: ReplyItem, origin: str) -> None:
        digest = candidate_identity(item.code, self.request.proposes)
        assert digest is not None  # what was read is Python
        if digest in self.request.known_identities or digest in self.identities:
            earlier = "an earlier round" if digest in self.request.known_identities else "this round"
            detail = f"{item.name!r} is the same code as a candidate of {earlier}"
            self.unusable.append(UnusableItem("duplicate", detail, excerpt(item.code)))
        elif self.missing <= 0:
            detail = f"{item.name!r}: more candidates than were asked for"
            self.unusable.append(UnusableItem("surplus", detail, excerpt(item.code)))
        else:
            self.identities.add(digest)
            proposal = Proposal(self._unique(item.name), item.code, origin, item.description, item.family)
            if not (item.family == REFLECTION or self.missing > self.missing_reflections):
                self.aside.append(proposal)  # unchecked: it may never be used
            elif problem := self.request.problem(proposal):
                self.untrainable.append(proposal)
                self.problems.append(problem)
            else:
                self.accepted.append(proposal)

    def _unique(self, name: str) -> str:
        unique, number = name, 2
        while unique in self.names:
            unique, number = f"{name}_{number}", number + 1
        self.names.add(unique)
        return unique


def collect(
    request: ProposalRequest,
    settings: PromptSettings,
    exchange: Callable[[int, Sequence[Render]], Answers],
    *,
    per_call: int | None = None,
    parallel: int = 1,
    patient: bool = False,
) -> ProposalBatch:
    """Asks through `exchange` until the round is full or the follow-ups are used up.

    `exchange` gets the place of the first question in the round and functions that render the prompts of a wave,
    questions that do not know each other's answers; it gives their answers in this order. It may raise AwaitingAnswer,
    which then says what has come in. `per_call`: candidates asked for in one question, None all of them; `parallel`:
    questions of a wave at most; `patient`: follow-ups have no end while not a single candidate has come in.
    Raises BudgetExhausted if that ended the round before anything came in.
    """
    collection = Collection(request)
    per_call = per_call or request.count
    asked, limit = 0, math.ceil(request.count / per_call) + settings.max_follow_ups
    while collection.missing > 0 and (asked < limit or (patient and collection.empty)):
        width = min(parallel, math.ceil(collection.missing / per_call), max(1, limit - asked))
        try:
            answers = exchange(asked, _wave(collection, settings, width, per_call, first=not asked))
        except AwaitingAnswer as waiting:
            waiting.taken = len(collection.accepted)
            waiting.unusable = (*collection.unusable, *collection.problems)
            raise
        for call in answers.calls:
            collection.add_reply(call)
        if answers.exhausted is not None:
            batch = collection.batch()
            if not (batch.proposals or batch.unusable or batch.untrainable):
                raise answers.exhausted
            return replace(batch, exhausted=str(answers.exhausted))
        asked += width
    return collection.batch()


def _wave(collection: Collection, settings: PromptSettings, width: int, per_call: int, *, first: bool) -> list[Render]:
    """The prompts of so many questions, each for its share of what is missing."""
    missing, reflections = collection.missing, collection.missing_reflections
    follow_up = None if first else FollowUp(tuple(collection.accepted), (*collection.unusable, *collection.problems))
    renders: list[Render] = []
    for place in range(width):
        wanted = min(per_call, missing)
        minimum = min(wanted, reflections)
        missing, reflections = missing - wanted, reflections - minimum

        def render(
            form: Form, shortening: int = 0, place: int = place, wanted: int = wanted, minimum: int = minimum
        ) -> str:
            return render_prompt(
                collection.request,
                settings,
                form=form,
                count=wanted,
                reflection_count=minimum,
                follow_up=follow_up,
                shortening=shortening,
                sample=place,
            )

        renders.append(render)
    return renders
