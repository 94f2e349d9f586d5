"""Rollouts of our own, right and wrong, for a gate that was given none of the task's."""

from __future__ import annotations

import random
from functools import cache

from rewards_generated.answers import ANSWER_FORMATS, AnswerFormat
from rewards_generated.rollout import Rollout

_NAMES = ("Sam", "Mia", "Omar", "Lena", "Ravi", "Noor", "Ivan", "Rosa")
_THINGS = ("pens", "apples", "coins", "books", "stamps", "shells", "cards", "eggs")


@cache
def probe_rollouts(
    form: AnswerFormat = ANSWER_FORMATS["solution"], questions: int = 24, seed: str = ""
) -> tuple[Rollout, ...]:
    """Ten rollouts of each of some two-step word problems, in an answer format; the same ones for the same seed.

    Of each question five rollouts are right or nearly so and five wrong: step by step, straight to the answer, with a
    slip that is repaired, with a slip that is not, in lines with several marks, with the last step left out, without
    the marks of the answer.
    """
    draw = random.Random(seed or 0)
    return tuple(rollout for number in range(questions) for rollout in _of_question(number, draw, form))


def _of_question(number: int, draw: random.Random, form: AnswerFormat) -> list[Rollout]:
    name, thing = draw.choice(_NAMES), draw.choice(_THINGS)
    start, gained = draw.randint(12, 60), draw.randint(7, 39)
    middle = start + gained
    lost = draw.randint(3, middle - 5)
    gold = middle - lost
    prompt = f"{name} has {start} {thing} , buys {gained} more and gives away {lost} . How many {thing} are left ?"
    slip = middle + draw.choice((-10, 10, -1, 1))
    astray = slip - lost
    first, second = f"{start} + {gained} = {middle} .", f"{middle} - {lost} = {gold} ."
    wrong_first, from_wrong = f"{start} + {gained} = {slip} .", f"{slip} - {lost} = {astray} ."
    right = [
        form.completion(f"{first} {second}", str(gold)),
        form.completion(f"so {gold} .", str(gold)),
        form.completion(f"{wrong_first} wait check {first} {second}", str(gold)),
        f"step 1 : {first} step 2 : {second} the answer is {gold}",
        _in_lines(form, f"Step 1: {first}\nStep 2: {second}\nFinally, #### {gold}\nAnswer: {gold}", gold),
    ]
    wrong = [
        form.completion(f"{wrong_first} {from_wrong}", str(astray)),
        form.completion(f"so {middle} .", str(middle)),
        form.completion(f"{wrong_first} wait check {wrong_first} {from_wrong}", str(astray)),
        f"{form.opening}{first} the last step is left out",
        _in_lines(form, f"Step 1: {wrong_first}\n#### {astray}\nAnswer: {astray}", astray),
    ]
    group = f"probe-{number}"
    rollouts = []
    for place, completion in enumerate(right + wrong):
        answered = form.answer_opening in completion
        correct = place < len(right) and answered
        rollouts.append(Rollout(prompt, completion, str(gold), correct, answered, group, f"{first} {second}"))
    return rollouts


def _in_lines(form: AnswerFormat, reasoning: str, answer: int) -> str:
    """The marks on lines of their own, as many templates ask for them."""
    opening, closing = form.opening.strip(), form.closing.strip()
    final = f"\\boxed{{{answer}}}"
    if form.answer_tag is not None:
        final = f"<{form.answer_tag}>\n{answer}\n</{form.answer_tag}>"
    return "\n".join(part for part in (opening, reasoning, closing, final) if part)
