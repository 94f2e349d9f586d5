"""After the last round: ensembles are fixed, retrained, the winner named; only then is the test split opened, and after
it the winner is trained under other settings and the out-of-distribution suites are evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from eval.report.data import Scores
from rewards_generated.errors import UserError
from rewards_generated.rollout import Rollout
from search.config.names import DECORRELATED, GREEDY, UNTRAINED
from search.config.suites import suites_of
from search.finals.ensembles import choose_ensembles, decorrelated, draw_controls, is_random_draw
from search.finals.greedy import STAGE, select_greedily, train_missing
from search.finals.transfer import train_transfer
from search.jobs.descriptions import evaluation_job, jobs_folder, retraining_run, split_of, suite_job
from search.jobs.dispatch import run_jobs
from search.ledger import Candidate, Finalist, Stage
from search.results.entries import EVALUATED, subject_of, tasks_of
from search.results.ranking import complete_scores, final_seeds_of, outcomes, ranked
from search.results.strata import drawn_ids
from search.rounds.base_scores import BaseScores
from search.session import Run
from trainer.jobs.evaluate import EvaluateJob
from trainer.jobs.folder import damaged

POLICIES_PER_JOB = 8
"""Adapters that one test job evaluates: enough to share the start-up, few enough to lose little when it is killed."""


class Policy(NamedTuple):
    name: str
    seed: int
    """Of its training."""
    adapter: tuple[str, Path] | None
    """With the digest of its job."""


class Asked(NamedTuple):
    subject: str
    """Of the job in the ledger."""
    what: str
    """For people."""
    job: EvaluateJob
    names: list[tuple[str, int]]
    """Of the policies in the ledger, with their seeds."""


def run_finals(run: Run, rollouts: Sequence[Rollout], pool: Sequence[Candidate] | None = None) -> None:
    """`pool`: scored candidates from which random controls are drawn; None: those of the search itself."""
    if run.ledger.milestone("finished") is not None:
        return
    scores = BaseScores(run, rollouts)
    fix_ensembles(run, scores)
    retrain(run, "the finalists", [item for item in run.ledger.finalists() if not is_random_draw(item)])
    winner = name_winner(run)
    fix_random_controls(run, winner, scores, pool)
    retrain(run, "the random controls", [item for item in run.ledger.finalists() if is_random_draw(item)])
    open_test(run)
    train_transfer(run, winner)
    evaluate_suites(run)
    run.ledger.record_milestone("finished", {})


def fix_ensembles(run: Run, scores: BaseScores) -> None:
    if run.ledger.milestone("ensembles_fixed") is None:
        best = [outcome.candidate for outcome in ranked(outcomes(run.config, run.ledger))]
        finalists = choose_ensembles(run.config, best, scores.frozen, measured_members(run, best, scores))
        run.ledger.record_finalists(finalists, "ensembles_fixed")
    # Short runs whose results were lost after they had been used.
    reopened = [pack.job.members for pack in run.ledger.packs(STAGE) if pack.outcome is None]
    train_missing(run, STAGE, "greedy selection again", list(chain(*reopened)), run.config.greedy_steps)


def measured_members(run: Run, best: Sequence[Candidate], scores: BaseScores) -> dict[str, Sequence[Candidate]]:
    """Of the ensembles that take more than the ranking: scores on the base rollouts, or short runs."""

    def alike(first: Candidate, second: Candidate) -> float:
        return scores.rank_correlation(first, second)

    members: dict[str, Sequence[Candidate]] = {}
    for name in run.config.finals.ensembles:
        if name.startswith(DECORRELATED):
            size = int(name.removeprefix(DECORRELATED))
            members[name] = decorrelated(best, size, run.config.finals.decorrelation_bound, alike)
        elif name == GREEDY:
            members[name] = select_greedily(run, best, scores)
    return members


def retrain(run: Run, what: str, finalists: Sequence[Finalist]) -> None:
    """Every finalist over the fresh seeds that all of them share; the same members are trained once."""
    own, ids = [finalist for finalist in finalists if finalist.same_as is None], drawn_ids(run.ledger)
    jobs = [
        retraining_run(run.config, finalist, seed, ids)
        for finalist in own
        for seed in final_seeds_of(run.config, finalist.name)
    ]
    train_missing(run, "retraining", f"retraining {what}", jobs, run.config.final_steps)


def name_winner(run: Run) -> Finalist | None:
    """The best ensemble on the split that ranks; controls and entries listed apart cannot win.

    None if no ensemble was scored: there is no winner then, and the leaderboard says so.
    """
    finalists = {finalist.name: finalist for finalist in run.ledger.finalists()}
    named = run.ledger.milestone("winner_named")
    if named is None:
        best: tuple[Finalist, Scores] | None = None
        for finalist in finalists.values():
            scores = finalist_scores(run, finalist)
            eligible = finalist.kind == "selected" and finalist.listed_apart is None
            if eligible and scores and (best is None or scores.accuracy.value > best[1].accuracy.value):
                best = (finalist, scores)
        detail = {
            "name": best[0].name if best else None,
            "split": run.config.search.select_on,
            "f1": best[1].f1.value if best else None,
        }
        run.ledger.record_milestone("winner_named", detail)
        run.progress.note(f"winner on {run.config.search.select_on}: {detail['name'] or 'none, nothing was scored'}")
        return best[0] if best else None
    name = named.detail["name"]
    return finalists[name] if name else None


def finalist_scores(run: Run, finalist: Finalist) -> Scores | None:
    seeds = final_seeds_of(run.config, finalist.name)
    return complete_scores(run.ledger, "retraining", finalist.name, seeds, run.config.search.select_on)


def fix_random_controls(
    run: Run, winner: Finalist | None, scores: BaseScores, pool: Sequence[Candidate] | None = None
) -> None:
    """Drawn once the winner is known, since they have its size; they are controls and cannot win."""
    if run.ledger.milestone("controls_fixed") is not None:
        return
    own = [outcome.candidate for outcome in outcomes(run.config, run.ledger) if outcome.scores]
    scored = own if pool is None else pool
    size = len(winner.candidates) if winner else 0
    controls = draw_controls(run.config, size, scored, run.ledger.finalists(), scores.frozen)
    run.ledger.record_finalists(controls, "controls_fixed")


def open_test(run: Run) -> None:
    """All finalists and the untrained base on the test split, in one go, after the winner has been named."""
    config, ledger = run.config, run.ledger
    if config.search.select_on == "test":
        return  # It ranked: every finalist has been evaluated on it, and the ledger says when it was opened.
    if ledger.milestone("test_opened") is None:
        named = ledger.milestone("winner_named")
        ledger.record_milestone("test_opened", {"winner": named.detail["name"] if named else None})
    test, asked = split_of(config, "test"), []
    for subject, policies in _packs(run):
        job = evaluation_job(config, test, f"test split, {subject}", [policy.adapter for policy in policies])
        names = [(policy.name, policy.seed) for policy in policies]
        asked.append(Asked(subject, "the test split", job, names))
    _evaluate(run, "test", "sealed test split", asked)


def evaluate_suites(run: Run) -> None:
    """Greedy answers of all policies to every out-of-distribution suite and its matched controls; once, after all has
    been chosen: what they score there decides nothing."""
    config, ledger = run.config, run.ledger
    suites = suites_of(config)
    if not suites or ledger.milestone(EVALUATED) is not None:
        return
    asked = []
    for name, task in (task for suite in suites for task in tasks_of(suite)):
        for pack, policies in _packs(run):
            subject = f"{name}, {pack}"
            job = suite_job(config, task, f"suite {subject}", [policy.adapter for policy in policies])
            names = [(subject_of(name, policy.name), policy.seed) for policy in policies]
            asked.append(Asked(subject, f"the suite {name}", job, names))
    _evaluate(run, "suite", "out-of-distribution suites", asked)
    ledger.record_milestone(EVALUATED, {"suites": [suite.name for suite in suites]})


def _evaluate(run: Run, stage: Stage, phase: str, asked: Sequence[Asked]) -> None:
    """What the ledger does not have. Raises UserError where a job fails."""
    missing = {item.job.digest: item for item in asked if run.ledger.job(stage, item.subject, item.job.seed) is None}
    _require_adapters(run, missing.values())
    run.progress.phase(phase, len(missing))
    jobs = [item.job for item in missing.values()]
    with closing(run_jobs(run.executor, jobs, jobs_folder(run.folder))) as ended:
        for done in ended:
            item = missing[done.job.digest]
            if done.result.failure:
                raise UserError(f"{item.what} could not be evaluated ({done.result.failure}); resume to try again")
            run.ledger.record_evaluation(stage, item.subject, done.job, done.result, item.names)
            run.progress.job_done(done.job.label, None)


def _require_adapters(run: Run, asked: Iterable[Asked]) -> None:
    """Raises UserError naming an adapter that is gone or no longer what was trained."""
    recorded = {record.digest: record for record in run.ledger.jobs("retraining")}
    for digest in {digest for item in asked for digest in item.job.adapter_digests if digest is not None}:
        place, record = jobs_folder(run.folder) / digest, recorded[digest]
        if lost := damaged(place, record.result.get("sha256", {})):
            raise UserError(
                f"{place / lost[0]}, of {record.subject} with seed {record.seed}, is gone or damaged; `reward-search "
                f"check {run.folder} --repair` has it trained again when the search is resumed"
            )


def _packs(run: Run) -> list[tuple[str, list[Policy]]]:
    """Policies that one job evaluates, with the pack's name; the untrained base first."""
    policies = [Policy(UNTRAINED, 0, None)]
    for finalist in run.ledger.finalists():
        if finalist.same_as is None and finalist_scores(run, finalist) is not None:
            for seed in final_seeds_of(run.config, finalist.name):
                record = run.ledger.job("retraining", finalist.name, seed)
                assert record is not None
                adapter = jobs_folder(run.folder) / record.digest / record.result["adapter"]
                policies.append(Policy(finalist.name, seed, (record.digest, adapter)))
    starts = range(0, len(policies), POLICIES_PER_JOB)
    return [(f"pack-{i}", policies[start : start + POLICIES_PER_JOB]) for i, start in enumerate(starts, start=1)]
