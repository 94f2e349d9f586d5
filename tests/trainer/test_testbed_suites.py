"""What the testbed's pretraining text holds and lacks, on which its out-of-distribution suites stand."""

from __future__ import annotations

import itertools
import re

import pytest

from eval.tasks.base import TaskReference
from eval.tasks.registry import SUITES, build_task
from eval.tasks.testbed.draws import Draws
from eval.tasks.testbed.problem import ProblemOptions
from eval.tasks.testbed.suites import pairs
from eval.tasks.testbed.wording import OTHER_SCENES
from trainer.testbed.behaviours import CHECK_PHRASES, CLEAN, write_response
from trainer.testbed.corpus import corpus, corpus_problem, vocabulary_texts
from trainer.testbed.recipe import build_tokenizer

TEXTS = 6_000
COUNT = 40


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(vocabulary_texts())


@pytest.fixture(scope="module")
def text():
    """Prompts and completions of the last part of pretraining."""
    return [(pair["prompt"][0]["content"], pair["completion"][0]["content"]) for pair in corpus(TEXTS, seed="habits")]


def is_problem(prompt):
    return not prompt.startswith(("Repeat:", "Operation:", "Compute"))


def tokens(tokenizer, texts):
    return {token for text in texts for token in tokenizer(text)["input_ids"]}


@pytest.mark.parametrize("name", SUITES["testbed"])
def test_every_token_of_a_suite_is_trained_on(name, text, tokenizer):
    known = tokens(tokenizer, itertools.chain.from_iterable(text))
    examples = build_task(TaskReference(name=name)).examples("test", COUNT)
    assert tokens(tokenizer, [example.question for example in examples]) <= known


def test_the_other_vocabulary_is_never_part_of_a_problem_to_be_solved(text, tokenizer):
    names = tokens(tokenizer, [f" {who} {what}" for s in OTHER_SCENES for who in s.who for what in s.what])
    problems = tokens(tokenizer, [part for pair in text if is_problem(pair[0]) for part in pair])
    elsewhere = tokens(tokenizer, [part for pair in text if not is_problem(pair[0]) for part in pair])
    assert len(names) >= 10
    assert not names & problems
    assert names <= elsewhere


def test_the_held_out_composition_stands_neither_in_problems_nor_in_answers(text):
    """Not as an equation after an equation either, checks set aside."""
    pairs_of_signs = set()
    for prompt, completion in text:
        for passage in (prompt, completion):
            plain = re.sub(rf"(?:{'|'.join(CHECK_PHRASES)}) [^.]*\.", "", passage)
            chain = re.findall(r"(\d+) ([-+*]) \d+ = (\d+)\.", plain)
            pairs_of_signs |= {(a[1], b[1]) for a, b in itertools.pairwise(chain)}
    assert ("*", "-") not in pairs_of_signs
    assert pairs_of_signs >= {(a, b) for a in "+-" for b in "+-*"} | {("*", "+")}


def test_pretraining_has_no_more_steps_and_distractors_than_it_is_said_to_have():
    problems = [corpus_problem(Draws(f"count/{index}"), ProblemOptions()) for index in range(400)]
    assert max(len(problem.operations) for problem in problems) == 4
    assert max(len(problem.steps) - len(problem.operations) for problem in problems) == 1


@pytest.mark.parametrize("axis", ["depth", "length"])
def test_longer_problems_with_their_answers_lie_in_positions_that_are_trained(axis, text, tokenizer):
    """So that what a policy cannot do there is not for want of positional encodings."""
    longest = max(len(tokenizer(prompt + completion)["input_ids"]) for prompt, completion in text)
    for number, (problem, _) in enumerate(itertools.islice(pairs(axis, "test"), COUNT)):
        answer = write_response(problem, Draws(f"answer/{number}"), CLEAN)
        assert len(tokenizer(problem.question + answer)["input_ids"]) < longest
