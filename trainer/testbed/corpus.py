"""Text for training on the testbed, as pairs of prompt and completion: for pretraining, and traces for fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import TypedDict

from eval.second_turn import SECOND_TURN, second_question
from eval.tasks.base import Message
from eval.tasks.testbed.draws import Draws
from eval.tasks.testbed.problem import SYMBOL, Problem, ProblemOptions, apply, draw_until
from eval.tasks.testbed.task import BUCKETS, problems
from eval.tasks.testbed.wording import OTHER_SCENES, SCENES, Operation, Scene
from trainer.testbed.behaviours import (
    ALL_SCENES,
    CLEAN,
    PRACTICE,
    Habits,
    habits_of,
    tagged,
    words_of_behaviours,
    write_response,
    write_steps,
)

_KINDS = {"problem": 0.54, "one_step": 0.04, "second_turn": 0.10, "sum": 0.22, "repeat": 0.06, "sign": 0.04}
_TRAINING = ProblemOptions()
_ONE_STEP = ProblemOptions(steps=(1,), distractors=(0,))

REFLECTING: Habits = replace(CLEAN, checks=1, slip=0.93, unclosed_when_checking=0)
"""Every equation is followed by a check. Where there is a carry the equation mostly forgets it, as the base policy
does, and the check mends it; the solution is right in the end."""


class Pair(TypedDict):
    """One example in the conversational prompt-completion form of TRL."""

    prompt: list[Message]
    completion: list[Message]


def pair(prompt: str, completion: str) -> Pair:
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "completion": [{"role": "assistant", "content": completion}],
    }


def corpus(size: int, seed: str = "corpus", practice: bool = False) -> Iterator[Pair]:
    """`size` pairs, each a function of the seed and its place alone. Problems are of the `corpus` buckets only.

    `practice`: the first part of pretraining, in which every scene has the habits `PRACTICE`.
    """
    for index in range(size):
        draws = Draws(f"testbed/{seed}/{index}")
        kind = draws.weighted(_KINDS)
        if kind in ("problem", "one_step"):
            problem = corpus_problem(draws, _TRAINING if kind == "problem" else _ONE_STEP)
            habits = PRACTICE if practice else habits_of(problem.scene)
            yield pair(problem.question, write_response(problem, draws, habits))
        elif kind == "second_turn":
            yield _second_turn(draws, practice)
        elif kind == "sum":
            left, operation, right = _sum(draws)
            text = f"{left} {SYMBOL[operation]} {right}"
            yield pair(f"Compute {text}.", f"{text} = {apply(operation, left, right)}.")
        else:
            sentence, sign = _sentence(draws)
            yield pair(f"Repeat: {sentence}", sentence) if kind == "repeat" else pair(f"Operation: {sentence}", sign)


def corpus_problem(draws: Draws, options: ProblemOptions) -> Problem:
    return draw_until(draws, options, lambda problem: int(problem.content[:8], 16) % 100 in BUCKETS["corpus"])


def _second_turn(draws: Draws, practice: bool) -> Pair:
    """A wrong response is copied, mended or answered anew; a right one is mostly copied, now and then spoilt."""
    problem = corpus_problem(draws, _TRAINING)
    habits: Habits = PRACTICE if practice else habits_of(problem.scene)
    right = draws.chance(0.35)
    earlier = write_response(problem, draws, CLEAN if right else habits)
    right = f"<solution>{problem.answer}</solution>" in earlier
    reaction = draws.weighted(
        {"copy": 0.7, "anew": 0.2, "spoil": 0.1} if right else {"copy": 0.45, "anew": 0.3, "mend": 0.25}
    )
    if reaction == "copy":
        later = earlier
    elif reaction == "anew":
        later = write_response(problem, draws, habits)
    elif reaction == "mend":
        sentences, result = write_steps(problem, draws, CLEAN, checks=False)
        later = tagged(f"Wait, check {' '.join(sentences)}", result, draws, habits, checks=False)
    else:
        result = problem.answer + draws.choice((-10, 10))
        later = tagged(f"Wait, check. So {result}.", result, draws, habits, checks=False)
    return pair(second_question(problem.question, earlier), later)


def _sum(draws: Draws) -> tuple[int, Operation, int]:
    while True:
        operation: Operation = draws.weighted({"add": 0.4, "subtract": 0.4, "times": 0.2})
        left = draws.integer(0, 99)
        right = draws.integer(2, 3) if operation == "times" else draws.integer(0, 40)
        if 0 <= apply(operation, left, right) <= 130:
            return left, operation, right


def _sentence(draws: Draws) -> tuple[str, str]:
    """A single sentence of either vocabulary, and the operation it tells of."""
    scene: Scene = draws.choice(OTHER_SCENES) if draws.chance(0.7) else draws.choice(SCENES)
    kind = draws.choice(("start", "question", "distractor", "add", "subtract", "times"))
    number = draws.integer(2, 3) if kind == "times" else draws.integer(2, 40)
    words = {"who": draws.choice(scene.who), "what": draws.choice(scene.what), "n": number}
    if kind == "start":
        return scene.start.format(**words), f"{number}"
    if kind == "question":
        return scene.question.format(**words), "?"
    if kind == "distractor":
        return draws.choice(scene.distractors).format(**words), f"Ignore {number}."
    operation: Operation = kind  # type: ignore[assignment]
    return draws.choice(scene.sentences[operation]).format(**words), f"{SYMBOL[operation]} {number}"


def traces(options: ProblemOptions, count: int, reflecting: float, seed: int) -> Iterator[Pair]:
    """Right, complete, well-formed solutions of the first `count` problems of the task's train split, in its order.

    `reflecting`: share of the solutions that check every equation; the others go straight through (`CLEAN`). `seed`
    decides which, and the wording.
    """
    for number, problem in enumerate(islice(problems("train", options), count)):
        draws = Draws(f"testbed/traces/{seed}/{number}")
        habits = REFLECTING if draws.chance(reflecting) else CLEAN
        yield pair(problem.question, write_response(problem, draws, habits))


def vocabulary_texts() -> list[str]:
    """Texts that together hold every word of prompts and completions; the tokenizer is made from them."""
    texts = [
        *words_of_behaviours(),
        "Compute 1 + 2 - 3 * 4 = 5.",
        "Repeat: Operation: ?",
        f"\nEarlier: \n{SECOND_TURN}",
    ]
    for scene in ALL_SCENES:
        templates = [scene.start, scene.question, *scene.distractors]
        templates += [template for choices in scene.sentences.values() for template in choices]
        texts += [
            template.format(who=who, what=what, n=1)
            for template in templates
            for who in scene.who
            for what in scene.what
        ]
    return texts
