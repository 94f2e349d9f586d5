"""The luck of training seeds that earlier searches saw, where the user names them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from eval.statistics.luck import SeedVariance, pooled_with
from rewards_generated.errors import UserError
from search.config.checks import base_model_fingerprint
from search.config.models import SearchConfig
from search.config.source import changed_fields, parse_config
from search.ledger import Ledger
from search.results.ranking import EARLIER_LUCK, own_seed_luck

TRAINING = ("grpo", "algorithm", "lora", "evaluation_turns", "second_turn_phrase")
"""Of `screening`: what decides how runs of one recipe differ."""


def earlier_luck_facts(config: SearchConfig) -> dict[str, Any]:
    """Raises UserError for a folder without a search, another task, base policy or training, or without any luck to
    be seen."""
    found = [_luck_of(config, Path(folder)) for folder in config.screening.earlier_runs]
    pooled = pooled_with(found)
    return {} if pooled is None else {EARLIER_LUCK: pooled._asdict()}


def _luck_of(config: SearchConfig, folder: Path) -> SeedVariance:
    field = f"`screening.earlier_runs` = {str(folder)!r}"
    with closing(Ledger.open(folder)) as ledger:
        theirs = ledger.fact("config")
        changed = [name for name, _, _ in changed_fields(_deciding(theirs), _deciding(config.plain()))]
        if ledger.fact("base_model") != base_model_fingerprint(config.base_model):
            changed.append("base_model")
        if changed:
            raise UserError(f"{field} is a search with other {', '.join(changed)}: its luck says nothing of this one")
        luck = own_seed_luck(parse_config(theirs), ledger)
    if luck is None:
        raise UserError(f"{field} trained nothing twice, so it shows no luck of seeds; leave it out")
    return luck


def _deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"task": config["task"], "screening": {name: config["screening"].get(name) for name in TRAINING}}
