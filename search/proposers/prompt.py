"""The text that a language model or a person gets: everything a proposer may know, and nothing of the test split."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from eval.tasks.testbed.draws import Draws
from rewards_generated.answers import AnswerFormat, AnswerRules
from rewards_generated.base import base_rewards
from rewards_generated.contract import SIGNATURE
from rewards_generated.errors import UserError
from rewards_generated.rollout import Rollout
from search.proposers.base import FailedCandidate, Proposal, ProposalRequest, RankedCandidate, UnusableItem
from search.proposers.settings import PromptSettings

if TYPE_CHECKING:
    from jinja2 import Template

    from eval.prescreening import PreScreening

Form = Literal["json", "fenced"]
Item = TypeVar("Item")

FAMILIES = ("reflection", "correctness", "process", "format", "length", "keyword", "other")
TEMPLATE = Path(__file__).parent / "prompts" / "proposal.md.j2"
SHORTEST = 3
"""Level of shortening beyond which a prompt would say too little."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_PROBLEMS_SHOWN = 12
_DUPLICATES_SHOWN = 10
_FLAGGED_SHOWN = 8
_STOPPED_SHOWN = 10


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
    is shown. A function of its arguments alone; samples are drawn from `request.seed`. Raises UserError if the user's
    own template cannot be read or fails.
    """
    from jinja2 import TemplateError

    draws = Draws(f"prompt {request.seed}{f' {sample}' if sample else ''}")
    settings = settings.shortened(shortening)
    mark = "data-" + hashlib.sha256(f"mark {request.seed} {request.round}".encode()).hexdigest()[:8]
    feedback = request.feedback

    blocks: list[str] = []

    def data(kind: str, text: str) -> str:
        """Untrusted text between marks that it cannot forge: the mark itself is taken out of it."""
        kind = _plain(kind).replace("\n", " ").replace("]", ")").replace(mark, "")
        blocks.append(f"[{mark} {kind}]\n{_plain(text).replace(mark, '').strip()}\n[end {mark}]")
        # A control character holds the place, since no text can contain it: data keeps its own blank lines.
        return f"\0{len(blocks) - 1}\0"

    try:
        text = _template(settings.template or TEMPLATE).render(
            task_description=_plain(request.task_description),
            questions=_questions(sampled(draws, request.question_answer_pairs, settings.questions)),
            right=_completions(draws, request.rollouts, True, settings.right_rollouts, settings.rollout_characters),
            wrong=_completions(draws, request.rollouts, False, settings.wrong_rollouts, settings.rollout_characters),
            signature=SIGNATURE,
            modules=_modules(),
            base_rewards=_base_rewards(request.base_rewards, request.answer_format),
            luck_known=feedback.luck_known,
            table=_table(feedback.ranked, settings.table_rows),
            best=_best(feedback.ranked, settings),
            failures=_failures(feedback.ranked, feedback.failed, settings),
            flagged=_flagged((*feedback.ranked, *feedback.stopped)),
            stopped=_stopped(feedback.stopped),
            duplicates=_duplicates(feedback.failed),
            rejects_duplicates=request.rejects_duplicates,
            prescreened=any(item.prescreening for item in feedback.ranked),
            count=request.count if count is None else count,
            reflection_count=request.reflection_minimum if reflection_count is None else reflection_count,
            families=", ".join(FAMILIES),
            form=form,
            proposes=request.proposes,
            follow_up=_follow_up(follow_up),
            round=request.round,
            mark=mark,
            data=data,
        )
    except TemplateError as error:
        raise UserError(f"proposer.options.template = {str(settings.template)!r}: {error}") from None
    tidy = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    return re.sub(r"\0(\d+)\0", lambda match: blocks[int(match[1])], tidy)


def sampled(draws: Draws, items: Sequence[Item], count: int) -> list[Item]:
    """`count` different items (all, if there are not so many), in their order."""
    places = list(range(len(items)))
    chosen = [places.pop(draws.integer(0, len(places) - 1)) for _ in range(min(count, len(items)))]
    return [items[place] for place in sorted(chosen)]


def _questions(pairs: Sequence[tuple[str, str]]) -> str:
    return "\n\n".join(f"Question: {question}\nAnswer: {answer}" for question, answer in pairs)


def _completions(draws: Draws, rollouts: Sequence[Rollout], correct: bool, count: int, characters: int) -> list[str]:
    chosen = sampled(draws, [rollout for rollout in rollouts if rollout.correct is correct], count)
    return [
        f"Question: {rollout.prompt}\nGold answer: {rollout.answer}\n"
        f"Completion{'' if rollout.answered else ' (no answer could be read from it)'}:\n"
        f"{shortened(rollout.completion, characters)}"
        for rollout in chosen
    ]


def shortened(text: str, characters: int) -> str:
    """The text with its middle left out, and said so, where it is longer than that many characters."""
    if len(text) <= characters:
        return text
    half = characters // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"


def _table(ranked: Sequence[RankedCandidate], rows: int) -> str:
    """A Markdown table in the order given; too long a table loses its middle."""
    if not ranked:
        return ""
    kept = list(enumerate(ranked, start=1))
    left_out = len(kept) - rows
    columns = ["rank", "name", "round", "family", "F1 [95 %]", "accuracy", "extraction", "firing", "tokens"]
    prescreened = any(item.prescreening for item in ranked)
    columns += ["AUC", "in group", "spread", "length", "notes"] if prescreened else ["notes"]
    lines = [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    for place, item in kept:
        if left_out > 0 and rows - rows // 4 < place <= len(kept) - rows // 4:
            if place == rows - rows // 4 + 1:
                lines.append(f"| … | {left_out} more |" + " |" * (len(columns) - 2))
            continue
        firing = "unknown" if item.firing_rate is None else f"{item.firing_rate:.2f}"
        lines.append(
            f"| {place} | {item.name} | {item.round} | {item.family or '-'} "
            f"| {item.f1:.3f} [{item.f1_low:.3f}, {item.f1_high:.3f}] | {item.accuracy:.3f} "
            f"| {item.extraction_rate:.2f} | {firing} | {item.mean_completion_tokens:.0f} "
            f"| {_before_training(item.prescreening) if prescreened else ''}{_cell(item.notes)} |"
        )
    return "\n".join(lines)


def _before_training(found: PreScreening | None) -> str:
    """The four cells of the pre-screen."""
    figures = (found.auc, found.preference, found.spread) if found else (None, None, None)
    shares = ["-" if figure is None else f"{figure.value:.2f}" for figure in figures]
    length = "-" if found is None or found.length is None else f"{found.length.value:+.2f}"
    return " | ".join([*shares, length, ""])


def _cell(notes: Sequence[str]) -> str:
    text = " ".join("; ".join(notes).replace("|", "/").split())
    return text if len(text) <= 200 else f"{text[:200]} …"


def _best(ranked: Sequence[RankedCandidate], settings: PromptSettings) -> list[dict[str, str]]:
    return [
        {"name": f"{item.name}, rank {place}", "code": shortened(item.code.strip(), settings.source_characters)}
        for place, item in enumerate(ranked[: settings.best_sources], start=1)
    ]


def _failures(
    ranked: Sequence[RankedCandidate], failed: Sequence[FailedCandidate], settings: PromptSettings
) -> list[dict[str, str]]:
    """The end of the table (a reward that trains badly teaches most) and the latest that got no score."""
    end = list(enumerate(ranked, start=1))[settings.best_sources :]
    end = end[len(end) - min(len(end), max(1, settings.failure_sources // 2)) :]
    unscored = [item for item in failed if not item.duplicate]
    latest = sorted(unscored, key=lambda item: -item.round)[: max(0, settings.failure_sources - len(end))]
    shown = [
        {
            "name": f"{item.name}, rank {place} of {len(ranked)}",
            "code": shortened(item.code.strip(), settings.source_characters),
            "reasons": f"F1 {item.f1:.3f} [{item.f1_low:.3f}, {item.f1_high:.3f}], at the end of the table."
            + "".join(f"\n{note}" for note in item.notes),
        }
        for place, item in end
    ]
    shown += [
        {
            "name": f"{item.name}, round {item.round}, unscored",
            "code": shortened(item.code.strip(), settings.source_characters),
            "reasons": "\n".join(shortened(reason, 600) for reason in item.reasons),
        }
        for item in latest
    ]
    return shown[: settings.failure_sources]


def _duplicates(failed: Sequence[FailedCandidate]) -> str:
    """The latest near-duplicates, without their source: it is that of another candidate but for a detail."""
    latest = sorted((item for item in failed if item.duplicate), key=lambda item: -item.round)[:_DUPLICATES_SHOWN]
    return "\n".join(f"- {item.name}: {shortened(' '.join(item.reasons), 600)}" for item in latest)


def _stopped(stopped: Sequence[RankedCandidate]) -> str:
    """The latest that successive halving stopped, without their source: they are not the worst, only not the best."""
    latest = sorted(stopped, key=lambda item: -item.round)[:_STOPPED_SHOWN]
    return "\n".join(
        f"- {item.name} (round {item.round}, family {item.family or '-'}): after {item.stopped_after} steps "
        f"F1 {item.f1:.3f} [{item.f1_low:.3f}, {item.f1_high:.3f}]"
        for item in latest
    )


def _flagged(ranked: Sequence[RankedCandidate]) -> str:
    """What training did with candidates that were exploited, the best ranked first: they mislead most."""
    flagged = [item for item in ranked if item.flags][:_FLAGGED_SHOWN]
    return "\n".join(
        f"- {item.name}: " + "; ".join(f"{flag.name} ({flag.detail})" for flag in item.flags) for item in flagged
    )


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
