"""Tasks by name. A user's own task is `package.module:function` and needs no entry here."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from eval.tasks.base import Task, TaskReference
from rewards_generated.loading import load_object

BUILT_IN_TASKS = {
    "testbed": "eval.tasks.testbed:build",
    "gsm8k": "eval.tasks.gsm8k:build",
    "math": "eval.tasks.sets:mathematics",
    "math-500": "eval.tasks.sets:math_500",
    "aime24": "eval.tasks.sets:aime_24",
    "aime25": "eval.tasks.sets:aime_25",
    "svamp": "eval.tasks.sets:svamp",
    "gpqa-diamond": "eval.tasks.sets:gpqa_diamond",
    "word-problems": "eval.tasks.generated.word_problems:build",
    "countdown": "eval.tasks.generated.countdown:build",
    "code": "eval.tasks.generated.functions:build",
    "verifiers": "eval.tasks.environments.task:build",
    "hub": "eval.tasks.sets:hub",
    "jsonl": "eval.tasks.jsonl:build",
}
_GENERATING = ("eval.tasks.testbed", "eval.tasks.generated")
"""Packages whose tasks make their questions."""
_AXES = ("depth", "length", "tokens", "templates", "composition")
SUITES: dict[str, tuple[str, ...]] = {"testbed": tuple(f"testbed-{axis}" for axis in _AXES)}
"""Names of the out-of-distribution suites of a task. Each is a task, and so is its control; see `control_of`."""


def control_of(task: str) -> str | None:
    """Name of the task with the suite's matched controls within the distribution; None for a task that is no suite."""
    return f"{task}-control" if any(task in suites for suites in SUITES.values()) else None


def task_names() -> list[str]:
    """All that are built in."""
    suites = [name for names in SUITES.values() for name in names]
    return [*BUILT_IN_TASKS, *suites, *(f"{name}-control" for name in suites)]


def makes_its_questions(task: str) -> bool:
    """Whether building the task fetches nothing, reads no file, and runs no code but ours: its questions are generated,
    as are those of the testbed's suites."""
    return _targets().get(task, "").startswith(_GENERATING)


def build_task(reference: TaskReference) -> Task:
    """The task that the reference names. Its modules are imported only now.

    A reference of the form `package.module:function` names a user's own builder; like the built-in ones it takes
    the options (a dict of str to anything) and returns a Task. Modules in the working folder are found as well.
    Raises UserError for an unknown name, a builder that cannot be imported, or a bad option.
    """
    task: Task = _builder(reference.name)(reference.options)
    return task


def task_options(name: str) -> type[BaseModel] | None:
    """The options of a task as a pydantic model; None where its builder declares none as its `Options`. Raises
    UserError as `build_task` does."""
    options = getattr(_builder(name), "Options", None)
    return options if isinstance(options, type) and issubclass(options, BaseModel) else None


def _targets() -> dict[str, str]:
    """Where the builders of all that are built in stand."""
    return dict.fromkeys(task_names(), "eval.tasks.testbed.suites:suite_builder") | BUILT_IN_TASKS


def _builder(name: str) -> Any:
    known = _targets()
    found = load_object(name, known, "task.name", "task", form="function")
    return found(name) if name in known and name not in BUILT_IN_TASKS else found
