"""How long a search would take here, from a training run of a few steps and a small evaluation."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from eval.tasks.registry import build_task
from rewards_generated.errors import UserError
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY
from search.config.seeds import screening_seeds
from search.driver.launch import configured_executor
from search.executors.gpus import jobs_at_once
from search.jobs.descriptions import screening_run
from search.jobs.packing import train_runs
from search.proposers.base import Spending
from search.proposers.registry import build_proposer, prepare, proposer_notes
from search.rounds.request import first_request
from search.session import duration
from trainer.jobs.train import TrainingRun, TrainJob

STEPS = 3
QUESTIONS = 32
GATE_SECONDS = 1.0
"""Allowed per candidate for proposing and checking, where no language model is asked."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of one job at a time, as measured; of all runs that train together. `parallel`: jobs that are to run side
    by side."""

    start: float
    """Of its process too."""
    per_step: float
    per_question: float
    parallel: int
    measured: str
    """What was run to measure this, in words."""

    def seconds(self, jobs: int, steps: int, questions: int, candidates: int, alone: int) -> float:
        """Jobs side by side are taken to be as fast as one alone. `alone`: starts that nothing goes on beside."""
        work = jobs * self.start + steps * self.per_step + questions * self.per_question
        return work / self.parallel + candidates * GATE_SECONDS + alone * self.start


def calibrate(config: SearchConfig, together: int = 1) -> Pace:
    """Trains the base rewards alone for a few steps in a temporary folder, so many runs in one job; the configuration
    is checked already. Raises UserError if that fails."""
    runs = [_shortened(config, seed) for seed in screening_seeds(config.seed, together)]
    asked = runs[0].evaluation
    assert asked is not None
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="reward-search-calibration-") as folder:
        ended = list(train_runs(configured_executor(config), [TrainJob.of(*runs)], Path(folder)))
    taken = time.perf_counter() - began
    for run in ended:
        if run.result.failure:
            raise UserError(f"the calibration run failed: {run.result.failure}")
    train, evaluate = (sum(run.result.seconds[phase] for run in ended) for phase in ("train", "evaluate"))
    of_runs = "" if together == 1 else f" of {together} runs together"
    return Pace(
        start=taken - train - evaluate,
        per_step=train / STEPS,
        per_question=evaluate / (asked.limit if config.second_turn is None else 2 * asked.limit),
        parallel=jobs_at_once(config.executor.parallel_jobs, config.hardware.device),
        measured=f"a calibration of {STEPS} steps and {asked.limit} questions{of_runs} here ({duration(taken)})",
    )


def _shortened(config: SearchConfig, seed: int) -> TrainingRun:
    run = screening_run(config, BASE_ONLY, None, seed)
    assert run.evaluation is not None
    questions = min(QUESTIONS, run.evaluation.limit)
    return run.model_copy(
        update={
            "grpo": run.grpo.model_copy(update={"steps": STEPS}),
            "evaluation": run.evaluation.model_copy(update={"limit": questions}),
        }
    )


def worst_case(config: SearchConfig) -> Spending | None:
    """What the questions to language models use up at most, all rounds together; None: none is asked."""
    proposer = build_proposer(config.proposer.name, config.proposer.options)
    asked = getattr(proposer, "worst_case", None)
    if asked is None:
        return None
    one: Spending = asked(first_request(config, build_task(config.task), 1, ()))
    return sum((one for _ in range(config.search.rounds)), Spending())


def language_model_cost(config: SearchConfig) -> str:
    """What the proposer's calls may cost at most, as a sentence; nothing is sent."""
    found, rounds = worst_case(config), config.search.rounds
    if found is None:
        return "none is asked"
    price = "at an unknown price" if found.unpriced_calls else f"at most {found.cost_usd:.2f} USD"
    proposer = build_proposer(config.proposer.name, config.proposer.options)
    notes = "".join(f"; {note}" for note in proposer_notes(proposer))
    return f"{rounds} calls, at most {found.tokens:,} tokens, {price}, if no call has to be repeated{notes}"


def probed_models(config: SearchConfig) -> list[str]:
    """Asks every language model of the proposer for a token; a sentence of each. Raises UserError if one cannot be
    asked, or the proposer asks none."""
    proposer = build_proposer(config.proposer.name, config.proposer.options)
    if (probe := getattr(proposer, "probe", None)) is None:
        raise UserError(f"--probe: the proposer {config.proposer.name!r} asks no language model")
    prepare(proposer)
    found: list[str] = probe()
    return found
