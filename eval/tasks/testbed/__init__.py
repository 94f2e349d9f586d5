"""The built-in task: generated multi-step word problems, with everything that shifts the distribution as an option.

{} is the distribution of training.
"""

from __future__ import annotations

from eval.tasks.builder import TaskBuilder
from eval.tasks.testbed.task import TestbedOptions, TestbedTask

__all__ = ["build"]

build = TaskBuilder("testbed", TestbedOptions, TestbedTask)
