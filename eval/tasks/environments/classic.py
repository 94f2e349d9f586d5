"""Environments with a dataset, a parser and a rubric: `SingleTurnEnv` of verifiers before 0.4."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from eval.tasks.environments.base import Part, Row, called, messages, named
from rewards_generated.errors import UserError


class Reply(dict[str, Any]):
    """An assistant's message, whose fields can be had as items and as attributes: functions use both."""

    __getattr__ = dict.__getitem__


class ClassicEnvironment:
    """Raises UserError for an environment of several turns, or a correctness function that it does not have."""

    def __init__(self, environment: Any, correctness: str, where: str) -> None:
        if getattr(environment, "max_turns", None) != 1:
            raise UserError(f"{where} is no environment of a single turn (SingleTurnEnv): a policy here answers once")
        self._environment = environment
        rubrics = _by_function(environment.rubric)
        self._correctness = named({name: found for name, (found, _) in rubrics.items()}, correctness, where)
        self._objects = {"parser": environment.parser, **getattr(rubrics[correctness][1], "class_objects", {})}
        self._where = f"{where}: {correctness}"

    @property
    def system_prompt(self) -> str:
        return str(self._environment.system_prompt or "")

    def rows(self, part: Part, limit: int) -> list[Row] | None:
        environment, name = self._environment, "dataset" if part == "train" else "eval_dataset"
        # It says nothing of a part that it lacks: asked for one, it fails or gives the other.
        if getattr(environment, name) is None and getattr(environment, f"{name}_source", None) is None:
            return None
        return [self._row(record) for record in getattr(environment, f"get_{name}")(n=limit)]

    def parse(self, completion: str) -> str | None:
        found = self._environment.parser.parse_answer([Reply(role="assistant", content=completion)])
        return None if found is None or not str(found).strip() else str(found).strip()

    def verdict(self, row: Row, completion: str) -> float:
        replies = [Reply(role="assistant", content=completion)]
        offered = {**row.record, **row.facts, "prompt": list(row.prompt), "completion": replies}
        return called(self._correctness, {**offered, "state": offered, **self._objects}, self._where)

    def _row(self, record: Mapping[str, Any]) -> Row:
        # Questions that differ in their text alone are judged alike, unless the function looks at it.
        looks_at = set(inspect.signature(self._correctness).parameters)
        texts = set() if "state" in looks_at else {"prompt", "question"} - looks_at
        facts = {name: value for name, value in record.items() if name not in {"example_id", "id", *texts}}
        facts |= {"answer": record.get("answer") or "", "info": record.get("info") or {}}
        return Row(messages(record["prompt"], self._where), str(facts["answer"]), facts, record)


def _by_function(rubric: Any) -> dict[str, tuple[Callable[..., Any], Any]]:
    """The functions of a rubric and of the rubrics that it groups by name, each with its own rubric."""
    found = {
        getattr(function, "__name__", repr(function)): (function, rubric) for function in getattr(rubric, "funcs", [])
    }
    for part in getattr(rubric, "rubrics", []):
        found = _by_function(part) | found
    return found
