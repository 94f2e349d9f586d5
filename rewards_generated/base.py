r"""The three rewards that accompany every candidate: exact format, approximate format, answer check.

They are this project's own, so they run in the caller's process and are known by their names alone; they follow the
answer format of the task, and judge answers by its own extraction and equality. The figures are those of arXiv
2605.02073 (base rewards): exact format +3; approximate format +0.5 or -0.5 per mark (the paper leaves 0.5 to 1 open;
the symmetric half point is our choice, so that all marks are worth less than one right answer); answer check +3 for
an equal answer, +1 within 10 %, +0.5 within 20 %, -1.5 for a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rewards_generated.answers.extraction import last_boxed, last_tagged
from rewards_generated.answers.formats import AnswerFormat
from rewards_generated.answers.number import number_of
from rewards_generated.answers.reader import AnswerReader, AnswerRules

BaseReward = Callable[[str, str, str], float]

ANSWER_CHECK = "answer_check"
BASE_REWARDS = ("format_exact", "format_approximate", ANSWER_CHECK)
"""The names under which an ensemble lists them, in the order in which the paper does."""

_AFTER_BOX = re.compile(r"\s*(?:\$\$?|\\\)|\\\])?[\s.]*")


def base_rewards(answers: AnswerReader | None = None) -> dict[str, BaseReward]:
    """The base rewards of a task by name, each with a docstring that says what it pays; None: of completions in
    `<thinking>` and `<solution>` tags with a number as answer."""
    answers = answers or AnswerRules()
    form = answers.answer_format
    made = (_format_exact(form), _format_approximate(form), _answer_check(answers))
    return dict(zip(BASE_REWARDS, made, strict=True))


def _format_exact(form: AnswerFormat) -> BaseReward:
    def format_exact(prompt: str, completion: str, answer: str) -> float:
        return 3.0 if _is_exact(form, completion) else 0.0

    whole = form.completion("...", "...")
    format_exact.__doc__ = f"+3 if the whole completion is `{whole}`, every mark there once; else 0."
    return format_exact


def _is_exact(form: AnswerFormat, completion: str) -> bool:
    if any(completion.count(tag) != 1 for tag in form.tags):
        return False
    rest = completion.strip()
    if form.reasoning_tag is not None:
        opening, closing = f"<{form.reasoning_tag}>", f"</{form.reasoning_tag}>"
        if form.reasoning_opened:
            rest = rest.removeprefix(opening)
            if opening in rest:
                return False
        elif not rest.startswith(opening):
            return False
        _, found, rest = rest.partition(closing)
        if not found:
            return False
        rest = rest.lstrip()
    if form.answer_tag is not None:
        begins = f"<{form.answer_tag}>" in rest and (
            form.reasoning_tag is None or rest.startswith(f"<{form.answer_tag}>")
        )
        return begins and rest.endswith(f"</{form.answer_tag}>")
    return _ends_in_its_only_box(rest)


def _ends_in_its_only_box(text: str) -> bool:
    inside = last_boxed(text)
    if inside is None or text.count("\\boxed") != 1:
        return False
    after = text[text.rindex(inside) + len(inside) :].removeprefix("}")
    return _AFTER_BOX.fullmatch(after) is not None


def _format_approximate(form: AnswerFormat) -> BaseReward:
    marks = [f"`{tag}`" for tag in form.tags]
    if form.answer_tag is None:
        marks += ["`\\boxed`", "a box that closes around an answer"]

    def format_approximate(prompt: str, completion: str, answer: str) -> float:
        found = [completion.count(tag) == 1 for tag in form.tags]
        if form.answer_tag is None:
            found += [completion.count("\\boxed") == 1, last_boxed(completion) is not None]
        return sum(0.5 if there else -0.5 for there in found)

    format_approximate.__doc__ = (
        f"For each of {', '.join(marks)} +0.5 if it appears exactly once, else -0.5: "
        f"from {-len(marks) / 2:g} to +{len(marks) / 2:g}."
    )
    return format_approximate


def _answer_check(answers: AnswerReader) -> BaseReward:
    def answer_check(prompt: str, completion: str, answer: str) -> float:
        """How near the answer, read where the format wants it, is to the gold answer: +3 equal, by the task's own
        comparison; +1 within 10 % of a gold number, +0.5 within 20 %; -1.5 anything else; 0 if there is no answer."""
        found = answers.extract(completion)
        if found.strict is None:
            # What evaluation could still read as right is not paid as wrong.
            empty = not marked_answer(answers.answer_format, completion)
            right = found.flexible is not None and answers.equal(found.flexible, answer)
            return 0.0 if empty or right else -1.5
        if answers.equal(found.strict, answer):
            return 3.0
        given, gold = number_of(found.strict), number_of(answer)
        if given is None or gold is None:
            return -1.5
        error, size = abs(given.value - gold.value), abs(gold.value)
        return 1.0 if error <= size / 10 else 0.5 if error <= size / 5 else -1.5

    return answer_check


def marked_answer(form: AnswerFormat, completion: str) -> str:
    """What stands between the marks of the last complete answer, stripped; empty if there is none."""
    found = last_boxed(completion) if form.answer_tag is None else last_tagged(completion, form.answer_tag)
    return (found or "").strip()
