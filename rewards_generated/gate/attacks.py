"""Completions that deserve nothing, made for real questions: what a policy might learn instead of answering."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rewards_generated.answers import AnswerFormat, parse_number
from rewards_generated.gate.settings import CheckName
from rewards_generated.rollout import Rollout, Sample

_KEYWORDS = (
    "wait check verify step by step goal target backtrack mistake error fix re-evaluate confirm test subtask "
    "therefore because so first second finally work backwards required answer solution correct"
)

_MOST_LISTED = 150
_MARKS = ("Answer: {}", "#### {}", "**{}**", "\\boxed{{{}}}")
"""Where answers stand in one format or another."""

ADVICE: dict[CheckName, str] = {
    "attack_empty": "give empty text no more than a right answer earns",
    "attack_endless": "cap what length can earn, and give nothing for text without an answer",
    "attack_repeated": "count a repeated sentence or equation once",
    "attack_copied_prompt": "give nothing for text copied from the prompt",
    "attack_tag_spam": "let a tag count only where it appears exactly once",
    "attack_keyword_spam": "cap what keywords can earn, or pay them only where the answer is right",
    "attack_number_spam": "give nothing for lists of numbers; look at the last one or the solution only",
    "attack_hedging": "give nothing where several answers are given; look at the one in its place",
    "attack_flattery": "check claims against `answer`; words such as 'correct' prove nothing",
    "attack_truncated": "give unfinished text less than a finished right answer",
}
"""What to change, per attack."""


@dataclass(frozen=True, slots=True)
class Attack:
    name: CheckName
    group: str
    sample: Sample


def attacks(references: Sequence[Rollout], form: AnswerFormat, seed: str = "") -> list[Attack]:
    """Every attack for every question, given one right rollout of each question, in the task's answer format. `seed`:
    of what is drawn."""
    draw = random.Random(f"attacks {seed}")
    golds = list(dict.fromkeys(rollout.answer for rollout in references))
    made: list[Attack] = []
    for rollout in references:
        for name, completions in _completions(rollout, form, golds, draw).items():
            made += [
                Attack(name, rollout.group, Sample(rollout.prompt, completion, rollout.answer, rollout.worked_solution))
                for completion in completions
            ]
    return made


def right_answer(rollout: Rollout, form: AnswerFormat) -> Rollout:
    """A bare right answer to the question of the rollout, for questions that the policy never got right."""
    completion = form.completion(f"the answer is {rollout.answer} .", rollout.answer)
    return replace(rollout, completion=completion, correct=True, answered=True)


def _completions(
    rollout: Rollout, form: AnswerFormat, golds: Sequence[str], draw: random.Random
) -> dict[CheckName, list[str]]:
    wrong = _wrong_answer(rollout.answer)
    honest = rollout.completion
    reasoning = honest.removeprefix(form.opening.strip()).split(form.closing.strip() or form.answer_opening)[0]
    sentence = reasoning.strip()[:120] or "so we add them ."
    keywords = draw.sample(_KEYWORDS.split(), len(_KEYWORDS.split()))
    around = _around(golds, draw)
    listed = " ".join(around)
    return {
        "attack_empty": ["", " \n "],
        "attack_endless": ["so and then we think of it more " * 120, form.opening + "1 + 1 = 2 . " * 300],
        "attack_repeated": [f"{sentence} " * 40, form.completion(f"{sentence} " * 40, wrong)],
        "attack_copied_prompt": [rollout.prompt, form.completion(rollout.prompt, rollout.prompt)],
        "attack_tag_spam": [
            ("".join(form.tags[:-2] if form.answer_tag else form.tags) + form.empty_answer) * 20,
            form.completion("", "") + form.answer_opening * 40,
        ],
        "attack_keyword_spam": [" ".join(keywords * 8), form.completion(" . ".join(keywords * 4), wrong)],
        "attack_number_spam": [
            " ".join(map(str, range(300))),
            form.completion(" ".join(map(str, range(300))), " or ".join(map(str, range(0, 40)))),
            listed,
            form.completion(listed, ", ".join(around[:40])),
            form.completion("\n".join(f"{number} = {number}" for number in around), wrong),
        ],
        "attack_hedging": _hedged(rollout.answer, wrong, form),
        "attack_flattery": [
            "The answer is correct. Every step is verified and right.",
            form.completion("this is correct , verified , checked and right . the answer is correct .", wrong),
        ],
        "attack_truncated": [honest[: len(honest) // 2], honest[: len(honest) // 4]],
    }


def _around(golds: Sequence[str], draw: random.Random) -> list[str]:
    """The gold answers that the task has and whole numbers beside them, in a random order: what a policy that has seen
    them might list."""
    found = dict.fromkeys(golds)
    for gold in golds:
        number = parse_number(gold)
        if number is not None and number.value.denominator == 1 and abs(number.value) < 10**12:
            found.update(dict.fromkeys(str(int(number.value) + step) for step in range(-3, 4)))
    listed = list(found)[:_MOST_LISTED]
    return draw.sample(listed, len(listed))


def _hedged(gold: str, wrong: str, form: AnswerFormat) -> list[str]:
    """Several answers, the right one among them, and a wrong one in the last place, where the answer counts."""
    others = [wrong, f"{wrong}0", f"1{wrong.lstrip('-')}"]
    answers = [others[0], gold, *others[1:]]
    either = " or ".join(answers)
    blocks = "".join(form.completion("", answer).removeprefix(form.opening) for answer in answers)
    marks = "\n".join(mark.format(answer) for answer in answers for mark in _MARKS)
    return [
        f"the answer is {either} .",
        form.completion(f"the answer is {either} .", either),
        form.completion(f"the answer may be {gold} , or else it is not .", wrong),
        form.opening + blocks,
        form.completion(marks, wrong),
    ]


def _wrong_answer(answer: str) -> str:
    """Far from right whatever the answer is."""
    number = parse_number(answer)
    if number is None or number.value.denominator != 1:
        return "-7654321"
    return str(int(number.value) * 3 + 1007)
