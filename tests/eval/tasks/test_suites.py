"""The testbed's out-of-distribution suites: problems leave the distribution along one axis, their controls do not."""

from __future__ import annotations

import itertools

import pytest

from eval.tasks.base import TaskReference
from eval.tasks.registry import SUITES, build_task, control_of
from eval.tasks.testbed.suites import AXES, pairs
from eval.tasks.testbed.task import BUCKETS
from eval.tasks.testbed.wording import HELD_OUT_SCENES, OTHER_SCENES, SCENES
from rewards_generated.errors import UserError

COUNT = 40
PLAIN = {scene.name for scene in SCENES}
FIRST = {
    "testbed-depth": "testbed-depth-test-4b7e019f749088d6",
    "testbed-length": "testbed-length-test-b232cc58c2ac8340",
    "testbed-tokens": "testbed-tokens-test-603d89bc2e69c3ef",
    "testbed-templates": "testbed-templates-test-940ae00bcd1dcae9",
    "testbed-composition": "testbed-composition-test-6d3be84f9ac427c1",
}
"""Written down once; a change that moves a question fails here."""


def task(name):
    return build_task(TaskReference(name=name))


def both(name):
    return task(name).examples("test", COUNT), task(control_of(name)).examples("test", COUNT)


def attributes(name):
    """Of every problem and its matched control."""
    return [(a.attributes, b.attributes) for a, b in zip(*both(name), strict=True)]


def differing(one, other):
    return {key for key in one if one[key] != other[key]}


def test_there_is_a_suite_for_every_axis_and_only_suites_have_controls():
    assert SUITES["testbed"] == tuple(f"testbed-{axis}" for axis in AXES)
    assert control_of("testbed") is None
    assert control_of("testbed-depth-control") is None


@pytest.mark.parametrize("name", SUITES["testbed"])
def test_ids_never_change_and_are_each_suites_own(name):
    ours, matched = both(name)
    assert ours[0].id == FIRST[name]
    assert len({example.id for example in (*ours, *matched)}) == 2 * COUNT
    assert [example.id for example in task(name).examples("test", 7)] == [example.id for example in ours[:7]]
    assert [example.attributes["pair"] for example in matched] == list(range(COUNT))


@pytest.mark.parametrize("axis", AXES)
def test_no_matched_was_seen_before_and_no_problem_stands_in_two_splits(axis):
    seen = set()
    for split in ("validation", "test"):
        for problem, matched in itertools.islice(pairs(axis, split), COUNT):
            assert int(matched.content[:8], 16) % 100 in BUCKETS[split]
            assert (problem.content, problem.question) not in seen
            seen.add((problem.content, problem.question))
    assert len(seen) == 2 * COUNT


def test_depth_is_more_steps_and_its_matched_the_first_four():
    for ours, matched in attributes("testbed-depth"):
        assert ours["steps"] in (5, 6)
        assert matched["operations"] == ours["operations"][:4]
        assert ours["distractors"] == matched["distractors"] == 0
        assert ours["family"] == matched["family"]
    for ours, matched in zip(*both("testbed-depth"), strict=True):
        shared = len(ours.question.split(". ")[: 1 + matched.attributes["steps"]])
        assert ours.question.split(". ")[:shared] == matched.question.split(". ")[:shared]


def test_length_is_more_distractors_and_nothing_else():
    for ours, matched in attributes("testbed-length"):
        assert (ours["distractors"], matched["distractors"]) in ((2, 1), (3, 1))
        assert differing(ours, matched) == {"distractors"}
    for ours, matched in zip(*both("testbed-length"), strict=True):
        assert ours.answer == matched.answer
        assert set(matched.question.split(". ")) <= set(ours.question.split(". "))


@pytest.mark.parametrize(("name", "scenes"), [("testbed-tokens", OTHER_SCENES), ("testbed-templates", HELD_OUT_SCENES)])
def test_other_words_tell_the_same_arithmetic(name, scenes):
    for ours, matched in zip(*both(name), strict=True):
        assert differing(ours.attributes, matched.attributes) == {"family"}
        assert ours.attributes["family"] in {scene.name for scene in scenes}
        assert matched.attributes["family"] in PLAIN
        assert ours.answer == matched.answer
        assert ours.id.rsplit("-", 1)[1] == matched.id.rsplit("-", 1)[1]


def test_composition_is_another_order_of_the_same_sentences():
    for ours, matched in attributes("testbed-composition"):
        assert ("times", "subtract") in itertools.pairwise(ours["operations"])
        assert ("times", "subtract") not in itertools.pairwise(matched["operations"])
        assert sorted(ours["operations"]) == sorted(matched["operations"])
        assert differing(ours, matched) == {"operations"}
    for ours, matched in zip(*both("testbed-composition"), strict=True):
        assert sorted(ours.question.split(". ")) == sorted(matched.question.split(". "))


@pytest.mark.parametrize("axis", AXES)
def test_values_stay_in_the_range_of_training(axis):
    for pair in itertools.islice(pairs(axis, "validation"), COUNT):
        for problem in pair:
            value = problem.start
            for operation, number in problem.operations:
                value = {"add": value + number, "subtract": value - number, "times": value * number}[operation]
                assert 1 <= value <= 90
            assert value == problem.answer


def test_a_bad_option_is_refused():
    with pytest.raises(UserError, match="testbed-depth"):
        build_task(TaskReference(name="testbed-depth", options={"steps": [9]}))
    with pytest.raises(UserError, match="did you mean 'testbed-depth'"):
        build_task(TaskReference(name="testbed-dept"))
