"""The finalists on out-of-distribution suites, after all has been chosen; what they score there decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rewards_generated.errors import UserError
from search.config.suites import suites_of
from search.jobs.descriptions import jobs_folder, suite_job
from search.jobs.dispatch import run_jobs
from search.results.suites import EVALUATED, STAGE, subject_of, tasks_of
from search.session import Run

Policy = tuple[str, int, tuple[str, Path] | None]
"""Name, training seed, and adapter with the digest of its job."""


def evaluate_suites(run: Run, policies: Sequence[Policy], policies_per_job: int) -> None:
    """Greedy answers of all policies to every suite and its matched controls; once, after the test split was opened."""
    config, ledger = run.config, run.ledger
    suites = suites_of(config)
    if not suites or ledger.milestone(EVALUATED) is not None:
        return
    packs = [policies[start : start + policies_per_job] for start in range(0, len(policies), policies_per_job)]
    tasks = [task for suite in suites for task in tasks_of(suite)]
    jobs = {}
    for name, task in tasks:
        for number, pack in enumerate(packs, start=1):
            subject = f"{name}, pack-{number}"
            job = suite_job(config, task, f"suite {subject}", [adapter for _, _, adapter in pack])
            if ledger.job(STAGE, subject, job.seed) is None:
                jobs[job.digest] = (name, subject, job, pack)
    run.progress.phase("out-of-distribution suites", len(jobs))
    with closing(run_jobs(run.executor, [job for *_, job, _ in jobs.values()], jobs_folder(run.folder))) as ended:
        for done in ended:
            name, subject, _, pack = jobs[done.job.digest]
            if done.result.failure:
                raise UserError(f"the suite {name} could not be evaluated ({done.result.failure}); resume to try again")
            names = [(subject_of(name, policy), seed) for policy, seed, _ in pack]
            ledger.record_evaluation(STAGE, subject, done.job, done.result, names)
            run.progress.job_done(done.job.label, None)
    ledger.record_milestone(EVALUATED, {"suites": [suite.name for suite in suites]})
