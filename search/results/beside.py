"""Another search beside the one that a report is of: what was set otherwise, what came of each, who is ahead."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from eval.report.data import OtherSearch, SearchSummary, SettingPair
from eval.report.scores import Runs, compare_runs
from eval.statistics.estimate import Estimate
from eval.statistics.luck import pooled_with
from rewards_generated.errors import UserError
from search.config.models import SearchConfig
from search.config.source import changed_fields, parse_config
from search.ledger import Ledger
from search.proposers.base import Spending
from search.results.entries import final_entries
from search.results.evidence import trained_runs
from search.results.ranking import outcomes, ranked, seed_luck

NOT_COMPARED = ("name", "executor")
"""Of the configuration: what says nothing of what was searched for."""


def beside(config: SearchConfig, ledger: Ledger, folder: Path) -> OtherSearch:
    """`folder`: of the other search. Raises UserError if it holds none, or is the same one."""
    if folder.resolve() == ledger.folder.resolve():
        raise UserError(f"--beside {folder} is the run itself; give the folder of another search")
    with closing(Ledger.open(folder)) as other:
        theirs = parse_config(other.fact("config"))
        here, there = _summary(config, ledger), _summary(theirs, other)
        difference, why = _difference(config, ledger, theirs, other)
    fields = changed_fields(config.plain(), theirs.plain())
    return OtherSearch(
        here=here,
        there=there,
        settings=tuple(
            SettingPair(name=name, here=_shown(own), there=_shown(value))
            for name, own, value in fields
            if name.partition(".")[0] not in NOT_COMPARED
        ),
        difference=difference,
        not_compared=why,
    )


def _summary(config: SearchConfig, ledger: Ledger) -> SearchSummary:
    every = outcomes(config, ledger)
    order = ranked(every)
    best = next((entry for entry in final_entries(config, ledger) if entry.winner and not entry.failure), None)
    spent = Spending.of(ledger.calls())
    started, finished = ledger.milestone("started"), ledger.milestone("finished")
    return SearchSummary(
        name=config.name,
        candidates=len(every),
        scored=len(order),
        by_round=tuple(
            tuple(o.scores.accuracy.value for o in order if o.scores and o.candidate.round == item.number)
            for item in ledger.rounds()
        ),
        split=config.search.select_on,
        first=order[0].candidate.name if order else None,
        first_scores=order[0].scores if order else None,
        winner=best.name if best else None,
        winner_scores=best.test if best else None,
        seconds=(finished.at - started.at).total_seconds() if started and finished else None,
        llm_calls=spent.calls,
        cost_usd=None if spent.unpriced_calls else spent.cost_usd,
    )


def _difference(
    config: SearchConfig, ledger: Ledger, theirs: SearchConfig, other: Ledger
) -> tuple[Estimate | None, str]:
    """Accuracy on the test split of this winner minus that of the other, and why there is none."""
    found: dict[str, Runs] = {}
    for side, (own, book) in {"here": (config, ledger), "there": (theirs, other)}.items():
        named = book.milestone("winner_named")
        winner = next((f for f in book.finalists() if named and f.name == named.detail["name"]), None)
        runs = trained_runs(own, book, winner.same_as or winner.name, "test") if winner else None
        if not runs:
            return None, "not both have a winner with answers on the test split"
        found[side] = runs
    asked = {tuple(p.id for p in predictions) for runs in found.values() for predictions in runs.values()}
    if len(asked) > 1 or config.task != theirs.task:
        return None, "the two were tested on different questions"
    luck = pooled_with([seen for seen in (seed_luck(config, ledger), seed_luck(theirs, other)) if seen])
    table = compare_runs(found, "test", luck=luck)
    if table is None or table.tests[0].seeds_difference is None:
        return None, "nothing was trained twice, so the luck of training is unknown"
    return table.tests[0].seeds_difference, ""


def _shown(value: object) -> str:
    return "not set" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
