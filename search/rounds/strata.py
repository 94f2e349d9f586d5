"""Questions of a search drawn from strata by base mass: the share of right answers that the untrained policy samples.

No candidate's result is looked at, so every candidate and control of the search is asked the same questions.
"""

from __future__ import annotations

from contextlib import closing
from itertools import chain
from math import fsum

import numpy as np

from eval.statistics.strata import draw_strata
from rewards_generated.errors import UserError
from search.config.names import UNTRAINED
from search.jobs.descriptions import jobs_folder, question_pool_job
from search.jobs.dispatch import run_jobs
from search.results.strata import QUESTION_STRATA
from search.session import Run
from trainer.determinism import derived_seed


def draw_questions(run: Run) -> None:
    """Samples the pool and writes down what was drawn, once; nothing where the questions are not drawn from strata."""
    config, ledger = run.config, run.ledger
    strata = config.screening.question_strata
    if strata is None:
        return
    job = question_pool_job(config)
    missing = [job] if ledger.job("base-rollouts", UNTRAINED, job.seed) is None else []
    if not missing and ledger.fact(QUESTION_STRATA) is not None:
        return
    run.progress.phase("base mass of questions", len(missing))
    with closing(run_jobs(run.executor, missing, jobs_folder(run.folder))) as ended:
        for done in ended:
            if done.result.failure:
                raise UserError(f"the base policy {config.base_model!r} could not be sampled: {done.result.failure}")
            ledger.record_evaluation("base-rollouts", UNTRAINED, done.job, done.result, [(UNTRAINED, done.job.seed)])
            run.progress.job_done(done.job.label, None)
    right: dict[str, list[bool]] = {}
    for answer in ledger.predictions("base-rollouts", UNTRAINED, config.search.select_on)[job.seed]:
        right.setdefault(answer.id, []).append(answer.correct)
    ids, mass = list(right), [fsum(answers) / len(answers) for answers in right.values()]
    generator = np.random.default_rng(derived_seed(config.seed, "question strata"))
    drawn = draw_strata(mass, config.screening.questions, strata, generator)
    stratum = {place: number for number, places in enumerate(drawn) for place in places}
    places = sorted(chain.from_iterable(drawn))
    fact = {
        "ids": [ids[place] for place in places],
        "strata": [stratum[place] for place in places],
        "pool": len(ids),
        "mass": [[min(mass[place] for place in part), max(mass[place] for place in part)] for part in drawn],
    }
    ledger.record_fact(QUESTION_STRATA, fact)
