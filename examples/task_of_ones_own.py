"""A task of one's own: clock times, whose answers are equal however they are written.

    task: {name: "examples.task_of_ones_own:build", options: {questions: 300}}

in a configuration, run from the folder above this one. (Questions that lie in JSONL files need no class: use the task
`jsonl`.) `check_task` says whether it does all that a task has to do; run this file to see it:
python examples/task_of_ones_own.py
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from eval.answers import ANSWER_FORMATS, Extraction
from eval.tasks.base import Example, Split, TaskReference
from eval.tasks.conformance import check_task

FORMAT = "Think within <thinking> and </thinking>, then write the time within <solution> and </solution>."
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class ClockTimes:
    answer_format = ANSWER_FORMATS["solution"]
    answer_kind = "text"
    description = f"What time it is some minutes after another time, on a clock of 24 hours. {FORMAT}"

    def __init__(self, questions: int) -> None:
        self.reference = TaskReference(name="examples.task_of_ones_own:build", options={"questions": questions})
        self._questions = questions

    def examples(self, split: Split, limit: int | None = None) -> Sequence[Example]:
        first = SPLITS.index(split)
        numbers = range(first, self._questions, len(SPLITS))
        return [self._example(number) for number in list(numbers)[:limit]]

    def _example(self, number: int) -> Example:
        start, minutes = (number * 37) % 1440, 5 + number % 180
        question = f"It is {_clock(start)}. What time is it {minutes} minutes later?"
        prompt = ({"role": "system", "content": FORMAT}, {"role": "user", "content": question})
        return Example(f"clock-{number}", prompt, _clock(start + minutes))  # type: ignore[arg-type]

    def extract(self, completion: str) -> Extraction:
        tagged = re.findall(r"<solution>\s*([0-9]{1,2}[:.][0-9]{2})\s*</solution>", completion)
        anywhere = re.findall(r"[0-9]{1,2}[:.][0-9]{2}", completion)
        strict = tagged[-1] if tagged else None
        return Extraction(strict, strict or (anywhere[-1] if anywhere else None))

    def equal(self, extracted: str, gold: str) -> bool:
        return _minutes(extracted) == _minutes(gold)


def build(options: Mapping[str, Any]) -> ClockTimes:
    return ClockTimes(int(options.get("questions", 300)))


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def _minutes(time: str) -> int:
    hours, _, minutes = time.replace(".", ":").partition(":")
    return 60 * int(hours) + int(minutes)


if __name__ == "__main__":
    check_task(build({}))
    print("it does all that a task has to do")
