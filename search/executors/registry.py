"""Executors by name. A user's own is `package.module:Class` and needs no entry here."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from rewards_generated.errors import UserError
from search.executors.base import Executor

BUILT_IN_EXECUTORS = {"local": "search.executors.local:LocalExecutor"}


def build_executor(name: str, **options: Any) -> Executor:
    """The executor, constructed with the options.

    A name of the form `package.module:Class` is imported, from the working folder too. Raises UserError for an
    unknown name, a class that cannot be imported, or options that it does not take.
    """
    target = BUILT_IN_EXECUTORS.get(name, name)
    module, _, attribute = target.partition(":")
    if not attribute:
        known = ", ".join(sorted(BUILT_IN_EXECUTORS))
        raise UserError(f"executor.name = {name!r} is not one of {known}; your own is written package.module:Class")
    folder = str(Path.cwd())
    if name not in BUILT_IN_EXECUTORS and folder not in sys.path:
        sys.path.append(folder)
    try:
        executor_class = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise
        raise UserError(f"executor.name = {name!r}: there is no module {error.name!r} to import") from None
    except AttributeError:
        raise UserError(f"executor.name = {name!r}: module {module!r} has no class {attribute!r}") from None
    try:
        executor: Executor = executor_class(**options)
    except TypeError as error:
        raise UserError(f"executor {name!r} does not take these options: {error}") from error
    return executor
