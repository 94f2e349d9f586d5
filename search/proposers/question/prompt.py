"""The text that a language model or a person gets: everything a proposer may know, and nothing of the test split."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from eval.tasks.testbed.draws import Draws
from rewards_generated.answers import AnswerFormat, AnswerRules
from rewards_generated.base import base_rewards
from rewards_generated.contract import GROUP_SIGNATURE, SIGNATURE
from rewards_generated.errors import UserError
from rewards_generated.rollout import Rollout
from search.proposers.base import (
    FailedCandidate,
    Feedback,
    Proposal,
    ProposalRequest,
    ProposedCandidate,
    RankedCandidate,
    UnusableItem,
)
from search.proposers.question.evidence import LateCompletion
from search.proposers.question.selection import Lesson, drawn, lessons, middle, unlike
from search.proposers.question.tables import (
    curve,
    kinds,
    markdown,
    notes_explained,
    proposed,
    ranking_rows,
    reference_table,
    signs,
    unscored,
)
from search.proposers.question.tokens import estimated_tokens
from search.proposers.settings import PromptSettings

if TYPE_CHECKING:
    from jinja2 import Template

Form = Literal["json", "fenced"]
Item = TypeVar("Item")

FAMILIES = ("reflection", "correctness", "process", "format", "length", "keyword", "other")
TEMPLATE = Path(__file__).parent / "prompts" / "proposal.md.j2"
MARK = 8
"""Hex digits of what stands between untrusted text and the rest; another in every request, made with the secret of the
run, so that nobody can write it down beforehand, and a resumed run asks the same question."""
SHORTEST = 3
"""Level of shortening beyond which a prompt would say too little."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_PROBLEMS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What earlier replies of the same round gave, for the prompt that asks for the rest."""

    accepted: tuple[Proposal, ...]
    unusable: tuple[UnusableItem, ...]


def render_prompt(
    request: ProposalRequest,
    settings: PromptSettings,
    *,
    form: Form = "fenced",
    count: int | None = None,
    reflection_count: int | None = None,
    follow_up: FollowUp | None = None,
    shortening: int = 0,
    sample: int = 0,
) -> str:
    """The prompt. `count` and `reflection_count` default to the request's; a follow-up asks for less.

    `shortening`: how much less is shown than usual, 0 to SHORTEST. `sample`: which sample of questions and completions
    is shown. Of what is shown, as much is cut as `settings.prompt_tokens` demands. A function of its arguments alone.
    Raises UserError if the user's own template cannot be read or fails.
    """
    settings = settings.shortened(shortening)
    text = ""
    for cut in settings.cuts():
        text = _rendered(
            request,
            cut,
            settings,
            form=form,
            count=request.count if count is None else count,
            reflection_count=request.reflection_minimum if reflection_count is None else reflection_count,
            follow_up=_follow_up(follow_up),
            sample=sample,
        )
        if estimated_tokens(text) <= settings.prompt_tokens:
            break
    return text


def _rendered(
    request: ProposalRequest, settings: PromptSettings, whole: PromptSettings, *, sample: int, **asked: object
) -> str:
    """`whole`: the settings before anything was cut to fit, by which the rounds take turns with examples."""
    from jinja2 import TemplateError

    told = f"mark {request.seed} {request.round} {sample} {sorted(asked.items(), key=lambda item: item[0])}"
    mark = "data-" + hmac.new(request.secret.encode(), told.encode(), hashlib.sha256).hexdigest()[:MARK]
    feedback = request.feedback
    blocks: list[str] = []

    def data(kind: str, text: str) -> str:
        """Untrusted text between marks that it cannot forge: the mark itself is taken out of it."""
        kind, text = (_without(_plain(part), mark) for part in (kind, text))
        kind = kind.replace("\n", " ").replace("]", ")")
        blocks.append(f"[{mark} {kind}]\n{text.strip()}\n[end {mark}]")
        # A control character holds the place, since no text can contain it: data keeps its own blank lines.
        return f"\0{len(blocks) - 1}\0"

    def examples(name: str, items: Sequence[Item]) -> list[Item]:
        seed = f"{name} {request.examples_seed}{f' {sample}' if sample else ''}"
        return turned(seed, items, getattr(settings, name), getattr(whole, name), request.round - 1)

    right = examples("right_rollouts", [rollout for rollout in request.rollouts if rollout.correct])
    wrong = examples("wrong_rollouts", [rollout for rollout in request.rollouts if not rollout.correct])
    best = unlike(feedback.ranked, settings.best_sources)
    failures = lessons(feedback, best, settings.failure_sources, request.reference)
    explained = frozenset(item.candidate.name for item in failures)
    rows = ranking_rows(feedback.ranked, settings)
    try:
        text = _template(settings.template or TEMPLATE).render(
            task_description=_plain(request.task_description),
            questions=_questions(examples("questions", request.question_answer_pairs)),
            right=[_completion(rollout, settings) for rollout in right],
            wrong=[_completion(rollout, settings) for rollout in wrong],
            reference=request.reference,
            reference_table=reference_table(request.reference.scores) if request.reference else "",
            calls_left=_calls_left(request, settings),
            runs_left=_runs_left(request),
            follow_ups=settings.max_follow_ups,
            signature=SIGNATURE if "completion" in request.contracts else GROUP_SIGNATURE,
            group_signature=GROUP_SIGNATURE,
            contracts=request.contracts,
            worked_solutions=request.worked_solutions,
            modules=_modules(),
            base_rewards=_base_rewards(request.base_rewards, request.answer_format),
            luck_known=feedback.luck_known,
            table=markdown(rows) if rows else "",
            columns=list(rows[0]) if rows else [],
            notes=notes_explained(feedback.ranked),
            unscored=unscored(feedback, settings, explained),
            signs=signs(feedback, explained),
            best=[_source(item, feedback, settings) for item in best],
            failures=[
                {
                    **_source(lesson.candidate, feedback, settings),
                    "reasons": "\n".join(shortened(line, 600) for line in lesson.reason.split("\n")),
                }
                for lesson in failures
            ],
            trained=_trained(feedback, failures, settings),
            kinds=kinds(feedback.leader_kinds) if feedback.leader_kinds else "",
            proposed="" if feedback.mode != "none" else proposed(feedback.proposed, settings),
            proposed_sources=[]
            if feedback.mode != "none"
            else [
                _source(item, feedback, settings)
                for item in drawn(feedback.proposed, settings.best_sources + settings.failure_sources, request.seed)
            ],
            rejects_duplicates=request.rejects_duplicates,
            families=", ".join(FAMILIES),
            proposes=request.proposes,
            round=request.round,
            mark=mark,
            data=data,
            **asked,
        )
    except TemplateError as error:
        raise UserError(f"proposer.options.template = {str(settings.template)!r}: {error}") from None
    tidy = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    return re.sub(r"\0(\d+)\0", lambda match: blocks[int(match[1])], tidy)


def turned(seed: str, items: Sequence[Item], count: int, stride: int, turn: int) -> list[Item]:
    """`count` different items (all, if there are not so many), in their order: of a mixed order by `seed` those from
    place `turn * stride` on, so that turns have different ones until there are no more."""
    draws, left = Draws(f"prompt {seed}"), list(range(len(items)))
    mixed = [left.pop(draws.integer(0, len(left) - 1)) for _ in range(len(left))]
    start = turn * max(stride, count)
    chosen = [mixed[(start + place) % len(mixed)] for place in range(min(count, len(mixed)))]
    return [items[place] for place in sorted(chosen)]


def _questions(pairs: Sequence[tuple[str, str]]) -> str:
    return "\n\n".join(f"Question: {question}\nAnswer: {answer}" for question, answer in pairs)


def _completion(rollout: Rollout, settings: PromptSettings) -> str:
    return (
        f"Question: {rollout.prompt}\nGold answer: {rollout.answer}\n"
        f"Completion{'' if rollout.answered else ' (no answer could be read from it)'}:\n"
        f"{shortened(rollout.completion, settings.rollout_characters)}"
    )


def shortened(text: str, characters: int) -> str:
    """The text with its middle left out, and said so, where it is longer than that many characters."""
    if len(text) <= characters:
        return text
    half = characters // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"


def _runs_left(request: ProposalRequest) -> int:
    """Training runs of candidates, those of this round included."""
    if request.reference is None:
        return 0
    return (request.reference.rounds - request.round + 1) * request.count * request.reference.runs


def _calls_left(request: ProposalRequest, settings: PromptSettings) -> int | None:
    """Of a proposer with a limit of calls, at the start of the round."""
    limit: int | None = getattr(settings, "budget_calls", None)
    return None if limit is None else max(0, limit - request.spent.calls)


def _source(
    item: RankedCandidate | FailedCandidate | ProposedCandidate, feedback: Feedback, settings: PromptSettings
) -> dict[str, str]:
    places = {ranked.name: place for place, ranked in enumerate(feedback.ranked, start=1)}
    where = f"rank {places[item.name]} of {len(places)}" if item.name in places else f"round {item.round}"
    return {"name": f"{item.name}, {where}", "code": shortened(item.code.strip(), settings.source_characters)}


def _trained(feedback: Feedback, failures: Sequence[Lesson], settings: PromptSettings) -> list[dict[str, Any]]:
    """Curves and late completions of the leader, of the first failure that was trained, and of a middling candidate."""
    leader = feedback.ranked[:1]
    taught = [item.candidate for item in failures if isinstance(item.candidate, RankedCandidate)]
    failure = [item for item in taught if item.training][:1]
    between = middle(feedback, [item.name for item in (*leader, *failure)])
    roles = [*((item, "the leader") for item in leader), *((item, "a failure") for item in failure)]
    roles += [(between, "in the middle")] if between is not None else []
    shown: set[tuple[str, str]] = set()  # policies of one base write the same to the same question
    found = []
    for item, role in roles:
        if item.training is None:
            continue
        late = [one for one in item.training.late if (one.question, one.completion) not in shown]
        late = _both_kinds(late, settings.trained_completions)
        shown.update((one.question, one.completion) for one in late)
        found.append(
            {
                "name": f"{item.name}, {role}",
                "curve": curve(item.training) if item.training.curve else "",
                "completions": [_late(one, settings) for one in late],
            }
        )
    return found


def _both_kinds(late: Sequence[LateCompletion], count: int) -> list[LateCompletion]:
    """So many, wrong and right in turn, the latest first."""
    kinds = [[one for one in late if one.right is right] for right in (False, True)]
    pairs = [one for pair in zip_longest(*kinds) for one in pair if one is not None]
    return pairs[:count]


def _late(found: LateCompletion, settings: PromptSettings) -> dict[str, str]:
    values = ", ".join(f"{name} {'failed' if value is None else f'{value:.3g}'}" for name, value in found.scores)
    return {
        "kind": f"{'right' if found.right else 'wrong'} completion of step {found.step}",
        "text": f"Question: {found.question}\nGold answer: {found.answer}\nCompletion:\n"
        f"{shortened(found.completion, settings.rollout_characters)}\nValues: {values}",
    }


def _follow_up(follow_up: FollowUp | None) -> dict[str, object] | None:
    if follow_up is None:
        return None
    accepted = "\n".join(f"- {item.name} ({item.family or 'other'}): {item.description}" for item in follow_up.accepted)
    return {"accepted": accepted, "problems": follow_up.unusable[-_PROBLEMS_SHOWN:]}


def _base_rewards(names: Sequence[str], form: AnswerFormat) -> list[tuple[str, str]]:
    rewards = base_rewards(AnswerRules(form))
    return [(name, " ".join((rewards[name].__doc__ or "").split())) for name in names]


def _modules() -> str:
    from rewards_generated.gate.static_rules import MODULES

    return ", ".join(f"`{name}`" for name in sorted(MODULES - {"__future__", "logging"}))


def _plain(text: str) -> str:
    """Without control characters, marks that turn the direction of writing, and halves of surrogate pairs."""
    return _CONTROL.sub("", without_surrogates(text).replace("\r\n", "\n").replace("\r", "\n"))


def _without(text: str, mark: str) -> str:
    """Also where taking the mark out would leave another."""
    while mark in text:
        text = text.replace(mark, "")
    return text


def without_surrogates(text: str) -> str:
    """With `?` for lone surrogates, which a JSON reply can hold and neither a file nor a request can."""
    return text.encode("utf-8", "replace").decode("utf-8")


@cache
def _template(path: Path) -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"proposer.options.template = {str(path)!r} cannot be read: {error}") from None
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)
