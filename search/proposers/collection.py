"""From replies to a round's proposals: what is accepted, what is put aside, and asking again for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from rewards_generated.identity import identity
from search.proposers.base import (
    AwaitingAnswer,
    BudgetExhausted,
    LanguageModelCall,
    Proposal,
    ProposalBatch,
    ProposalRequest,
    UnusableItem,
)
from search.proposers.prompt import FollowUp, Form, render_prompt
from search.proposers.reply import ReplyItem, excerpt, parse_reply
from search.proposers.settings import PromptSettings

REFLECTION = "reflection"

Render = Callable[[Form], str]
"""The prompt of the next exchange, in the form of answer that the model of this exchange can give."""


@dataclass
class Collection:
    """The proposals of one round as they come in."""

    request: ProposalRequest
    accepted: list[Proposal] = field(default_factory=list)
    aside: list[Proposal] = field(default_factory=list)
    """Good candidates beyond the share left over by the demanded reflection variants; used if those never come."""
    unusable: list[UnusableItem] = field(default_factory=list)
    identities: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.names.update(self.request.feedback.names)

    @property
    def missing(self) -> int:
        return self.request.count - len(self.accepted)

    @property
    def missing_reflections(self) -> int:
        have = sum(item.family == REFLECTION for item in self.accepted)
        return max(0, min(self.request.reflection_minimum, self.request.count) - have)

    def add_reply(self, call: LanguageModelCall) -> None:
        items, unusable = parse_reply(call.reply or "", call.finish_reason)
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
        return ProposalBatch(tuple(proposals), (*self.unusable, *surplus))

    def _add(self, item: ReplyItem, origin: str) -> None:
        digest = identity(item.code)
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
            room = item.family == REFLECTION or self.missing > self.missing_reflections
            (self.accepted if room else self.aside).append(proposal)

    def _unique(self, name: str) -> str:
        unique, number = name, 2
        while unique in self.names:
            unique, number = f"{name}_{number}", number + 1
        self.names.add(unique)
        return unique


def collect(
    request: ProposalRequest,
    settings: PromptSettings,
    exchange: Callable[[Render], LanguageModelCall],
    candidates_per_call: int | None = None,
) -> ProposalBatch:
    """Asks through `exchange` until the round is full or the follow-ups are used up.

    `exchange` gets a function that renders the prompt, and returns a call with a reply. It may raise
    BudgetExhausted: what has come in is then the round, unless nothing has; or AwaitingAnswer, which then says what has
    come in.
    """
    collection = Collection(request)
    per_call = candidates_per_call or request.count
    for number in range(math.ceil(request.count / per_call) + settings.max_follow_ups):
        if collection.missing <= 0:
            break
        wanted = min(per_call, collection.missing)
        follow_up = FollowUp(tuple(collection.accepted), tuple(collection.unusable)) if number else None

        def render(form: Form, wanted: int = wanted, follow_up: FollowUp | None = follow_up) -> str:
            reflections = min(wanted, collection.missing_reflections)
            return render_prompt(
                request, settings, form=form, count=wanted, reflection_count=reflections, follow_up=follow_up
            )

        try:
            call = exchange(render)
        except BudgetExhausted:
            if not collection.accepted and not collection.aside:
                raise
            break
        except AwaitingAnswer as waiting:
            waiting.taken, waiting.unusable = len(collection.accepted), tuple(collection.unusable)
            raise
        collection.add_reply(call)
    return collection.batch()
