"""What every task has to do, as one function: `check_task(my_task)` in a test of one's own."""

from __future__ import annotations

from typing import get_args

from eval.tasks.base import Split, Task
from eval.tasks.registry import build_task
from rewards_generated.answers import is_right

QUESTIONS = 50
"""Looked at in every split."""


def check_task(task: Task) -> None:
    """Raises AssertionError with one sentence for the first thing that is wrong."""
    assert task.description.strip(), "a task has a description, which the proposer is told"
    ids: dict[str, Split] = {}
    for split in get_args(Split):
        examples = task.examples(split, QUESTIONS)
        assert examples, f"the {split} split has questions"
        assert len(task.examples(split, 1)) == 1, "`limit` is a number of questions"
        assert [item.id for item in task.examples(split, 1)] == [examples[0].id], "the order never changes"
        for example in examples:
            earlier = ids.setdefault(example.id, split)
            assert earlier == split, f"the question {example.id} is in one split alone, not in {earlier} and {split}"
            assert example.prompt, f"the question {example.id} has a prompt"
            assert example.prompt[-1]["role"] == "user", f"the prompt of {example.id} ends with the user"
            assert example.question.strip(), f"the question {example.id} has a text"
            assert isinstance(example.answer, str), f"the answer of {example.id} is a text"
            worked = example.worked_solution
            assert worked is None or (isinstance(worked, str) and worked), (
                f"the worked solution of {example.id} is a text"
            )
            right = not _gold_is_answer(task) or task.equal(example.answer, example.answer)
            assert right, f"the gold answer of {example.id} equals itself"
        assert len({item.id for item in examples}) == len(examples), f"ids of the {split} split are distinct"
    for nothing in ("", "no answer in any format", "<", "\x00", "🙂" * 50):
        found = task.extract(nothing)
        assert found.strict is None, f"nothing is read strictly from {nothing[:30]!r}"
    form = task.answer_format
    for example in examples if _gold_is_answer(task) else ():
        right = is_right(task, form.completion("so", example.answer), example.answer)
        assert right, f"the gold answer of {example.id} is read from a completion in the task's format, {form.words}"
    again = build_task(task.reference)
    split = get_args(Split)[0]
    assert again.examples(split, QUESTIONS) == task.examples(split, QUESTIONS), "`reference` rebuilds the same task"


def _gold_is_answer(task: Task) -> bool:
    return bool(getattr(task, "gold_is_answer", True))
