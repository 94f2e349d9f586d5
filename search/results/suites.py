"""What the finalists scored on out-of-distribution suites, from the ledger."""

from __future__ import annotations

from typing import Final

from eval.report.data import SuiteScores
from eval.report.suites import suite_scores
from eval.tasks.base import TaskReference
from search.config.models import SearchConfig
from search.config.names import UNTRAINED
from search.config.suites import Suite, suites_of
from search.ledger import Ledger

STAGE: Final = "suite"
EVALUATED = "suites_evaluated"
"""Milestone."""


def scores_on_suites(config: SearchConfig, ledger: Ledger, policy: str) -> tuple[SuiteScores, ...]:
    """Of one finalist, or of the untrained base; empty before the suites were evaluated."""
    if ledger.milestone(EVALUATED) is None:
        return ()
    found = []
    for suite in suites_of(config):
        runs, untrained = (
            [ledger.predictions(STAGE, subject_of(name, subject), "test") for name, _ in tasks_of(suite)]
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
