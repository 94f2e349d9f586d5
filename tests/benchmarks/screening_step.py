"""Where the time of one screening step goes: generation, scoring, forward, backward, optimizer, rest.

    python -m tests.benchmarks.screening_step [--steps 10] [--output tests/benchmarks/screening_step.json]

The job is a screening of the preset `testbed`: base rewards and one reward of the library in its sandbox. Arms: as
this project trains it; with the generation and the forward pass of TRL itself; and with an ensemble of ten library
rewards instead of one, in either form of the sandbox worker. On a busy machine run it under `taskset -c 1 chrt -r 1`,
or it measures the other programs; beside the wall-clock the table has the CPU time.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from eval.engines.base import Sampling
from eval.engines.transformers_engine import TransformersEngine
from eval.evaluate import evaluate
from eval.tasks.registry import build_task
from rewards_generated.ensemble import Member
from rewards_generated.library import load_library
from rewards_generated.scorer import EnsembleScorer
from search.config.source import load_config
from search.jobs.descriptions import screening_run as preset_screening
from tests.benchmarks.machine import processor
from tests.benchmarks.runs import plain_trl, training
from trainer.determinism import make_deterministic
from trainer.grpo.rewards import RolloutScoring
from trainer.jobs.folder import versions
from trainer.jobs.train import TrainingRun
from trainer.policy import load_base_policy

ROOT = Path(__file__).parents[2]
Mode = Literal["default", "fast"]
CANDIDATES = sorted(
    (item for item in load_library() if item.role == "reward"), key=lambda item: item.name != "four_family_reflection"
)
EVALUATED = 200


class Stopwatch:
    """Wall-clock and CPU seconds by phase; a phase inside another counts for itself alone."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)
        self._inner: list[list[float]] = []

    def time(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            self._inner.append([0.0, 0.0])
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                inner_wall, inner_cpu = self._inner.pop()
                self.wall[phase] += wall - inner_wall
                self.cpu[phase] += cpu - inner_cpu
                if self._inner:
                    self._inner[-1][0] += wall
                    self._inner[-1][1] += cpu

        return timed


def screening_run(steps: int, candidates: int = 1, mode: Mode = "default") -> TrainingRun:
    """The preset's screening with so many steps, against the base rewards and the first `candidates` of the library."""
    config = load_config("testbed", None, [])
    job = preset_screening(config, "benchmark", None, seed=0)
    members = [Member(name=item.name, code=item.code) for item in CANDIDATES[:candidates]]
    ensemble = job.ensemble.model_copy(update={"members": (*job.ensemble.members, *members)})
    grpo = job.grpo.model_copy(update={"steps": steps})
    return job.model_copy(
        update={"ensemble": ensemble, "grpo": grpo, "sandbox": job.sandbox.model_copy(update={"mode": mode})}
    )


def measure(job: TrainingRun, ours: bool) -> dict[str, Any]:
    """Trains and returns milliseconds per step by phase, wall-clock and CPU, and the completions' mean length."""
    task = build_task(job.task)
    watch = Stopwatch()
    with EnsembleScorer(job.ensemble, job.sandbox) as scorer, tempfile.TemporaryDirectory() as folder:
        scoring = RolloutScoring(
            scorer, task, generations=job.grpo.generations, steps=job.grpo.steps, failure_rate_limit=1.0
        )
        policy = load_base_policy(job.base_model, job.hardware)
        run = training([job], policy, task, [scoring], Path(folder)) if ours else None
        trainer = run._trainer if run else plain_trl(job, policy, task, scoring, Path(folder))
        trainer._generate_single_turn = watch.time("generate", trainer._generate_single_turn)
        trainer._calculate_rewards = watch.time("score", trainer._calculate_rewards)
        trainer.compute_loss = watch.time("forward", trainer.compute_loss)
        trainer.accelerator.backward = watch.time("backward", trainer.accelerator.backward)
        trainer.create_optimizer()
        trainer.optimizer.step = watch.time("optimizer", trainer.optimizer.step)
        watch.time("rest", run.train if run else trainer.train)()
        evaluation: dict[str, Any] = {}
        if run:
            run.release()
            before, cpu = time.perf_counter(), time.process_time()
            engine = TransformersEngine(policy)
            evaluate(engine, task, task.examples("validation", EVALUATED), Sampling(job.grpo.max_completion_tokens))
            evaluation = {
                f"wall seconds of a greedy evaluation of {EVALUATED} questions": round(time.perf_counter() - before, 2),
                "cpu seconds of it": round(time.process_time() - cpu, 2),
            }
    tokens = sum(entry["completion_tokens"] for entry in scoring.curve.values()) / job.grpo.steps
    return {
        "wall ms per step": per_step(watch.wall, job.grpo.steps),
        "share of scoring in wall-clock": round(watch.wall["score"] / sum(watch.wall.values()), 4),
        "cpu ms per step": per_step(watch.cpu, job.grpo.steps),
        "mean tokens of a completion": round(tokens, 1),
        **evaluation,
    }


def per_step(seconds: dict[str, float], steps: int) -> dict[str, float]:
    table = {phase: round(1000 * spent / steps, 1) for phase, spent in seconds.items()}
    return {**dict(sorted(table.items(), key=lambda item: -item[1])), "all": round(sum(table.values()), 1)}


def machine() -> dict[str, Any]:
    return {"processor": processor(), "cores": os.cpu_count()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    job = screening_run(arguments.steps)
    make_deterministic(job.hardware)
    load = os.getloadavg()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    measure(screening_run(1), ours=True)  # warms imports and kernels
    report = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "machine": machine(),
        "threads": job.hardware.threads,
        "load average at the start": [round(value, 1) for value in load],
        "real-time scheduling": os.sched_getscheduler(0) in (os.SCHED_RR, os.SCHED_FIFO),
        "versions": versions(),
        "steps": arguments.steps,
        "completions per step": job.grpo.prompts_per_step * job.grpo.generations,
        "this project": measure(job, ours=True),
        "TRL itself": measure(job, ours=False),
        "ensemble of ten": measure(screening_run(arguments.steps, 10), ours=True),
        "ensemble of ten, fast worker": measure(screening_run(arguments.steps, 10, "fast"), ours=True),
    }
    arguments.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for arm in ("this project", "TRL itself", "ensemble of ten", "ensemble of ten, fast worker"):
        print(arm, json.dumps(report[arm], indent=1))


if __name__ == "__main__":
    main()
