"""The search: propose, gate, pre-screen, screen, evaluate, rank, feed back; after the last round the finals.

Every step ends with a row in the ledger, and each step first looks whether its row is there: a resumed search walks
through the same story and does only what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from rewards_generated.errors import UserError
from rewards_generated.gate.verdict import together
from rewards_generated.rollout import Rollout
from search.config.checks import task_notes
from search.config.names import UNTRAINED
from search.config.plan import candidate_steps
from search.finals.finals import run_finals
from search.jobs.descriptions import base_rollouts_job, evaluation_job, jobs_folder, split_of
from search.jobs.dispatch import run_jobs
from search.ledger import Candidate, Stage
from search.proposers.base import BudgetExhausted, ProposalBatch
from search.proposers.registry import proposer_notes
from search.results.notes import go_on, nothing_scored
from search.results.ranking import control_scores, outcomes
from search.results.strata import drawn_ids
from search.rounds.audit import audit_screenings
from search.rounds.base_policy import base_warning, require_base_variety, rollouts_of
from search.rounds.early_checks import EarlyChecks, early_verdicts
from search.rounds.ingest import ingest
from search.rounds.inputs import require_same_inputs
from search.rounds.prescreen import prescreen
from search.rounds.race import race
from search.rounds.request import later_request
from search.rounds.screening import screen
from search.rounds.strata import draw_questions
from search.session import Run


def search(run: Run) -> None:
    """Runs or resumes the search to its end. Raises AwaitingAnswer where a person has to answer first."""
    rollouts = explore(run, run.config.search.rounds)
    require_same_inputs(run.config, run.ledger, run.folder)
    require_scored(run)
    run_finals(run, rollouts)


def require_scored(run: Run) -> None:
    """Raises UserError where no round has brought a candidate with a score: there is nothing to choose from, and the
    test split stays sealed."""
    if problem := nothing_scored(run.config, run.ledger):
        raise UserError(f"{problem}; see `reward-search status {run.folder}`, then {go_on(run.config, run.folder)}")


def explore(run: Run, rounds: int) -> list[Rollout]:
    """The first so many rounds, without the finals; returns the rollouts of the base policy."""
    require_same_inputs(run.config, run.ledger, run.folder)
    for note in proposer_notes(run.proposer):
        run.progress.note(note)
    rollouts = observe_base(run)
    for number in range(1, rounds + 1):
        require_same_inputs(run.config, run.ledger, run.folder)
        candidates = propose(run, number, rollouts)
        accepted = pass_gate(run, candidates, rollouts)
        distinct = prescreen(run, accepted, rollouts)
        screen(run, number, distinct)
        race(run, number)
        audit_screenings(run)
        if not run.answered_blind:
            run.progress.show_round(number, outcomes(run.config, run.ledger), control_scores(run.config, run.ledger))
    return rollouts


def observe_base(run: Run) -> list[Rollout]:
    """Rollouts of the untrained base on train questions, and its score on the split that ranks."""
    config, ledger = run.config, run.ledger
    split = config.search.select_on
    draw_questions(run)
    if split == "test" and ledger.milestone("test_opened") is None:
        ledger.record_milestone("test_opened", {"why": "search.select_on is test: candidates are ranked on it"})
    rollouts_job = base_rollouts_job(config)
    score_job = evaluation_job(config, split_of(config, split, drawn_ids(ledger)), "untrained base")
    missing = []
    if ledger.job("base-rollouts", UNTRAINED, rollouts_job.seed) is None:
        missing.append(rollouts_job)
    if ledger.job("screening", UNTRAINED, score_job.seed) is None:
        missing.append(score_job)
    run.progress.phase("untrained base policy", len(missing))
    with closing(run_jobs(run.executor, missing, jobs_folder(run.folder))) as ended:
        for done in ended:
            if done.result.failure:
                raise UserError(f"the base policy {config.base_model!r} could not be evaluated: {done.result.failure}")
            stage: Stage = "base-rollouts" if done.job.digest == rollouts_job.digest else "screening"
            ledger.record_evaluation(stage, UNTRAINED, done.job, done.result, [(UNTRAINED, done.job.seed)])
            run.progress.job_done(done.job.label, None)
    sampled = next(item for item in ledger.evaluations("base-rollouts") if item.seed == rollouts_job.seed)
    rollouts = rollouts_of(run.task, ledger.completions(sampled))
    require_base_variety(config, run.task, rollouts)
    if missing:
        for note in filter(None, (base_warning(rollouts), *task_notes(run.task))):
            run.progress.note(note)
    return rollouts


def propose(run: Run, number: int, rollouts: Sequence[Rollout]) -> list[Candidate]:
    """The candidates of a round."""
    ledger, settings = run.ledger, run.config.search
    if number in {known.number for known in ledger.rounds()}:
        return ledger.candidates(number)
    run.progress.phase(f"round {number} of {settings.rounds}: proposing", 0)
    started = time.perf_counter()
    earlier = [candidate for candidate in ledger.candidates() if candidate.round < number]
    request = replace(
        later_request(run.config, run.task, ledger, number, rollouts),
        recorded_calls=ledger.calls(number),
        record_call=lambda call: ledger.record_call(number, call),
        problem=EarlyChecks(run, number, rollouts),
        note=run.progress.note,
    )
    try:
        batch = run.proposer.propose(request)
    except BudgetExhausted as exhausted:
        batch = ProposalBatch((), exhausted=str(exhausted) or "the budget of the proposer is used up")
    except UserError as error:
        raise UserError(
            f"{error}; nothing is lost: mend it, if need be with --set proposer.options..., and continue with "
            f"`reward-search run --run-dir {run.folder} --resume`"
        ) from error
    candidates, unusable = ingest(
        replace(batch, proposals=(*batch.proposals, *batch.untrainable)),
        replace(request, round=number, count=request.count + len(batch.untrainable)),
        earlier,
    )
    ledger.record_round(number, request.count, candidates, unusable, time.perf_counter() - started)
    replaced = max(0, len(candidates) - request.count)
    run.progress.skip_steps(-replaced * candidate_steps(run.config))  # the gate and the pre-screen skip theirs as well
    ended = f"; the budget ended it: {batch.exhausted}" if batch.exhausted else ""
    run.progress.note(f"round {number}: {len(candidates)} candidates, {len(unusable)} unusable items{ended}")
    return candidates


def pass_gate(run: Run, candidates: Sequence[Candidate], rollouts: Sequence[Rollout]) -> list[Candidate]:
    """Those that may be trained on."""
    verdicts = run.ledger.verdicts()
    missing = [candidate for candidate in candidates if candidate.name not in verdicts]
    run.progress.phase("gate", len(missing))
    for candidate in missing:
        early = early_verdicts(run.ledger, candidate)
        found = early or run.checks.verdicts(run.config, run.task, candidate, rollouts)
        run.ledger.record_verdict(candidate.name, found)
        verdicts[candidate.name] = verdict = together(found)
        reason = verdict.reasons[0] if verdict.reasons else None
        run.progress.job_done(f"gate {candidate.name}", None if reason is None else f"rejected: {reason}")
        if not verdict.accepted:
            run.progress.skip_steps(candidate_steps(run.config))
    return [candidate for candidate in candidates if verdicts[candidate.name].accepted]
