"""What a task's name stands for: its options and what makes the task of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from eval.tasks.base import Task, TaskReference
from rewards_generated.validation import read_options


@dataclass(frozen=True, slots=True)
class TaskBuilder:
    """Called with the options of a `TaskReference` it gives the task; raises UserError for an unknown or bad one."""

    name: str
    Options: type[BaseModel]
    """Also looked for at a function of a user's own, to list its options."""
    make: Callable[[TaskReference, Any], Task]

    def __call__(self, options: Mapping[str, Any]) -> Task:
        chosen = read_options(self.Options, options, "task.options", f"task {self.name!r}")
        return self.make(TaskReference(name=self.name, options=dict(options)), chosen)
