"""Questions that were drawn from strata: which they are, and what that has saved by this search's own answers."""

from __future__ import annotations

import numpy as np

from eval.report.scores import correct_table
from eval.report.text import joined, number
from eval.statistics.estimate import Estimate
from eval.statistics.strata import variance_saved
from search.config.models import SearchConfig
from search.ledger import Ledger
from search.results.ranking import complete_runs, seeds_of
from trainer.jobs.settings import Ids

QUESTION_STRATA = "question_strata"
"""The fact: `ids` of the drawn questions in the split's order, the stratum of each in `strata`, how many questions the
strata were cut from in `pool`, and `mass`, the least and the greatest base mass of each stratum's."""


def drawn_ids(ledger: Ledger) -> Ids:
    """None: the questions are the first of the split that ranks."""
    found = ledger.fact(QUESTION_STRATA)
    return tuple(found["ids"]) if found else None


def strata_note(config: SearchConfig, ledger: Ledger) -> str | None:
    """How the questions were drawn, what that means for intervals, and the variance saved as far as the scored
    candidates show it; None where they were not drawn from strata."""
    found = ledger.fact(QUESTION_STRATA)
    if found is None:
        return None
    ranges = joined([f"{low:.0%} to {high:.0%}" for low, high in found["mass"]])
    note = (
        f"The {len(found['ids']):,} {config.search.select_on} questions were drawn from {found['pool']:,} in strata of "
        f"equal size, by how often {config.search.base_rollouts.per_question} sampled answers of the untrained policy "
        f"are right ({ranges}). Means are unbiased but for rounding; intervals and tests are those of questions drawn "
        "at random, and so rather too wide."
    )
    split = config.search.select_on
    answers = [
        correct_table(runs).mean(axis=0)
        for candidate in ledger.candidates()
        if (runs := complete_runs(ledger, "screening", candidate.name, seeds_of(config, ledger, candidate.name), split))
    ]
    if not answers:
        return note
    table = np.array(answers)
    saved = {"the accuracy of a candidate": variance_saved(table, found["strata"], found["pool"])}
    if len(answers) > 1:  # differences of all pairs vary as what is left without the mean of all does
        rest = table - table.mean(axis=0)
        saved["a difference of two candidates"] = variance_saved(rest, found["strata"], found["pool"])
    shares = [f"{_percent(value)} of that of {what}" for what, value in saved.items() if value]
    if not shares:
        return note
    return f"{note} Of the variance that the choice of questions adds, the strata save {joined(shares)}."


def _percent(saved: Estimate) -> str:
    low, high = (number(100 * bound, 0) for bound in (saved.low, saved.high))
    return f"{number(100 * saved.value, 0)} % [{low}, {high}]"
