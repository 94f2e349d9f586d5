"""The built-in task: generated multi-step word problems, with everything that shifts the distribution as an option."""

from __future__ import annotations

from typing import Any

from eval.tasks.base import Task, TaskReference
from eval.tasks.testbed.task import TestbedOptions, TestbedTask
from rewards_generated.validation import read_options

__all__ = ["build"]


def build(options: dict[str, Any]) -> Task:
    """The task with the given options (fields of `TestbedOptions`); {} is the distribution of training.

    Raises UserError for an unknown option or a bad value.
    """
    return TestbedTask(
        TaskReference(name="testbed", options=options),
        read_options(TestbedOptions, options, "task.options", "task 'testbed'"),
    )
