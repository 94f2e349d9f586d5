"""Proposers by name. A user's own is `package.module:Class` and needs no entry here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from rewards_generated.loading import construct, load_object
from rewards_generated.validation import read_options
from search.proposers.base import Proposer

PROPOSERS = {
    "evolve": "search.proposers.evolution.evolve:EvolveProposer",
    "litellm": "search.proposers.language_model.proposer:LanguageModelProposer",
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
        proposer = kind(read_options(settings, options, "proposer.options", f"proposer {name!r}"))
    else:
        proposer = construct(kind, options, "proposer.options", f"proposer {name!r}")
    built: Proposer = proposer
    return built


def prepare(proposer: Proposer) -> None:
    """Lets the proposer check what it needs (keys, prices, templates) before a search spends anything.

    Calls the proposer's `prepare()` if it has one. Raises UserError.
    """
    method = getattr(proposer, "prepare", None)
    if callable(method):
        method()


def proposer_notes(proposer: Proposer) -> list[str]:
    """What the proposer has to say of its settings before a search, a sentence each; it need not have any `notes()`."""
    notes: list[str] = list(getattr(proposer, "notes", list)())
    return notes


def proposer_class(name: str) -> type[Any]:
    """The class behind a name; its `Settings` list the options with their help. Raises UserError."""
    kind: type[Any] = load_object(name, PROPOSERS, "proposer.name", "proposer", method="propose")
    return kind
