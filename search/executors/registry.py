"""Executors by name. A user's own is `package.module:Class` and needs no entry here."""

from __future__ import annotations

from typing import Any

from rewards_generated.loading import construct, load_object
from search.executors.base import Executor

BUILT_IN_EXECUTORS = {"local": "search.executors.local:LocalExecutor"}


def build_executor(name: str, **options: Any) -> Executor:
    """The executor, constructed with the options.

    A name of the form `package.module:Class` is imported, from the working folder too. Raises UserError for an
    unknown name, a class that cannot be imported, or options that it does not take.
    """
    kind = load_object(name, BUILT_IN_EXECUTORS, "executor.name", "executor")
    executor: Executor = construct(kind, options, "executor.options", f"executor {name!r}")
    return executor
