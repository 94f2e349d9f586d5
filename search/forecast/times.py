"""Where the times of jobs come from: a calibration here, the bound of a GPU, or what a finished search took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, replace
from math import exp, fsum
from pathlib import Path
from statistics import NormalDist, median
from typing import NamedTuple

from rewards_generated.errors import UserError
from search.config.models import SearchConfig
from search.config.source import parse_config
from search.driver.bound import policy_shape, usual_prompt, usual_run
from search.driver.calibration import GATE_SECONDS, calibrate, worst_case
from search.forecast.schedule import Times
from search.jobs.descriptions import jobs_folder
from search.ledger import Ledger, PackRecord, Stage
from trainer.grpo.memory import ModelShape, adapter_parameters
from trainer.jobs.folder import JOB_FILE, RESULT_FILE
from trainer.jobs.train import TrainingRun
from trainer.roofline import ADAPTER_WIDTH, Machine, evaluation_parts, seconds, step_parts

DEVIATION = 0.1
"""Of the logarithm of a job's time from one job to another of the same description, where none was measured."""
ANSWERED_IN = 60.0
"""Seconds in which a language model is taken to propose a round, where none was measured."""
STARTED_IN = 60.0
"""Seconds in which a job on a GPU is taken to start, where none was measured."""
FEWEST = 5
"""Jobs from which on their own spread is taken."""


@dataclass(frozen=True, slots=True)
class Source:
    times: Times
    unit: str
    """What a worker is: `GPU`, or `core`."""
    per_worker: int
    """How many of them."""
    words: tuple[str, ...]
    """What was measured, and what is assumed."""


def calibrated(config: SearchConfig, together: Collection[int]) -> Source:
    """Runs a short training here, of one run and of the largest pack. `together`: sizes of the packs of the search."""
    from eval.engines.policy import device_name

    paces = {size: calibrate(config, size) for size in sorted({1, max(together, default=1)})}
    times = Times(
        start=paces[1].start,
        step={size: pace.per_step for size, pace in paces.items()},
        question={size: pace.per_question for size, pace in paces.items()},
        proposing=_proposing(config),
        checking=GATE_SECONDS,
        spread=_spread(),
    )
    gpu = device_name(config.hardware.device) == "cuda"
    words = [pace.measured for pace in paces.values()]
    words += [_ASSUMED_SPREAD, *_assumed_proposing(config), "jobs side by side as fast as one alone"]
    return Source(times, "GPU" if gpu else "core", 1 if gpu else config.hardware.threads, tuple(words))


def bound_by(config: SearchConfig, machine: Machine, prompt_tokens: int | None, together: Collection[int]) -> Source:
    """At the least, on a GPU."""
    shape, prompt = policy_shape(config), usual_prompt(config, prompt_tokens)
    run = usual_run(config, machine)
    questions = config.selection_questions
    times = Times(
        start=STARTED_IN,
        step={size: seconds(step_parts(run, shape, size, prompt), machine) for size in together},
        question={
            size: seconds(evaluation_parts(run, shape, size, prompt, questions), machine) / questions
            for size in together
        },
        proposing=_proposing(config),
        checking=GATE_SECONDS,
        spread=_spread(),
    )
    words = (
        f"the least that {machine.name} can take for steps and answers, which no engine reaches",
        f"jobs start in {STARTED_IN:g} s (assumed)",
        _ASSUMED_SPREAD,
        *_assumed_proposing(config),
    )
    return Source(times, "GPU", 1, words)


_ASSUMED_SPREAD = f"times of like jobs vary by {DEVIATION:.0%} (assumed)"


def _proposing(config: SearchConfig) -> float:
    return 0.0 if worst_case(config) is None else ANSWERED_IN


def _assumed_proposing(config: SearchConfig) -> tuple[str, ...]:
    asked = () if worst_case(config) is None else (f"a round is proposed in {ANSWERED_IN:g} s (assumed)",)
    return (*asked, f"a candidate is checked in {GATE_SECONDS:g} s (assumed)")


def _spread() -> tuple[float, ...]:
    """Quantiles of a lognormal distribution, scaled to a mean of 1."""
    values = [NormalDist(0, DEVIATION).inv_cdf((k + 0.5) / 40) for k in range(40)]
    factors = [exp(value) for value in values]
    return tuple(factor * len(factors) / fsum(factors) for factor in factors)


class _Taken(NamedTuple):
    """What a job took, all its runs together, in seconds."""

    together: int
    steps: int
    questions: int
    start: float
    train: float
    evaluate: float

    @property
    def whole(self) -> float:
        return self.start + self.train + self.evaluate


def measured(folder: Path) -> Source:
    """As the jobs of the search in that folder took. Raises UserError if none of its training runs has ended."""
    with closing(Ledger.open(folder)) as ledger:
        config = parse_config(ledger.fact("config"))
        stages: tuple[Stage, ...] = ("screening", "greedy", "retraining", "transfer")
        found = [_taken(ledger, folder, record) for stage in stages for record in ledger.packs(stage)]
        taken = [item for item in found if item is not None]
        if not taken:
            raise UserError(f"--measured: no training run of {folder} has ended; give a search that came further")
        proposing, checking = ledger.waits()
        gpu = any(job.result.get("memory", {}).get("cuda") for job in ledger.jobs("screening"))
    by_size: dict[int, list[_Taken]] = defaultdict(list)
    for item in taken:
        by_size[item.together].append(item)
    times = Times(
        start=fsum(item.start for item in taken) / len(taken),
        step={size: fsum(i.train for i in items) / sum(i.steps for i in items) for size, items in by_size.items()},
        question={
            size: fsum(i.evaluate for i in items) / sum(i.questions for i in items) for size, items in by_size.items()
        },
        proposing=median(proposing),
        checking=median(checking) if checking else GATE_SECONDS,
        spread=(1.0,),
    )
    parts = [
        times.start + item.steps * times.step[item.together] + item.questions * times.question[item.together]
        for item in taken
    ]
    ratios = [item.whole / part for item, part in zip(taken, parts, strict=True)]
    own = len(taken) >= FEWEST
    spread = tuple(ratio * len(ratios) / fsum(ratios) for ratio in ratios) if own else _spread()
    times = replace(times, spread=spread)
    words = [
        f"what {len(taken)} jobs of {folder} took, which ran {config.executor.parallel_jobs} at a time (start "
        f"{times.start:.1f} s, " + ", ".join(f"{_of(size)} {s:.2f} s" for size, s in sorted(times.step.items())) + ")",
        f"times of like jobs vary as theirs did ({min(spread):.2f} to {max(spread):.2f} of the mean)"
        if own
        else _ASSUMED_SPREAD,
        f"a round is proposed in {times.proposing:.1f} s, a candidate checked in {times.checking:.1f} s",
    ]
    return Source(times, "GPU" if gpu else "core", 1 if gpu else config.hardware.threads, tuple(words))


def _of(size: int) -> str:
    return "a step" if size == 1 else f"a step of {size} together"


def _taken(ledger: Ledger, folder: Path, record: PackRecord) -> _Taken | None:
    """None unless it ended well and went through all of its steps itself."""
    job = record.job
    if record.outcome != "done" or job.origins:
        return None
    found = [_seconds(ledger, record.stage, member, job.stop) for member in job.members]
    if any(seconds is None for seconds in found):
        return None
    start, train, evaluate = (
        fsum((seconds or {}).get(phase, 0.0) for seconds in found) for phase in ("start", "train", "evaluate")
    )
    asked = job.shared.evaluation
    if asked is None or not train:
        return None
    questions = (asked.limit if asked.ids is None else len(asked.ids)) * (1 if asked.second_turn is None else 2)
    if (whole := _wall(jobs_folder(folder) / job.digest)) is not None:
        start = max(start, whole - train - evaluate)
    return _Taken(len(job.members), job.stop or job.shared.grpo.steps, questions, start, train, evaluate)


def _seconds(ledger: Ledger, stage: Stage, run: TrainingRun, stop: int | None) -> dict[str, float] | None:
    """Its share of those of its job; None where it came to no score."""
    if stop is not None:
        at_rung = ledger.rung_result(stage, run.ensemble.name, run.seed, stop)
        return None if at_rung is None else at_rung.seconds
    record = ledger.job(stage, run.ensemble.name, run.seed)
    return None if record is None or record.failure else record.result["seconds"]


def _wall(place: Path) -> float | None:
    """Seconds between the job's description and its result, the start of its process among them; None where they are
    not there."""
    try:
        return (place / RESULT_FILE).stat().st_mtime - (place / JOB_FILE).stat().st_mtime
    except OSError:
        return None


def adapter_bytes(config: SearchConfig) -> int:
    """Of the adapter that a run leaves."""
    shape: ModelShape = policy_shape(config)
    lora = config.screening.lora
    return adapter_parameters(shape, lora.rank, lora.target_modules) * ADAPTER_WIDTH
