"""Ask and tell for programs: where a search stands, what it asks, and what became of an answer, as JSON.

`docs/agents/exchange.md` describes the form. Fields keep their names and meaning within a version; new ones may come.
"""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from rewards_generated.base import BASE_REWARDS
from rewards_generated.contract import GROUP_SIGNATURE, SIGNATURE
from rewards_generated.gate.static_rules import MODULES
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY, UNTRAINED
from search.config.source import parse_config
from search.driver.status import State, state_of
from search.ledger import Ledger
from search.proposers.manual import ManualSettings
from search.proposers.question.prompt import FAMILIES
from search.results.notes import nothing_scored
from search.results.ranking import Outcome, outcomes

VERSION = 1


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Refused(_Form):
    """Something in an answer that did not become a candidate."""

    reason: str
    """malformed, truncated, refused, duplicate, surplus, or rejected by the gate."""
    detail: str
    """In a sentence."""


class Contract(_Form):
    """What every candidate has to be."""

    signature: str
    """Of the one function at the top level of its module."""
    group_signature: str | None
    """Of a function that sees all completions of a prompt, where the search takes such ones; null: it does not."""
    modules: list[str]
    """That it may import."""
    families: list[str]
    """Of which it names one."""


class Question(_Form):
    """What the search waits for."""

    prompt: str
    """All that a proposer is told, and the form of the answer."""
    wanted: int
    """Candidates that are still missing in this round."""
    reflection_minimum: int
    """So many of the round's candidates at least are to be of the family reflection."""
    taken: int
    """Candidates that earlier answers of this round brought."""
    refused: list[Refused]
    """What earlier answers of this round held besides."""
    answers_left: int
    """After so many answers the round goes on with the candidates that it has, if there is any."""
    names_taken: list[str]
    """A candidate with one of these names is given another."""
    contract: Contract


class Score(_Form):
    """A figure of the split that ranks, with its 95 % interval."""

    value: float
    low: float
    high: float


class Told(_Form):
    """A candidate that an answer brought."""

    name: str
    family: str
    status: str
    """screened, rejected (by the gate), duplicate (of another, before training), stopped (after fewer steps), failed
    (no score) or pending (not trained yet)."""
    reasons: list[str]
    """Why it has no score, in sentences."""
    f1: Score | None
    """Null without a score, and where the search tells its proposer no results (search.feedback)."""
    accuracy: Score | None
    """The same."""


class Answered(_Form):
    """What became of the answers to a round."""

    round: int
    complete: bool
    """Whether the round has all its candidates; if not, the question asks for the rest."""
    taken: int
    """Candidates so far."""
    candidates: list[Told]
    """Of a complete round; until then none."""
    refused: list[Refused]
    """What the round's answers held besides."""


class Exchange(_Form):
    """What `ask --json` and `tell --json` print."""

    version: int
    """Of this form."""
    run: str
    """Folder of the run, absolute."""
    state: State
    """waiting (for an answer), running, stopped or finished."""
    round: int
    """In which the search is, from 1."""
    rounds: int
    """Of the search."""
    candidates_left: int
    """That may still be proposed, in this round and those to come."""
    question: Question | None
    """Null unless the state is waiting."""
    answered: Answered | None
    """The round that `tell` answered; null of `ask`."""
    next: str
    """The command that goes on from here."""


def exchange(folder: Path, answered: int | None = None) -> Exchange:
    """Where the search stands; `answered`: the round whose answer was just told. Raises UserError if there is none."""
    with closing(Ledger.open(folder)) as ledger:
        config, state = parse_config(ledger.fact("config")), state_of(folder, ledger)
        proposed, plan = len(ledger.rounds()), config.search
        question = _question(config, ledger) if state == "waiting" else None
        in_open_round = (question.wanted if question else plan.candidates_per_round) if proposed < plan.rounds else 0
        return Exchange(
            version=VERSION,
            run=str(folder.absolute()),
            state=state,
            round=min(proposed + 1, plan.rounds),
            rounds=plan.rounds,
            candidates_left=in_open_round + max(0, plan.rounds - proposed - 1) * plan.candidates_per_round,
            question=question,
            answered=None if answered is None else _answered(config, ledger, answered),
            next=_next(folder, state, config, ledger),
        )


def _question(config: SearchConfig, ledger: Ledger) -> Question:
    asked = ledger.fact("question")
    given = len(ledger.calls(asked["round"]))
    follow_ups = config.proposer.options.get("max_follow_ups", ManualSettings().max_follow_ups)
    used = {*BASE_REWARDS, BASE_ONLY, UNTRAINED, *(candidate.name for candidate in ledger.candidates())}
    return Question(
        prompt=asked["prompt"],
        wanted=config.search.candidates_per_round - asked["taken"],
        reflection_minimum=config.search.reflection_minimum,
        taken=asked["taken"],
        refused=[Refused(**item) for item in asked["refused"]],
        answers_left=max(1, 1 + follow_ups - given),
        names_taken=sorted(used),
        contract=Contract(
            signature=SIGNATURE if "completion" in config.search.contracts else GROUP_SIGNATURE,
            group_signature=GROUP_SIGNATURE if "group" in config.search.contracts else None,
            modules=sorted(MODULES - {"__future__", "logging"}),
            families=list(FAMILIES),
        ),
    )


def _answered(config: SearchConfig, ledger: Ledger, number: int) -> Answered:
    recorded = next((item for item in ledger.rounds() if item.number == number), None)
    if recorded is None:
        open_question = ledger.fact("question") or {"taken": 0, "refused": []}
        refused = [Refused(**item) for item in open_question["refused"]]
        return Answered(round=number, complete=False, taken=open_question["taken"], candidates=[], refused=refused)
    own = [outcome for outcome in outcomes(config, ledger) if outcome.candidate.round == number]
    return Answered(
        round=number,
        complete=True,
        taken=len(own),
        candidates=[_told(outcome, told=config.search.feedback == "ranked") for outcome in own],
        refused=[Refused(reason=item.reason, detail=item.detail) for item in recorded.unusable],
    )


def _told(outcome: Outcome, *, told: bool) -> Told:
    scores = outcome.scores if told else None
    f1, accuracy = (
        figure and Score(value=figure.value, low=figure.low, high=figure.high)
        for figure in ((scores.f1, scores.accuracy) if scores else (None, None))
    )
    return Told(
        name=outcome.candidate.name,
        family=outcome.candidate.family,
        status=outcome.status,
        reasons=list(outcome.reasons),
        f1=f1,
        accuracy=accuracy,
    )


def _next(folder: Path, state: State, config: SearchConfig, ledger: Ledger) -> str:
    commands: dict[State, list[str]] = {
        "waiting": ["tell", str(folder), "answer.md", "--json"],
        "running": ["ask", str(folder), "--json"],
        "stopped": ["run", "--run-dir", str(folder), "--resume"],
        "finished": ["leaderboard", str(folder), "--format", "json"],
    }
    command = ["reward-search", *commands[state]]
    if state == "stopped" and nothing_scored(config, ledger):
        command += ["--set", f"search.rounds={config.search.rounds + 1}"]
    return shlex.join(command)
