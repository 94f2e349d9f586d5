"""Entries of the leaderboard and the tests between them."""

from __future__ import annotations

from typing import Any, Literal

from eval.report.data import Entry, PairwiseTable, Scores, SuiteScores, Transfer
from eval.report.scores import Runs, compare_runs, score_runs, validation_minus_test
from eval.report.suites import suite_scores
from eval.report.text import joined
from eval.report.transfer import transfer_scores
from eval.statistics.luck import SeedVariance
from eval.tasks.base import Split, TaskReference
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY, UNTRAINED
from search.config.suites import Suite, suites_of
from search.jobs.descriptions import transfer_subject
from search.ledger import Finalist, Ledger
from search.results.evidence import ENSEMBLES, families, final_runs, trained_runs
from search.results.ranking import (
    Outcome,
    complete_runs,
    control_scores,
    final_seeds_of,
    outcomes,
    ranked,
    seed_luck,
    stopped,
    untrained_scores,
)

EVALUATED = "suites_evaluated"
"""Milestone."""
APART = ("screened", "stopped")
"""Statuses with scores of some kind, each listed in its own place."""


def final_entries(config: SearchConfig, ledger: Ledger) -> list[Entry]:
    """The retrained finalists and the untrained base; empty until the ensembles are fixed."""
    finalists = ledger.finalists()
    if not finalists:
        return []
    winner = ledger.milestone("winner_named")
    named = winner.detail["name"] if winner else None
    luck = seed_luck(config, ledger)
    return [
        _untrained(config, ledger),
        *(_final_entry(config, ledger, finalist, finalist.name == named, luck) for finalist in finalists),
    ]


def screened_entries(config: SearchConfig, ledger: Ledger) -> list[Entry]:
    """The candidates as the screenings rank them, and the controls."""
    select, steps = config.search.select_on, config.screening.grpo.steps
    every = outcomes(config, ledger)

    def entry(outcome: Outcome, scores: Scores | None, **more: Any) -> Entry:
        name = outcome.candidate.name
        return Entry(
            name=name, kind="single", round=outcome.candidate.round, members=(name,), **{select: scores}, **more
        )

    whole = (*ranked(every), *(unscored for unscored in every if unscored.status not in APART))
    return [
        *baselines(config, ledger),
        *(entry(item, item.scores, steps=steps, failure="; ".join(item.reasons) or None) for item in whole),
        *(
            entry(item, item.rung_scores, steps=item.rung, listed_apart=f"stopped after {item.rung} of {steps} steps")
            for item in stopped(every)
        ),
    ]


def baselines(config: SearchConfig, ledger: Ledger) -> list[Entry]:
    scores = control_scores(config, ledger)
    select = config.search.select_on
    return [
        Entry(name=UNTRAINED, kind="control", control="untrained base", **{select: scores[UNTRAINED]}),
        Entry(
            name=BASE_ONLY,
            kind="control",
            control="base rewards only",
            steps=config.screening.grpo.steps,
            **{select: scores[BASE_ONLY]},
        ),
    ]


def pairwise(config: SearchConfig, ledger: Ledger) -> PairwiseTable | None:
    """McNemar's test between all scored finalists, in declared families: on the test split once it is open, else on
    validation."""
    select = config.search.select_on
    split: Literal["validation", "test"] = "test" if ledger.milestone("test_opened") else "validation"
    runs = final_runs(config, ledger, ledger.finalists(), split)
    named = ledger.milestone("winner_named")
    declared = families([f for f in ledger.finalists() if f.name in runs], named.detail["name"] if named else None)
    ensembles = list(dict.fromkeys(name for pair in declared.get(ENSEMBLES, []) for name in pair))
    table = compare_runs(
        runs,
        split,
        config.finals.equivalence_margin,
        families=declared,
        cochran_over=ensembles or None,
        luck=seed_luck(config, ledger),
    )
    if table is None:
        return None
    counts = joined([f"{name} ({len(pairs)})" for name, pairs in declared.items()])
    note = f"Each family of pairs is corrected by itself: {counts}."
    if split == select and named and named.detail["name"]:
        note += (
            f" The winner was picked on this split, so what {named.detail['name']} is ahead of others is optimistic."
        )
    return table.model_copy(update={"note": note})


def _untrained(config: SearchConfig, ledger: Ledger) -> Entry:
    on_test = ledger.predictions("test", UNTRAINED, "test")
    tested = score_runs(on_test, trained=False)
    selected = untrained_scores(config, ledger)
    by_split = (
        {"validation": selected, "test": tested} if config.search.select_on == "validation" else {"test": selected}
    )
    drop = None
    if config.search.select_on == "validation":
        # One policy without a training seed: the ledger's seeds are those of the two evaluations.
        on_validation = ledger.predictions("screening", UNTRAINED, "validation")
        drop = validation_minus_test(dict(enumerate(on_validation.values())), dict(enumerate(on_test.values())))
    return Entry(
        name=UNTRAINED,
        kind="control",
        control="untrained base",
        validation_minus_test=drop,
        suites=scores_on_suites(config, ledger, UNTRAINED),
        **by_split,
    )


def _final_entry(
    config: SearchConfig, ledger: Ledger, finalist: Finalist, winner: bool, luck: SeedVariance | None
) -> Entry:
    trained = finalist.same_as or finalist.name
    splits: set[Split] = {config.search.select_on, "test"}
    runs = {split: trained_runs(config, ledger, trained, split) or {} for split in splits}
    scores = {split: score_runs(found, luck=luck) for split, found in runs.items()}
    drop = validation_minus_test(runs.get("validation", {}), runs["test"])
    records = [ledger.job("retraining", trained, seed) for seed in final_seeds_of(config, trained)]
    failures = dict.fromkeys(record.failure for record in records if record and record.failure)
    return Entry(
        name=finalist.name,
        kind="control" if finalist.kind == "control" else "ensemble",
        control=finalist.control,
        members=finalist.candidates,
        aggregation=finalist.ensemble.aggregation,
        steps=finalist.steps,
        winner=winner,
        listed_apart=finalist.listed_apart,
        failure="; ".join(failures) or None,
        validation_minus_test=drop,
        suites=scores_on_suites(config, ledger, trained),
        transfer=transfers(config, ledger, finalist.name, luck) if winner else (),
        **scores,
    )


def transfers(config: SearchConfig, ledger: Ledger, winner: str, luck: SeedVariance | None) -> tuple[Transfer, ...]:
    """Under each setting under which all runs of the winner and of the base rewards alone are over."""
    found = []
    for setting in config.finals.transfer:
        sides: list[Runs] = []
        failures: list[str] = []
        over = True
        for finalist in (winner, BASE_ONLY):
            subject, seeds = transfer_subject(setting, finalist), final_seeds_of(config, finalist)
            records = [ledger.job("transfer", subject, seed) for seed in seeds]
            failures += [f"{finalist}: {record.failure}" for record in records if record and record.failure]
            sides.append(complete_runs(ledger, "transfer", subject, seeds, "test") or {})
            over = over and all(records)
        if over:
            reason = "; ".join(dict.fromkeys(failures)) or None
            found.append(transfer_scores(setting.name, sides[0], sides[1], luck, reason))
    return tuple(found)


def scores_on_suites(config: SearchConfig, ledger: Ledger, policy: str) -> tuple[SuiteScores, ...]:
    """Of one finalist, or of the untrained base; empty before the suites were evaluated."""
    if ledger.milestone(EVALUATED) is None:
        return ()
    found = []
    for suite in suites_of(config):
        runs, untrained = (
            [ledger.predictions("suite", subject_of(name, subject), "test") for name, _ in tasks_of(suite)]
            for subject in (policy, UNTRAINED)
        )
        if policy == UNTRAINED:
            untrained = [{} for _ in runs]
        matched, untrained_matched = (runs[1], untrained[1]) if suite.matched else ({}, {})
        scores = suite_scores(suite.name, runs[0], untrained[0], matched, untrained_matched)
        found += [scores] if scores else []
    return tuple(found)


def tasks_of(suite: Suite) -> list[tuple[str, TaskReference]]:
    return [
        (suite.name, suite.task),
        *([(f"matched controls of {suite.name}", suite.matched)] if suite.matched else []),
    ]


def subject_of(task: str, policy: str) -> str:
    return f"{task}: {policy}"
