"""Greedy forward selection: an ensemble that grows by the addition that a short run on validation shows to be best.

Caruana et al. 2004 (ICML, "Ensemble selection from libraries of models") grow an ensemble of predictions in this way.
Here each ensemble has to be trained to be scored, so only a short list of additions is tried at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from rewards_generated.ensemble import Ensemble
from search.config.names import GREEDY_SELECTED as SELECTED
from search.config.plan import greedy_runs
from search.config.seeds import greedy_seeds
from search.finals.ensembles import ensemble_of
from search.jobs.descriptions import greedy_run
from search.jobs.dispatch import unscored
from search.jobs.packing import train_together
from search.ledger import Candidate, Stage
from search.results.ranking import complete_scores
from search.results.strata import drawn_ids
from search.rounds.base_scores import BaseScores
from search.session import Run
from trainer.jobs.train import TrainingRun

STAGE: Stage = "greedy"


def select_greedily(run: Run, ranked: Sequence[Candidate], scores: BaseScores) -> list[Candidate]:
    """The members, in the order in which they were added; the first is the best single one of its short list.

    Every short run is in the ledger when it has ended, so that a resumed search repeats none. Empty without any
    scored candidate, or if nothing that was tried could be scored.
    """
    by_name = {candidate.name: candidate for candidate in ranked}
    known = run.ledger.milestone(SELECTED)
    if known is not None:
        return [by_name[name] for name in known.detail["members"]]
    settings = run.config.finals.greedy
    taken: list[Candidate] = []
    best: float | None = None
    path = []
    while len(taken) < settings.size_limit and (additions := short_list(run, ranked, taken, scores)):
        accuracies = _try(run, taken, additions, scores)
        added = max(
            (item for item in additions if accuracies[item.name] is not None),
            key=lambda item: accuracies[item.name] or 0.0,
            default=None,
        )
        accuracy = accuracies[added.name] if added else None
        gains = accuracy is not None and (best is None or accuracy >= best + settings.least_gain)
        path.append({"tried": accuracies, "added": added.name if added and gains else None})
        if added is None or not gains:
            break
        taken.append(added)
        best = accuracy
    runs = len(run.ledger.jobs(STAGE))
    run.ledger.record_milestone(SELECTED, {"members": [item.name for item in taken], "path": path, "runs": runs})
    run.progress.skip_steps((greedy_runs(run.config) - runs) * run.config.greedy_steps)
    run.progress.note(f"greedy: {' + '.join(item.name for item in taken) or 'nothing could be scored'}")
    return taken


def short_list(
    run: Run, ranked: Sequence[Candidate], taken: Sequence[Candidate], scores: BaseScores
) -> list[Candidate]:
    """The most promising additions, at most as many as configured, of those that are not too like a member.

    In turn the best of the screenings that is left, and the one with which the advantages of the ensemble on the base
    rollouts agree best with correctness: the one knows what training made of a reward alone, the other what it does
    beside the members.
    """
    bound = run.config.finals.decorrelation_bound
    left = [
        candidate
        for candidate in ranked
        if candidate not in taken and all(abs(scores.rank_correlation(candidate, member)) < bound for member in taken)
    ]
    agreements = {candidate.name: scores.agreement(_trial(run, [*taken, candidate], scores)) for candidate in left}
    agreeing = sorted(
        (candidate for candidate in left if agreements[candidate.name] is not None),
        key=lambda candidate: -(agreements[candidate.name] or 0.0),
    )
    chosen: list[Candidate] = []
    orders = [iter(left), iter(agreeing)]
    wanted = min(run.config.finals.greedy.short_list, len(left))
    while len(chosen) < wanted:
        order = orders[len(chosen) % 2]
        found = next((candidate for candidate in order if candidate not in chosen), None)
        chosen.append(found or next(candidate for candidate in left if candidate not in chosen))
    return chosen


def _try(
    run: Run, taken: Sequence[Candidate], additions: Sequence[Candidate], scores: BaseScores
) -> dict[str, float | None]:
    """Accuracy on the split that ranks, by addition; None where a run ended without a score."""
    config = run.config
    trials = {addition.name: _trial(run, [*taken, addition], scores) for addition in additions}
    seeds = greedy_seeds(config.seed, config.greedy_seeds)
    ids = drawn_ids(run.ledger)
    jobs = [greedy_run(config, trial, seed, ids) for trial in trials.values() for seed in seeds]
    what = f"greedy selection, member {len(taken) + 1} of at most {config.finals.greedy.size_limit}"
    train_missing(run, STAGE, what, jobs, config.greedy_steps)
    found = {
        name: complete_scores(run.ledger, STAGE, trial.name, seeds, config.search.select_on)
        for name, trial in trials.items()
    }
    return {name: result.accuracy.value if result else None for name, result in found.items()}


def train_missing(run: Run, stage: Stage, what: str, jobs: Sequence[TrainingRun], steps: int) -> None:
    """Those that the ledger does not have, each recorded under its ensemble's name when it has ended. `steps`: of one
    of them."""
    missing = [job for job in jobs if run.ledger.job(stage, job.ensemble.name, job.seed) is None]
    run.progress.phase(what, len(missing), steps)
    with closing(train_together(run, stage, missing)) as ended:
        for done in ended:
            asked = done.run.evaluation
            split = None if asked is None else asked.split
            run.ledger.record_training(stage, done.run.ensemble.name, done.run, done.result, split)
            run.progress.job_done(done.run.label, unscored(done.result), done.together)


def _trial(run: Run, candidates: Sequence[Candidate], scores: BaseScores) -> Ensemble:
    name = " + ".join(candidate.name for candidate in candidates)
    return ensemble_of(run.config, name, candidates, scores.frozen)
