"""How long a search would take here, from a training run of a few steps and a small evaluation."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from rewards_generated.errors import UserError
from search.config.checks import checked_task
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY
from search.config.seeds import screening_seeds
from search.driver.launch import configured_executor
from search.executors.gpus import jobs_at_once
from search.jobs.descriptions import screening_run
from search.jobs.packing import train_runs
from search.proposers.registry import build_proposer, prepare, proposer_notes
from search.rounds.request import first_request
from search.session import duration
from trainer.jobs.train import TrainJob

STEPS = 3
QUESTIONS = 32
GATE_SECONDS = 1.0
"""Allowed per candidate for proposing and checking, where no language model is asked."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of one job at a time, as measured. `parallel`: jobs that are to run side by side."""

    start: float
    per_step: float
    per_question: float
    parallel: int
    measured: str
    """What was run to measure this, in words."""

    def seconds(self, jobs: int, steps: int, questions: int, candidates: int, alone: int) -> float:
        """Jobs side by side are taken to be as fast as one alone. `alone`: starts that nothing goes on beside."""
        work = jobs * self.start + steps * self.per_step + questions * self.per_question
        return work / self.parallel + candidates * GATE_SECONDS + alone * self.start


def calibrate(config: SearchConfig) -> Pace:
    """Runs the base rewards alone for a few steps in a temporary folder; the configuration is checked already. Raises
    UserError if that fails."""
    job = screening_run(config, BASE_ONLY, None, screening_seeds(config.seed, 1)[0])
    assert job.evaluation is not None
    questions = min(QUESTIONS, job.evaluation.limit)
    job = job.model_copy(
        update={
            "grpo": job.grpo.model_copy(update={"steps": STEPS}),
            "evaluation": job.evaluation.model_copy(update={"limit": questions}),
        }
    )
    with tempfile.TemporaryDirectory(prefix="reward-search-calibration-") as folder:
        [ended] = train_runs(configured_executor(config), [TrainJob.of(job)], Path(folder))
    if ended.result.failure:
        raise UserError(f"the calibration run failed: {ended.result.failure}")
    seconds = ended.result.seconds
    taken = sum(seconds[phase] for phase in ("start", "train", "evaluate"))
    return Pace(
        start=seconds["start"],
        per_step=seconds["train"] / STEPS,
        per_question=seconds["evaluate"] / (questions if config.second_turn is None else 2 * questions),
        parallel=jobs_at_once(config.executor.parallel_jobs, config.hardware.device),
        measured=f"a calibration of {STEPS} steps and {questions} questions here ({duration(taken)})",
    )


def language_model_cost(config: SearchConfig) -> str:
    """What the proposer's calls may cost at most, as a sentence; nothing is sent."""
    proposer = build_proposer(config.proposer.name, config.proposer.options)
    worst_case = getattr(proposer, "worst_case", None)
    if worst_case is None:
        return "none is asked"
    one = worst_case(first_request(config, checked_task(config), 1, ()))
    rounds = config.search.rounds
    price = "at an unknown price" if one.unpriced_calls else f"at most {rounds * one.cost_usd:.2f} USD"
    notes = "".join(f"; {note}" for note in proposer_notes(proposer))
    return f"{rounds} calls, at most {rounds * one.tokens:,} tokens, {price}, if no call has to be repeated{notes}"


def probed_models(config: SearchConfig) -> list[str]:
    """Asks every language model of the proposer for a token; a sentence of each. Raises UserError if one cannot be
    asked, or the proposer asks none."""
    proposer = build_proposer(config.proposer.name, config.proposer.options)
    if (probe := getattr(proposer, "probe", None)) is None:
        raise UserError(f"--probe: the proposer {config.proposer.name!r} asks no language model")
    prepare(proposer)
    found: list[str] = probe()
    return found
