"""Scores per second through the sandbox against the same function called in-process.

    python -m tests.benchmarks.sandbox_throughput [--rounds 30] [--output tests/benchmarks/sandbox_throughput.json]

For every reward of the starter library, in both modes and batches of 8, 64 and 512, the median of paired rounds: one
call in-process and one through a warm worker, in turn. The samples are completions made from a fixed seed and, where
there are some, real rollouts (the first file in `../shared/data/rollouts`, or the one named with --rollouts). The start
of a worker is timed as well. On a busy machine run it under `chrt -r 1`, or it measures the other programs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rewards_generated.rollout import Sample
from rewards_generated.sandbox import RewardWorker, SandboxSettings, measure_strength

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data" / "rollouts"
LIBRARY = ROOT / "rewards_generated" / "library"
BATCHES = (8, 64, 512)
TARGETS = {
    "default": {"ratio at 512": 2.0, "added ms at 8": 8.0},
    "fast": {"ratio at 512": 1.3, "added ms at 8": 1.0},
    "start seconds": 0.3,
}


def made_samples(count: int) -> list[Sample]:
    """Completions of a few hundred words in the style of a reasoning model, from a fixed seed."""
    draw = random.Random(0)
    sentence = "so we add the numbers then wait let me check that again because the total should be equal to"
    words = sentence.split()
    samples = []
    for _ in range(count):
        steps = []
        for _ in range(draw.randint(5, 40)):
            a, b = draw.randint(1, 99), draw.randint(1, 99)
            steps.append(f"{' '.join(draw.choices(words, k=draw.randint(4, 12)))} {a} + {b} = {a + b}.")
        answer = str(draw.randint(1, 200))
        completion = f"<think>\n{chr(10).join(steps)}\n</think>\n<answer>\n{answer}\n</answer>"
        samples.append(Sample(f"What is {draw.randint(1, 99)} + {draw.randint(1, 99)} in the end?", completion, answer))
    return samples


def read_samples(file: Path) -> list[Sample]:
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [Sample(row["prompt"], row["completion"], str(row.get("answer", ""))) for row in rows]


def in_process(code: str) -> Callable[[str, str, str], float]:
    """The function of a library module, called directly: these modules are ours."""
    module = types.ModuleType("library_reward")
    sys.modules["library_reward"] = module
    exec(compile(code, "library_reward", "exec"), module.__dict__)  # noqa: S102
    function: Callable[[str, str, str], float] = module.__dict__["reward"]
    return function


def measure(code: str, mode: str, samples: list[Sample], rounds: int) -> dict[int, tuple[float, float]]:
    """Batch size → median milliseconds of one batch (in-process, in the sandbox)."""
    function = in_process(code)
    settings = SandboxSettings(mode="fast" if mode == "fast" else "default")
    result = {}
    with RewardWorker(code, settings) as worker:
        for size in BATCHES:
            batches = [[samples[(start + i) % len(samples)] for i in range(size)] for start in range(0, rounds * 7, 7)]
            worker.score(batches[0])
            direct, sandboxed = [], []
            for batch in batches:
                begin = time.perf_counter()
                values = [function(sample.prompt, sample.completion, sample.answer) for sample in batch]
                middle = time.perf_counter()
                scores = worker.score(batch)
                end = time.perf_counter()
                assert [score.value for score in scores] == values
                direct.append(1000 * (middle - begin))
                sandboxed.append(1000 * (end - middle))
            result[size] = (statistics.median(direct), statistics.median(sandboxed))
    return result


def start_seconds(code: str, mode: str, rounds: int = 10) -> float:
    """Median seconds until a new worker is sealed and ready."""
    durations = []
    for _ in range(rounds):
        with RewardWorker(code, SandboxSettings(mode="fast" if mode == "fast" else "default")) as worker:
            begin = time.perf_counter()
            worker.start()
            durations.append(time.perf_counter() - begin)
    return statistics.median(durations)


def summary(table: dict[str, dict[int, tuple[float, float]]]) -> dict[str, Any]:
    """Over all rewards: time ratio of the sums, and the per-reward spread."""
    figures: dict[str, Any] = {}
    for size in BATCHES:
        direct = [row[size][0] for row in table.values()]
        sandboxed = [row[size][1] for row in table.values()]
        ratios = sorted(b / a for a, b in zip(direct, sandboxed, strict=True))
        added = sorted(b - a for a, b in zip(direct, sandboxed, strict=True))
        figures[str(size)] = {
            "in-process scores per second": round(1000 * size * len(direct) / sum(direct)),
            "sandboxed scores per second": round(1000 * size * len(direct) / sum(sandboxed)),
            "ratio": round(sum(sandboxed) / sum(direct), 3),
            "ratio, median reward": round(statistics.median(ratios), 3),
            "ratio, worst reward": round(ratios[-1], 3),
            "added ms, median reward": round(statistics.median(added), 3),
            "added ms, worst reward": round(added[-1], 3),
        }
    return figures


def commit() -> str:
    shown = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return models[0] if models else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--rollouts", type=Path)
    parser.add_argument("--rewards", nargs="*", help="names of library rewards; all by default")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    modules = sorted(file for file in LIBRARY.glob("*.py") if file.stem != "__init__")
    codes = {
        file.stem: file.read_text(encoding="utf-8")
        for file in modules
        if not arguments.rewards or file.stem in arguments.rewards
    }
    sources = {"made": made_samples(1024)}
    file = arguments.rollouts or next(iter(sorted(SHARED.glob("*.jsonl"))), None)
    if file is None:
        print(f"no rollouts under {SHARED}: only made completions are measured", file=sys.stderr)
    else:
        sources[file.name] = read_samples(file)
    strength = measure_strength()
    report: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": {"processor": processor(), "cores": os.cpu_count(), "kernel": platform.release()},
        "load average at the start": [round(load, 1) for load in os.getloadavg()],
        "real-time scheduling": os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR),
        "python": platform.python_version(),
        "sandbox level": strength.level,
        "rounds": arguments.rounds,
        "rewards": sorted(codes),
        "mean characters per completion": {
            name: round(statistics.fmean(len(sample.completion) for sample in samples))
            for name, samples in sources.items()
        },
        "targets": TARGETS,
        "results": {},
    }
    for mode in ("default", "fast"):
        starts = round(start_seconds(next(iter(codes.values())), mode), 3)
        results: dict[str, Any] = {"start seconds": starts}
        for name, samples in sources.items():
            results[name] = summary(
                {reward: measure(code, mode, samples, arguments.rounds) for reward, code in codes.items()}
            )
        report["results"][mode] = results
    arguments.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report["results"], indent=1))


if __name__ == "__main__":
    main()
