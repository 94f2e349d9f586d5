"""The testbed's task: splits that share no arithmetic, extraction, and equality of integers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count, islice

from pydantic import Field

from eval.tasks.base import Example, Split, TaskReference
from eval.tasks.testbed.draws import Draws
from eval.tasks.testbed.problem import Problem, ProblemOptions, draw_problem
from rewards_generated.answers import ANSWER_FORMATS, Extraction
from rewards_generated.errors import UserError

BUCKETS: dict[str, range] = {
    "corpus": range(0, 40),
    "train": range(40, 70),
    "validation": range(70, 80),
    "test": range(80, 95),
    "development": range(95, 100),
}
"""Which percentiles of the content hash belong to which use; `corpus` is for pretraining, `development` for tuning."""

_SOLUTION = re.compile(r"<solution>(.*?)</solution>", re.DOTALL)
_INTEGER = re.compile(r"(?<![\d.])[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.0+)?(?![\d.]*\d)")


class TestbedOptions(ProblemOptions):
    """Options of the task: the problems of the suite and the sizes of its splits."""

    __test__ = False

    train: int = Field(6000, ge=1, description="questions in the train split")
    validation: int = Field(1000, ge=1, description="questions in the validation split")
    test: int = Field(2000, ge=1, description="questions in the test split")


class TestbedTask:
    """Generated word problems; see `eval.tasks.testbed.build`."""

    __test__ = False
    answer_format = ANSWER_FORMATS["solution"]
    description = (
        "Short word problems of two to four steps of addition, subtraction and multiplication with numbers below 100; "
        "some contain a number that does not matter. The policy writes its reasoning in <thinking>...</thinking> "
        "as equations such as `17 + 25 = 42.` and then the final integer in <solution>...</solution>. It sometimes "
        "checks itself (`Wait, check 17 + 25 = 42.`)."
    )

    def __init__(self, reference: TaskReference, options: TestbedOptions) -> None:
        self.reference = reference
        self.options = options
        self._cache: dict[Split, list[Example]] = {}
        self._streams: dict[Split, Iterator[Problem]] = {}

    def examples(self, split: Split, limit: int | None = None) -> Sequence[Example]:
        size: int = getattr(self.options, split)
        if limit is not None and limit < 1:
            raise UserError(f"limit = {limit}: at least one question of the {split} split is needed")
        if split not in self._cache:
            self._cache[split], self._streams[split] = [], self._problems(split)
        known = self._cache[split]
        # Only as many as are asked for: drawing them takes longer than answering them on a GPU.
        missing = (size if limit is None else min(limit, size)) - len(known)
        for problem in islice(self._streams[split], max(0, missing)):
            known.append(self._example(split, len(known), problem))
        return known[:limit]

    def extract(self, completion: str) -> Extraction:
        """Strict: the whole text of the last solution block is an integer. Flexible: else the last integer."""
        blocks = _SOLUTION.findall(completion)
        whole = _INTEGER.fullmatch(blocks[-1].strip()) if blocks else None
        strict = _plain(whole[0]) if whole else None
        if strict is not None:
            return Extraction(strict, strict)
        integers = _INTEGER.findall(completion)
        return Extraction(None, _plain(integers[-1]) if integers else None)

    def equal(self, extracted: str, gold: str) -> bool:
        return int(extracted) == int(gold)

    def _problems(self, split: Split) -> Iterator[Problem]:
        return problems(split, self.options)

    def _example(self, split: Split, number: int, problem: Problem) -> Example:
        return problem_example(f"testbed-{split}", problem)


def problems(use: str, options: ProblemOptions) -> Iterator[Problem]:
    """An endless stream of problems whose content belongs to `use` (a key of `BUCKETS`), no arithmetic twice."""
    bucket = BUCKETS[use]
    distribution = options.model_dump_json(include=set(ProblemOptions.model_fields))
    seen: set[str] = set()
    for index in count():
        problem = draw_problem(Draws(f"testbed/{use}/{distribution}/{index}"), options)
        content = problem.content
        if int(content[:8], 16) % 100 in bucket and content not in seen:
            seen.add(content)
            yield problem


def problem_example(prefix: str, problem: Problem) -> Example:
    """Its id is the prefix and the first digits of the content's hash."""
    operations = [operation for operation, _ in problem.operations]
    return Example(
        id=f"{prefix}-{problem.content[:16]}",
        prompt=({"role": "user", "content": problem.question},),
        answer=str(problem.answer),
        attributes={
            "steps": len(operations),
            "family": problem.scene,
            "operations": operations,
            "distractors": len(problem.steps) - len(operations),
            "carries": problem.carries,
        },
    )


def _plain(integer: str) -> str:
    return str(int(integer.replace(",", "").split(".")[0]))
