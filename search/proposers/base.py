"""The contract of proposers: what they are told, what they answer, and what is kept of every call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from rewards_generated.answers import ANSWER_FORMATS, AnswerFormat
from rewards_generated.contract import Contract
from rewards_generated.reward_set import Proposes
from rewards_generated.rollout import Rollout
from search.config.names import FeedbackMode
from search.proposers.question.evidence import QuestionKind, Reference, Training

if TYPE_CHECKING:
    from eval.prescreening import PreScreening
    from eval.report.data import Flag


@dataclass(frozen=True, slots=True)
class LanguageModelCall:
    """One exchange with a language model (or a person), recorded as soon as it ends."""

    model: str
    prompt: str
    reply: str | None
    """None: no reply came; `error` says why."""
    error: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0
    """None: the provider's price is unknown."""
    seconds: float = 0.0
    finish_reason: str = ""
    """What the provider says of the reply's end: `stop`, `length`, `content_filter`, `refusal`; needed for replay."""
    exchange: int = 0
    """Which question of its round it belongs to, counted from 0; attempts at one question share it."""


SettleCall = Callable[[LanguageModelCall], None]
"""Replaces what was recorded of a call by what came of it."""


def _kept_nowhere(call: LanguageModelCall) -> SettleCall:
    return lambda settled: None


@dataclass(frozen=True, slots=True)
class Spending:
    """What a search has used up on language models so far."""

    calls: int = 0
    """Requests sent, whether they were answered or not."""
    tokens: int = 0
    """Of prompts and completions together."""
    cost_usd: float = 0.0
    """Of the calls whose price is known."""
    unpriced_calls: int = 0
    """Calls whose price is unknown; they add nothing to `cost_usd`."""

    @classmethod
    def of(cls, calls: Iterable[LanguageModelCall]) -> Spending:
        return sum((cls._of_one(call) for call in calls), cls())

    @classmethod
    def _of_one(cls, call: LanguageModelCall) -> Spending:
        return cls(
            calls=1,
            tokens=call.prompt_tokens + call.completion_tokens,
            cost_usd=call.cost_usd or 0.0,
            unpriced_calls=int(call.cost_usd is None),
        )

    def __add__(self, other: Spending) -> Spending:
        return Spending(
            self.calls + other.calls,
            self.tokens + other.tokens,
            self.cost_usd + other.cost_usd,
            self.unpriced_calls + other.unpriced_calls,
        )

    def __sub__(self, other: Spending) -> Spending:
        return Spending(
            self.calls - other.calls,
            self.tokens - other.tokens,
            self.cost_usd - other.cost_usd,
            self.unpriced_calls - other.unpriced_calls,
        )


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate as proposed: parsed, not yet checked by the gate."""

    name: str
    code: str
    """Of a set its text, see `rewards_generated.reward_set`."""
    origin: str
    """Where it comes from: a model's name, `library`, `mutation`, `crossover`, `manual`."""
    description: str = ""
    family: str = ""
    """Such as `reflection`, `correctness`, `format`, `process`, `length`."""
    parents: tuple[str, ...] = ()
    """Identities of the candidates it was made from."""


@dataclass(frozen=True, slots=True)
class UnusableItem:
    """Something in a reply that did not become a proposal, and why."""

    reason: Literal["malformed", "truncated", "refused", "duplicate", "surplus", "rejected"]
    detail: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class ProposalBatch:
    proposals: tuple[Proposal, ...]
    unusable: tuple[UnusableItem, ...] = ()
    untrainable: tuple[Proposal, ...] = ()
    """Candidates beside `proposals` that `ProposalRequest.problem` spoke against; they are recorded with why."""
    exhausted: str = ""
    """The limit of the budget that kept the rest from being asked for, in words; empty: none did."""


@dataclass(frozen=True, slots=True)
class RankedCandidate:
    """One screened candidate as the feedback shows it. Scores are of the validation split."""

    name: str
    identity: str
    round: int
    code: str
    family: str
    parents: tuple[str, ...]
    f1: float
    f1_low: float
    f1_high: float
    accuracy: float
    extraction_rate: float
    firing_rate: float | None
    mean_completion_tokens: float
    notes: tuple[str, ...] = ()
    prescreening: PreScreening | None = None
    """Its figures on base-policy rollouts, made before it was trained; None: there are none."""
    flags: tuple[Flag, ...] = ()
    """Signs of reward hacking in its training."""
    stopped_after: int | None = None
    """Steps after which successive halving stopped it, and of which its figures are; None: it trained to the end."""
    description: str = ""
    alike: frozenset[str] = frozenset()
    """Names of the candidates that it is too like for both to be shown."""
    training: Training | None = None


@dataclass(frozen=True, slots=True)
class FailedCandidate:
    """A candidate without a score: rejected by the gate, or like an earlier one, or its run failed."""

    name: str
    identity: str | None
    round: int
    code: str
    reasons: tuple[str, ...]
    duplicate: bool = False
    """It was not trained because an earlier candidate ranks rollouts alike; it may well be a good idea."""
    description: str = ""
    family: str = ""


@dataclass(frozen=True, slots=True)
class ProposedCandidate:
    """A candidate of an earlier round without a word of what came of it."""

    name: str
    identity: str | None
    round: int
    code: str
    family: str = ""
    description: str = ""
    alike: frozenset[str] = frozenset()
    """As of a ranked one."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What earlier rounds taught, already in the order in which the proposer may see it.

    With modes `none` and `independent` there is nothing but `proposed`, which the latter's question does not show
    either: its names and identities are only not to be used again. With `shuffled` the scores, and with them who was
    stopped, are permuted over the candidates.
    """

    mode: FeedbackMode
    ranked: tuple[RankedCandidate, ...] = ()
    failed: tuple[FailedCandidate, ...] = ()
    stopped: tuple[RankedCandidate, ...] = ()
    """Those that successive halving stopped, the longest trained first: no rank, and no figure to compare with others'
    of other steps."""
    luck_known: bool = False
    """Whether the intervals hold new training seeds as well as new questions."""
    proposed: tuple[ProposedCandidate, ...] = ()
    """All candidates of earlier rounds, in the order of proposal."""
    leader_kinds: tuple[QuestionKind, ...] = ()
    """Which kinds of questions the first of `ranked` answers rightly and which it does not."""

    @property
    def names(self) -> frozenset[str]:
        """Of all candidates that are mentioned."""
        scored = {item.name for item in (*self.ranked, *self.stopped)}
        return frozenset(scored | {item.name for item in self.failed} | {item.name for item in self.proposed})


@dataclass(frozen=True, slots=True)
class EarlierRound:
    """What was asked of language models in one round, and what came of it."""

    calls: Sequence[LanguageModelCall]
    origins: Mapping[str, str]
    """Of its candidates, by name: the models that proposed them."""


@dataclass(frozen=True, slots=True)
class ProposalRequest:
    round: int
    """Counts from 1."""
    count: int
    reflection_minimum: int
    feedback: Feedback
    task_description: str
    question_answer_pairs: Sequence[tuple[str, str]]
    """Train-split questions with gold answers."""
    rollouts: Sequence[Rollout]
    """Base-policy rollouts of the train split, right and wrong."""
    seed: int
    """Of this round; every random choice of the proposer comes from it."""
    known_identities: frozenset[str]
    """Identities of every candidate of earlier rounds: proposing one again is a duplicate."""
    recorded_calls: Sequence[LanguageModelCall] = ()
    """Calls of this round that an interrupted run already made and paid for, in order; they are replayed first."""
    record_call: Callable[[LanguageModelCall], SettleCall] = field(default=_kept_nowhere)
    """Called once per new call: with its worst case before it is sent, so that nothing that may be billed is lost, and
    the function that it returns with what came of it; or only with the finished call, before anything is made of it."""
    problem: Callable[[Proposal], UnusableItem | None] = field(default=lambda proposal: None)
    """Why a candidate would not be trained (the gate rejects it, or an earlier one is like it), so that another can be
    asked for in its place; None: it would. Asked once per candidate, in their order."""
    note: Callable[[str], None] = field(default=lambda text: None)
    """Tells the user something while the proposer works, such as what it waits for."""
    spent: Spending = Spending()
    """Of all earlier rounds, without `recorded_calls`; the hard budget counts both."""
    earlier: Sequence[EarlierRound] = ()
    """In order, for the choice among several models."""
    base_rewards: Sequence[str] = ()
    """Names of the base rewards that are added to every candidate, for the prompt to describe."""
    answer_format: AnswerFormat = ANSWER_FORMATS["solution"]
    """Of the task: where completions put reasoning and answer."""
    worked_solutions: bool = False
    """Whether the task has worked solutions, for rewards that ask for them."""
    proposes: Proposes = "reward"
    """What a proposal is: the code of one reward, or the text of a set (`rewards_generated.reward_set`)."""
    contracts: Sequence[Contract] = ("completion",)
    """What rewards may see (see `rewards_generated.contract`)."""
    rejects_duplicates: bool = False
    """Whether a candidate that behaves like an earlier one on the base policy's rollouts is left untrained."""
    examples_seed: int = 0
    """The same in every round of a search: rounds show different examples as long as there are any."""
    secret: str = field(default="", repr=False)
    """Of the run, from which the marks round untrusted text are made; no prompt holds it."""
    reference: Reference | None = None
    """How candidates are trained and judged, and what adding nothing scores; None: unknown."""


class AwaitingAnswer(Exception):
    """The manual proposer has no answer yet: the search stops cleanly and says what to do."""

    def __init__(self, prompt: str) -> None:
        super().__init__("the manual proposer waits for an answer")
        self.prompt = prompt
        """The exact text to be answered."""
        self.taken = 0
        """Candidates that earlier answers of this round brought."""
        self.unusable: tuple[UnusableItem, ...] = ()
        """What earlier answers of this round held besides, with reasons."""


class BudgetExhausted(Exception):
    """The next call could pass the hard budget; nothing was sent."""


class Proposer(Protocol):
    """May also have `prepare() -> None`, which raises UserError before a search spends anything (see registry)."""

    name: str

    def propose(self, request: ProposalRequest) -> ProposalBatch:
        """At most `request.count` distinct proposals, none of them known.

        Raises AwaitingAnswer or BudgetExhausted; a provider's failure is recorded and, after the retries, raised
        as UserError.
        """
        ...
