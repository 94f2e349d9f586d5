"""The out-of-distribution suites that a configuration names."""

from __future__ import annotations

import json
from dataclasses import dataclass

from eval.tasks.base import TaskReference
from eval.tasks.registry import SUITES, control_of
from rewards_generated.errors import UserError
from search.config.models import SearchConfig


@dataclass(frozen=True, slots=True)
class Suite:
    """A task with other questions than the search's, and the task with their matched controls, if it has any."""

    name: str
    task: TaskReference
    matched: TaskReference | None


def with_suites(config: SearchConfig) -> SearchConfig:
    """With all suites of the task, unless the configuration names some. Raises UserError if the task has none."""
    if config.finals.ood:
        return config
    if config.task.name not in SUITES:
        raise UserError(
            f"--ood: the task {config.task.name!r} has no out-of-distribution suites of its own; name tasks with other "
            "questions in `finals.ood`"
        )
    finals = config.finals.model_copy(update={"ood": SUITES[config.task.name]})
    return config.model_copy(update={"finals": finals})


def suites_of(config: SearchConfig) -> list[Suite]:
    """Raises UserError where one is named twice, or is the search's own task."""
    suites: dict[str, Suite] = {}
    for named in config.finals.ood:
        task = TaskReference(name=named) if isinstance(named, str) else named
        matched = control_of(task.name)
        name = task.name + (f" {json.dumps(task.options, sort_keys=True)}" if task.options else "")
        if task == config.task:
            raise UserError(f"`finals.ood` names {name!r}, the task of the search itself; its test split is that suite")
        if name in suites:
            raise UserError(f"`finals.ood` names {name!r} twice; name it once")
        suites[name] = Suite(name, task, TaskReference(name=matched, options=task.options) if matched else None)
    return list(suites.values())
