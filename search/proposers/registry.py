"""Proposers by name. A user's own is `package.module:Class` and needs no entry here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from eval.tasks.options import nearest
from rewards_generated.errors import UserError
from search.proposers.base import Proposer
from search.proposers.settings import read_settings

PROPOSERS = {
    "evolve": "search.proposers.evolve:EvolveProposer",
    "litellm": "search.proposers.language_model:LanguageModelProposer",
    "manual": "search.proposers.manual:ManualProposer",
}


def build_proposer(name: str, options: Mapping[str, Any]) -> Proposer:
    """The proposer of that name with its checked options. Nothing is sent, and no heavy package is imported.

    A class of the user's own is named `package.module:Class`; modules in the working folder are found as well. If
    it has a class attribute `Settings` (a pydantic model), the options are checked against it and the constructor
    takes the model; else the constructor takes the options as keyword arguments.
    Raises UserError for an unknown name, a class that cannot be imported, or a bad option.
    """
    kind = proposer_class(name)
    settings = getattr(kind, "Settings", None)
    if isinstance(settings, type) and issubclass(settings, BaseModel):
        proposer = kind(read_settings(name, settings, options))
    else:
        try:
            proposer = kind(**options)
        except TypeError as error:
            raise UserError(f"proposer.options do not fit {name!r}: {error}") from None
    if not callable(getattr(proposer, "propose", None)):
        raise UserError(f"proposer.name = {name!r}: the class has no method propose(request)")
    built: Proposer = proposer
    return built


def prepare(proposer: Proposer) -> None:
    """Lets the proposer check what it needs (keys, prices, templates) before a search spends anything.

    Calls the proposer's `prepare()` if it has one. Raises UserError.
    """
    method = getattr(proposer, "prepare", None)
    if callable(method):
        method()


def proposer_class(name: str) -> type[Any]:
    """The class behind a name; its `Settings` list the options with their help. Raises UserError."""
    if name in PROPOSERS:
        module, _, attribute = PROPOSERS[name].partition(":")
        built_in: type[Any] = getattr(import_module(module), attribute)
        return built_in
    if ":" not in name:
        raise UserError(
            f"proposer.name = {name!r} is not a known proposer: {nearest(name, PROPOSERS)} "
            "(a proposer of your own is written package.module:Class)"
        )
    return _own_class(name)


def _own_class(target: str) -> type[Any]:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    module, _, attribute = target.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        # A module that is missing inside the user's own module is a fault of that module: let it show itself.
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise
        raise UserError(f"proposer.name = {target!r}: there is no module {error.name!r} to import") from None
    except (AttributeError, ValueError):
        raise UserError(f"proposer.name = {target!r}: module {module!r} has no class {attribute!r}") from None
    if not isinstance(found, type):
        raise UserError(f"proposer.name = {target!r}: {attribute!r} is not a class")
    return found
