"""Resuming a search under other settings: which may change, which would mix results, and what is written down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rewards_generated.errors import UserError
from rewards_generated.validation import read_options
from search.config.models import SearchConfig
from search.config.names import GREEDY_SELECTED, RACES
from search.config.source import changed_fields, parse_config, refusal
from search.finals.greedy import STAGE
from search.ledger import Change, Ledger
from search.proposers.registry import proposer_class
from search.rounds.inputs import TEMPLATE, template_digest

PROPOSING = ("proposer.options", "search.rounds")
"""Of later rounds: what a recorded round was asked and answered stays as it was."""
RUNNING = ("executor.parallel_jobs", "executor.job_timeout_seconds", "executor.options", "trackers")
"""How jobs are run, and where else they are logged; what they come to is decided by their descriptions."""
ANEW = "a new search in another --run-dir"

Changed = tuple[str, Any, Any]
"""Path of a field, its value before and after."""


def mended(ledger: Ledger, folder: Path, config: SearchConfig) -> tuple[SearchConfig, list[Changed]]:
    """The configuration to go on with, and its changes; without any, or where the search is finished, the recorded one
    as it is. Raises UserError naming the fields that may not change, or not any more."""
    recorded = parse_config(ledger.fact("config"))
    before = _values(recorded, ledger.fact(TEMPLATE))
    changes = list(changed_fields(before, _values(config, template_digest(config))))
    finished = ledger.milestone("finished") is not None
    fields = [field for field, _, _ in changes]
    mixing = [field for field in fields if not _is_of(field, (*PROPOSING, *RUNNING))]
    if mixing:
        raise UserError(refusal(mixing, str(folder), ANEW))
    if "search.rounds" in fields and (finished or _rounds_are_over(ledger)):
        over = "is finished" if finished else "has chosen its ensembles, so its rounds are over"
        raise UserError(f"{folder} {over}: `search.rounds` changed, to no effect; resume without, or start {ANEW}")
    rounds = len(ledger.rounds())
    if config.search.rounds < recorded.search.rounds and config.search.rounds < rounds:
        raise UserError(
            f"`search.rounds` = {config.search.rounds} is less than the {rounds} rounds that {folder} has proposed; "
            f"set {rounds} or more"
        )
    if finished:
        return recorded, []
    return (config if changes else recorded), changes


def record_mending(ledger: Ledger, config: SearchConfig, changes: Sequence[Changed]) -> list[Change]:
    """Writes down that the search goes on under `config`, if that is another; returns what was written."""
    if not changes:
        return []
    facts = {"config": config.plain(), "config_digest": config.digest, TEMPLATE: template_digest(config)}
    if races := ledger.fact(RACES):
        last = max((candidate.round for candidate in ledger.candidates()), default=0)
        facts[RACES] = {stage: names for stage, names in races.items() if int(stage.partition(".")[0]) <= last}
    ledger.record_changes(changes, facts)
    return ledger.changes()[-len(changes) :]


def _rounds_are_over(ledger: Ledger) -> bool:
    fixed = any(ledger.milestone(name) is not None for name in ("ensembles_fixed", GREEDY_SELECTED))
    return fixed or bool(ledger.jobs(STAGE))


def _is_of(field: str, sections: Sequence[str]) -> bool:
    return any(field == section or field.startswith(f"{section}.") for section in sections)


def _values(config: SearchConfig, template: str | None) -> dict[str, Any]:
    """Plain values with all options of the proposer, those at their defaults too, and what tells templates apart."""
    values = config.plain()
    settings = getattr(proposer_class(config.proposer.name), "Settings", None)
    if isinstance(settings, type) and issubclass(settings, BaseModel):
        owner = f"proposer {config.proposer.name!r}"
        options = read_options(settings, config.proposer.options, "proposer.options", owner)
        values["proposer"]["options"] = options.model_dump(mode="json")
    if template is not None:
        values["proposer"]["options"]["template"] += f" (SHA-256 {template[:12]})"
    return values
