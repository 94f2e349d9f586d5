"""The calls of one round, side by side: who is asked, what is recorded before and after, and when to ask again."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from eval.tasks.testbed.draws import Draws
from rewards_generated.errors import UserError
from search.proposers.base import BudgetExhausted, LanguageModelCall, ProposalRequest, SettleCall, Spending
from search.proposers.collection import Answers, Render
from search.proposers.language_model.bandit import Arm, arms_of, choose
from search.proposers.language_model.budget import Budget
from search.proposers.language_model.provider import Provider, ProviderFailure

if TYPE_CHECKING:
    from search.proposers.language_model.proposer import LanguageModelProposer

LONGEST_WAIT = 60.0
"""Seconds between two attempts at most, unless the provider asks for more."""
LONGEST_WISH = 10 * LONGEST_WAIT
"""Seconds that a provider's own wish is followed."""


@dataclass
class Exchange:
    """One question of the round on its way to an answer."""

    number: int
    """In the round, from 0."""
    render: Render
    provider: Provider
    tries: int = 0
    """Attempts with this provider that the provider itself is to blame for."""
    due: float = 0.0
    """Not sent before, by the monotonic clock."""


@dataclass
class Flight:
    """A request that was sent and not answered yet."""

    exchange: Exchange
    prompt: str
    worst_case: Spending
    settle: SettleCall
    deadline: float


@dataclass
class Exchanges:
    """Recorded answers are taken first; every other request is recorded at its worst case before it is sent, and
    settled when its answer is there. One thread does all of this; others only wait for a provider."""

    proposer: LanguageModelProposer
    request: ProposalRequest
    flying: dict[int, Flight] = field(default_factory=dict)
    arrivals: queue.SimpleQueue[tuple[int, LanguageModelCall | ProviderFailure]] = field(
        default_factory=queue.SimpleQueue
    )
    failed: list[Provider] = field(default_factory=list)
    """Those that are not asked again in this round."""

    def __post_init__(self) -> None:
        settings, recorded = self.proposer.settings, self.request.recorded_calls
        spent = self.request.spent + Spending.of(recorded)
        self.budget = Budget(spent, settings.budget_usd, settings.budget_tokens, settings.budget_calls)
        # Failed attempts are paid for but give nothing to replay: their exchange is simply tried again.
        self.recorded = {call.exchange: call for call in recorded if call.reply is not None}
        self.sent = 0

    @cached_property
    def arms(self) -> list[Arm]:
        """Of the models, in their order: what the choice among them rests on in this round."""
        return arms_of(self.request, [item.model for item in self.proposer.settings.models])

    def __call__(self, first: int, renders: Sequence[Render]) -> Answers:
        """The answers of exchanges `first` and following, in their order.

        Raises UserError when no model is left that answers, after every request under way has been settled.
        """
        answers = {first + n: self.recorded.get(first + n) for n in range(len(renders))}
        waiting = [
            Exchange(number, renders[number - first], self._chosen(number))
            for number, answer in answers.items()
            if answer is None
        ]
        if waiting:
            self.proposer.check_prepared()
            for provider in self.proposer.providers:
                provider.ask_for(self.request.proposes)
        ended: BudgetExhausted | UserError | None = None
        while self.flying or (waiting and ended is None):
            if ended is None:
                ended = self._send_due(waiting)
            if not self.flying and ended is not None:
                break
            arrived = self._next_arrival(waiting if ended is None else [])
            if arrived is None:
                continue
            flight, outcome = arrived
            if isinstance(outcome, LanguageModelCall):
                self._settle(flight, outcome)
                answers[flight.exchange.number] = outcome
                continue
            self._settle(flight, outcome.call)
            try:
                self._again(flight.exchange, outcome)
                waiting.append(flight.exchange)
            except UserError as failure:
                ended = failure
        if isinstance(ended, UserError):
            raise ended
        return Answers([answer for answer in answers.values() if answer is not None], ended)

    def _chosen(self, number: int) -> Provider:
        """The model of an exchange, by weight or by the bandit, of those that have not failed in this round."""
        settings, providers = self.proposer.settings, self.proposer.providers
        left = [place for place, provider in enumerate(providers) if provider not in self.failed]
        draws = Draws(f"models {self.request.round} {self.request.seed} {number} {len(self.failed)}")
        if settings.choice == "bandit":
            return providers[choose({place: self.arms[place] for place in left}, draws, settings.cost_weight)]
        return providers[draws.weighted({place: settings.models[place].weight for place in left})]

    def _send_due(self, waiting: list[Exchange]) -> BudgetExhausted | None:
        """Sends what is due and affordable; what does not fit the budget waits for requests under way, which may turn
        out cheaper than their worst case, and is returned as the end of the budget where there are none."""
        for exchange in sorted(waiting, key=lambda item: item.number):
            if exchange.due > time.monotonic() or len(self.flying) >= self.proposer.settings.parallel:
                continue
            try:
                self._send(exchange)
            except BudgetExhausted as exhausted:
                return None if self.flying else exhausted
            waiting.remove(exchange)
        return None

    def _send(self, exchange: Exchange) -> None:
        provider = exchange.provider
        prompt = exchange.render(provider.form, provider.shortening)
        reserved = replace(provider.unanswered(prompt), exchange=exchange.number)
        worst_case = Spending.of([reserved])
        self.budget.check(worst_case)
        settle = self.request.record_call(reserved)
        self.budget.add(worst_case)
        self.sent += 1
        ticket, values = self.sent, dict(provider.values)
        self.flying[ticket] = Flight(exchange, prompt, worst_case, settle, time.monotonic() + provider.timeout_seconds)

        def fly() -> None:
            try:
                self.arrivals.put((ticket, provider.send(prompt, values)))
            except ProviderFailure as failure:
                self.arrivals.put((ticket, failure))

        # A daemon, so that neither Ctrl-C nor a time-out waits for a reply that dribbles in.
        threading.Thread(target=fly, daemon=True, name=f"request to {provider.model}").start()

    def _next_arrival(self, waiting: Sequence[Exchange]) -> tuple[Flight, LanguageModelCall | ProviderFailure] | None:
        """What comes next of the requests under way; None when it is time to send another."""
        deadlines = [flight.deadline for flight in self.flying.values()]
        due = [exchange.due for exchange in waiting if exchange.due > 0]
        room = len(self.flying) < self.proposer.settings.parallel
        until = min((*deadlines, *(due if room else ())), default=time.monotonic())
        try:
            ticket, outcome = self.arrivals.get(timeout=max(0.001, until - time.monotonic()))
        except queue.Empty:
            for ticket, flight in self.flying.items():
                if flight.deadline <= time.monotonic():
                    return self.flying.pop(ticket), flight.exchange.provider.timed_out(flight.prompt)
            return None
        # An answer after its deadline was counted already.
        return (self.flying.pop(ticket), outcome) if ticket in self.flying else None

    def _settle(self, flight: Flight, call: LanguageModelCall) -> None:
        self.budget.settle(flight.worst_case, Spending.of([call]))
        flight.settle(replace(call, exchange=flight.exchange.number))

    def _again(self, exchange: Exchange, outcome: ProviderFailure) -> None:
        """Prepares another attempt. Raises UserError if no model is left to ask."""
        provider, failure, settings = exchange.provider, outcome.failure, self.proposer.settings
        if (change := provider.mend(failure)) is not None:
            self.request.note(f"{provider.model}: {change}, since it answered: {failure.message}")
            exchange.due = 0.0
            return
        exchange.tries += 1
        if failure.transient and exchange.tries < settings.max_attempts:
            doubled = min(LONGEST_WAIT, settings.retry_wait_seconds * 2.0 ** (exchange.tries - 1))
            wait = max(doubled, min(failure.retry_after or 0.0, LONGEST_WISH))
            exchange.due = time.monotonic() + wait
            self.request.note(
                f"{provider.model}: {failure.message}; attempt {exchange.tries + 1} of {settings.max_attempts} "
                f"in {wait:.3g} s"
            )
            return
        often = "" if exchange.tries == 1 else f" {exchange.tries} times"
        problem = f"proposer model {provider.model!r} failed{often}: {failure.message}"
        if provider not in self.failed:
            self.failed.append(provider)
        if len(self.failed) == len(self.proposer.providers):
            raise UserError(problem)
        exchange.provider, exchange.tries, exchange.due = self._chosen(exchange.number), 0, 0.0
        self.request.note(f"{problem}; {exchange.provider.model} is asked instead")
