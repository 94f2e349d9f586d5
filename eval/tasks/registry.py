"""Tasks by name. A user's own task is `package.module:function` and needs no entry here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

from eval.tasks.base import Task, TaskReference
from eval.tasks.options import nearest
from rewards_generated.errors import UserError

BUILT_IN_TASKS = {
    "testbed": "eval.tasks.testbed:build",
    "gsm8k": "eval.tasks.gsm8k:build",
    "math": "eval.tasks.mathematics:build",
    "jsonl": "eval.tasks.jsonl:build",
}
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


def build_task(reference: TaskReference) -> Task:
    """The task that the reference names. Its modules are imported only now.

    A reference of the form `package.module:function` names a user's own builder; like the built-in ones it takes
    the options (a dict of str to anything) and returns a Task. Modules in the working folder are found as well.
    Raises UserError for an unknown name, a builder that cannot be imported, or a bad option.
    """
    name = reference.name
    if name in BUILT_IN_TASKS:
        builder = _load(BUILT_IN_TASKS[name])
    elif name in task_names():
        builder = partial(_load("eval.tasks.testbed.suites:build"), name)
    elif ":" in name:
        builder = _load_own(name)
    else:
        raise UserError(
            f"task.name = {name!r} is not a known task: {nearest(name, task_names())} "
            "(a task of your own is written package.module:function)"
        )
    task: Task = builder(reference.options)
    return task


def _load(target: str) -> Callable[..., Task]:
    module, _, function = target.partition(":")
    builder: Callable[..., Task] = getattr(import_module(module), function)
    return builder


def _load_own(target: str) -> Callable[..., Task]:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    name, _, function = target.partition(":")
    if not name or not function:
        raise UserError(f"task.name = {target!r}: write it as package.module:function")
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        # A module that is missing inside the user's own module is a fault of that module: let it show itself.
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise
        raise UserError(f"task.name = {target!r}: there is no module {error.name!r} to import") from None
    builder: Callable[..., Task] | None = getattr(module, function, None)
    if not callable(builder):
        raise UserError(f"task.name = {target!r}: module {name!r} has no function {function!r}")
    return builder
