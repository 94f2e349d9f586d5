"""What the searches of the study say: arms compared over seeds, and whether the arms were what they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rewards_generated.validation import read_options
from search.config.models import SearchConfig
from search.proposers.evolve import EvolveSettings
from search.study.base import ArmKind, Findings
from search.study.cells import by_seed, each, mean
from search.study.feedback.records import FinalsRecord, Measures
from search.study.words import Words

ARMS: dict[str, ArmKind] = {"ranked": "main", "none": "control", "shuffled": "other"}
PAIRS = (("ranked", "none"), ("ranked", "shuffled"))
"""Declared beforehand; corrected together, measure by measure."""
CONTROLS = ("top of ranked", "random of none")

Found = Mapping[str, Sequence[Measures | None]]


@dataclass(frozen=True, kw_only=True)
class FeedbackFindings(Findings):
    parent_chance: float | None
    """With which `evolve` takes the best of all earlier candidates as a parent; None for another proposer."""


def feedback_findings(
    config: SearchConfig, words: Words, found: Found, finals: Sequence[FinalsRecord | None]
) -> FeedbackFindings:
    """A pair of searches counts when both are there."""
    families = [
        words.family("last_round", by_seed(found, lambda item: item.last_f1), PAIRS, primary=True),
        words.family("best_candidate", by_seed(found, lambda item: item.best_f1), PAIRS),
    ]
    tables = [words.table(name, found) for name in ("arms_table", "searches_table", "proposals_table")]
    needed: list[object] = [item for items in found.values() for item in items]
    if config.finals.random_controls.pool:
        needed += finals
        ensembles = each(finals, lambda item: item.ensemble)
        draws = each(finals, lambda item: None if None in item.draws else mean(item.draws))
        families.append(words.family("ensembles", dict(zip(CONTROLS, (ensembles, draws), strict=True)), [CONTROLS]))
        tables.append(words.table("ensembles_table", finals))
    runs = {arm: [item.by_round_f1 for item in items if item] for arm, items in found.items()}
    return FeedbackFindings(
        complete=None not in needed,
        families=families,
        figures=[words.figure("rounds_figure", runs)],
        tables=tables,
        parent_chance=_parent_chance(config),
    )


def _parent_chance(config: SearchConfig) -> float | None:
    if config.proposer.name != "evolve":
        return None
    decay = read_options(EvolveSettings, config.proposer.options, "proposer.options", "proposer 'evolve'").rank_decay
    return 1 / sum(decay**place for place in range((config.search.rounds - 1) * config.search.candidates_per_round))
