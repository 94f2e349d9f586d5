"""The screenings of a round: a short run of every candidate, from which the worst may be stopped early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing

from search.config.names import BASE_ONLY
from search.config.seeds import screening_seeds
from search.jobs.descriptions import screening_run
from search.jobs.dispatch import unscored
from search.jobs.packing import WHOLE, Segment, forget_states, train_together
from search.ledger import Candidate
from search.results.ranking import complete_scores, seeds_of
from search.results.strata import drawn_ids
from search.session import Run
from trainer.jobs.train import TrainingRun


def screen(run: Run, number: int, accepted: Sequence[Candidate]) -> None:
    """A short run of every candidate over the seeds that all screenings share; the base rewards alone ride along.

    At each rung of successive halving the whole round is compared, whoever trained in which pack, and those that do
    not go on are recorded as they are. The decision follows from the ledger alone, so a resumed search makes it again.
    The base rewards alone are no candidate: they train to the end.
    """
    halving = run.config.screening.halving
    controls: dict[str, Candidate | None] = {BASE_ONLY: None} if number == 1 else {}
    going: dict[str, Candidate | None] = {candidate.name: candidate for candidate in accepted}
    start = None
    for stop in (*halving.rungs, None):
        _train(run, number, {**controls, **going}, Segment(start, stop))
        if start is not None:
            forget_states(run, "screening", {*controls, *(candidate.name for candidate in accepted)}, start)
        if stop is not None:
            kept = set(halving.survivors({name: rung_accuracy(run, name, stop) for name in going}))
            _stop(run, {name: candidate for name, candidate in going.items() if name not in kept}, stop, len(going))
            going = {name: candidate for name, candidate in going.items() if name in kept}
        start = stop


def rung_accuracy(run: Run, subject: str, rung: int) -> float | None:
    """Mean over the seeds on the split that ranks; None unless the runs of all seeds came to the rung."""
    seeds = screening_seeds(run.config.seed, run.config.screening.seeds)
    scores = complete_scores(run.ledger, "screening", subject, seeds, run.config.search.select_on, rung)
    return None if scores is None else scores.accuracy.value


def train_further(run: Run, label: str, subjects: Mapping[str, Candidate | None]) -> None:
    """What is missing of the seeds that these candidates have now, to the end."""
    seeds = {subject: seeds_of(run.config, run.ledger, subject) for subject in subjects}
    _train_segment(run, label, subjects, seeds, WHOLE)


def _train(run: Run, number: int, subjects: Mapping[str, Candidate | None], segment: Segment) -> None:
    config = run.config
    end = config.screening.grpo.steps
    label = f"round {number} of {config.search.rounds}: screening"
    if config.screening.halving.rungs:
        label += f" to step {segment.stop or end} of {end}"
    # Those of a race come after the rungs.
    common = screening_seeds(config.seed, config.screening.seeds)
    controls = seeds_of(config, run.ledger, BASE_ONLY)
    seeds = {subject: controls if subject == BASE_ONLY else common for subject in subjects}
    _train_segment(run, label, subjects, seeds, segment)


def _train_segment(
    run: Run,
    label: str,
    subjects: Mapping[str, Candidate | None],
    seeds: Mapping[str, Sequence[int]],
    segment: Segment,
) -> None:
    """Brings the runs of these subjects and seeds that have not ended to the end of the segment."""
    config, ledger = run.config, run.ledger
    ids = drawn_ids(ledger)
    jobs: dict[str, tuple[str, TrainingRun]] = {}
    for subject, candidate in subjects.items():
        for seed in seeds[subject]:
            if ledger.job("screening", subject, seed) is None and not _reached(run, subject, seed, segment.stop):
                job = screening_run(config, subject, candidate, seed, ids)
                jobs[job.digest] = (subject, job)
    steps = (segment.stop or config.screening.grpo.steps) - (segment.start or 0)
    run.progress.phase(label, len(jobs), steps)
    with closing(train_together(run, "screening", [job for _, job in jobs.values()], segment)) as ended:
        for done in ended:
            subject, split = jobs[done.run.digest][0], config.search.select_on
            if segment.stop is None or done.result.failure is not None:
                ledger.record_training("screening", subject, done.run, done.result, split)
            else:
                ledger.record_rung("screening", subject, done.run, segment.stop, done.result, split)
            run.progress.job_done(done.run.label, unscored(done.result), done.together)


def _reached(run: Run, subject: str, seed: int, stop: int | None) -> bool:
    return stop is not None and run.ledger.rung_result("screening", subject, seed, stop) is not None


def _stop(run: Run, subjects: Mapping[str, Candidate | None], rung: int, compared: int) -> None:
    """Records the runs of candidates that do not go on, as they are at the rung."""
    config, ledger = run.config, run.ledger
    ids, stopped = drawn_ids(ledger), []
    for subject, candidate in subjects.items():
        for seed in screening_seeds(config.seed, config.screening.seeds):
            result = ledger.rung_result("screening", subject, seed, rung)
            if result is not None and ledger.job("screening", subject, seed) is None:
                # Its adapter is not that of the job, which was not trained to its end.
                result = result.model_copy(update={"adapter": None})
                job = screening_run(config, subject, candidate, seed, ids)
                ledger.record_training("screening", subject, job, result, None)
                stopped.append(subject)
    if stopped and not run.answered_blind:
        run.progress.note(
            f"after {rung} of {config.screening.grpo.steps} steps {compared - len(subjects)} of {compared} candidates "
            f"go on; stopped: {', '.join(dict.fromkeys(stopped))}"
        )
