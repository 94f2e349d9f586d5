"""A round of K screenings packed, against one after the other in one warm process; training and evaluation apart.

    python -m tests.benchmarks.packed_screening [--candidates 1,2,4,8] [--rows 8,32] [--steps 8] [--repeats 2]
        [--device cuda --shape llama-3b] [--output tests/benchmarks/packed_screening.json]

Every candidate is a reward of the library beside the base rewards, in its sandbox. Both arms train the same jobs with
the same prompts and draws, in turn, `--repeats` times; the shortest time of each counts. `trl` is TRL's own
generation and forward pass for one candidate, so that packing and decoding are told apart. With `--shape llama-3b`
the base is a random Llama of that shape in bfloat16 and no completion ends before its limit; that needs a GPU. The
time of a decoded token then stands beside its bound, the bytes of weights and cache that it reads over the bandwidth
measured here. `--one-by-one` evaluates so many questions one at a time, as the paper's code does.
On a busy machine run it under `taskset -c 1 chrt -r 1`, or it measures the other programs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from eval.engines.base import Sampling
from eval.engines.policy import Policy
from eval.engines.transformers_engine import TransformersEngine
from eval.evaluate import evaluate, evaluate_all
from eval.tasks.registry import build_task
from rewards_generated.ensemble import Member
from rewards_generated.scorer import EnsembleScorer
from tests.benchmarks.runs import plain_trl, training
from tests.benchmarks.screening_step import CANDIDATES, ROOT, Stopwatch, machine, per_step, screening_run
from trainer.determinism import make_deterministic
from trainer.grpo.rewards import RolloutScoring
from trainer.jobs.folder import versions
from trainer.jobs.train import TrainingRun
from trainer.policy import load_base_policy

LLAMA_3B = {
    "vocab_size": 128_256,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 28,
    "num_attention_heads": 24,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
}
"""The shape of Llama-3.2-3B."""


class EndlessPolicy(Policy):
    """A policy whose completions never end before their limit, and whose tokens all have a text."""

    @property
    def stop_tokens(self) -> list[int]:
        return []

    def texts(self, completions: Sequence[Sequence[int]]) -> list[str]:
        known = len(self.tokenizer)
        return super().texts([[token % known for token in ids] for ids in completions])


def random_llama(job: TrainingRun) -> Policy:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = load_base_policy("testbed", job.hardware).tokenizer
    tokenizer.batch_decode = lambda rows, **options: [" ".join("1" for _ in ids) for ids in rows]
    config = LlamaConfig(**LLAMA_3B, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id)
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = LlamaForCausalLM._from_config(config, dtype=torch.bfloat16)
    model.eval()
    return EndlessPolicy(model, tokenizer)


def jobs(count: int, rows: int, steps: int, arguments: argparse.Namespace) -> list[TrainingRun]:
    """The preset's screenings of the first `count` rewards, with `rows` completions a step in groups of four."""
    single = screening_run(steps)
    base = single.ensemble.members[: len(single.ensemble.members) - 1]
    grpo = single.grpo.model_copy(
        update={
            "prompts_per_step": max(1, rows // 4),
            "generations": min(4, rows),
            "max_completion_tokens": arguments.tokens or single.grpo.max_completion_tokens,
        }
    )
    changes: dict[str, Any] = {"grpo": grpo}
    if arguments.shape != "testbed":
        changes["lora"] = single.lora.model_copy(update={"rank": 32, "alpha": 32})
    changes["hardware"] = single.hardware.model_copy(
        update={"device": arguments.device, "dtype": "float32" if arguments.shape == "testbed" else "bfloat16"}
    )
    return [
        single.model_copy(
            update={
                **changes,
                "label": item.name,
                "ensemble": single.ensemble.model_copy(
                    update={"name": item.name, "members": (*base, Member(name=item.name, code=item.code))}
                ),
            }
        )
        for item in CANDIDATES[:count]
    ]


def timed_trainer(trainer: Any, watch: Stopwatch) -> None:
    """Has the phases of a step measured."""
    trainer._generate_single_turn = watch.time("generate", trainer._generate_single_turn)
    trainer._calculate_rewards = watch.time("score", trainer._calculate_rewards)
    trainer._compute_loss = watch.time("forward", trainer._compute_loss)
    trainer.accelerator.backward = watch.time("backward", trainer.accelerator.backward)
    trainer.create_optimizer()
    trainer.optimizer.step = watch.time("optimizer", trainer.optimizer.step)


class Arm:
    """One way to train and evaluate the same candidates."""

    def __init__(self, policy: Policy, questions: int) -> None:
        self.policy = policy
        self.questions = questions

    def scorings(self, jobs: Sequence[TrainingRun], task: Any, stack: ExitStack) -> list[RolloutScoring]:
        return [
            RolloutScoring(
                stack.enter_context(EnsembleScorer(job.ensemble, job.sandbox)),
                task,
                generations=job.grpo.generations,
                steps=job.grpo.steps,
                failure_rate_limit=1.0,
            )
            for job in jobs
        ]

    def sequential(self, jobs: Sequence[TrainingRun], watch: Stopwatch, trl: bool = False) -> dict[str, float]:
        seconds = {"train": 0.0, "evaluate": 0.0}
        task = build_task(jobs[0].task)
        for job in jobs:
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                (scoring,) = self.scorings([job], task, stack)
                before = time.perf_counter()
                if trl:
                    trainer = plain_trl(job, self.policy, task, scoring, folder)
                    timed_trainer(trainer, watch)
                    watch.time("rest", trainer.train)()
                    trainer.model.unload()
                else:
                    run = training([job], self.policy, task, [scoring], folder)
                    timed_trainer(run._trainer, watch)
                    watch.time("rest", run.train)()
                    run.save(0, folder / "adapter")
                    run.release()
                seconds["train"] += time.perf_counter() - before
                before = time.perf_counter()
                if self.questions and not trl:
                    evaluate(
                        TransformersEngine(self.policy),
                        task,
                        task.examples("validation", self.questions),
                        Sampling(job.grpo.max_completion_tokens),
                        adapter=str(folder / "adapter"),
                    )
                seconds["evaluate"] += time.perf_counter() - before
        return seconds

    def packed(self, jobs: Sequence[TrainingRun], watch: Stopwatch) -> dict[str, float]:
        task = build_task(jobs[0].task)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            scorings = self.scorings(jobs, task, stack)
            before = time.perf_counter()
            run = training(jobs, self.policy, task, scorings, folder)
            timed_trainer(run._trainer, watch)
            watch.time("rest", run.train)()
            for place in range(len(jobs)):
                run.save(place, folder / str(place))
            run.release()
            trained = time.perf_counter() - before
            before = time.perf_counter()
            if self.questions:
                evaluate_all(
                    TransformersEngine(self.policy),
                    task,
                    task.examples("validation", self.questions),
                    Sampling(jobs[0].grpo.max_completion_tokens),
                    adapters=[str(folder / str(place)) for place in range(len(jobs))],
                )
            return {"train": trained, "evaluate": time.perf_counter() - before}

    def one_by_one(self, job: TrainingRun, questions: int) -> float:
        """Seconds per question of the base policy, each question a batch of its own."""
        task = build_task(job.task)
        before = time.perf_counter()
        evaluate(
            TransformersEngine(self.policy, 1),
            task,
            task.examples("validation", questions),
            Sampling(job.grpo.max_completion_tokens),
        )
        return (time.perf_counter() - before) / questions


def best(function: Callable[[Stopwatch], dict[str, float]], repeats: int, steps: int) -> dict[str, Any]:
    """The repetition with the shortest training, with its table of a step."""
    found: list[tuple[float, dict[str, Any]]] = []
    for _ in range(repeats):
        watch = Stopwatch()
        cpu = time.process_time()
        seconds = function(watch)
        cpu = time.process_time() - cpu
        found.append(
            (
                seconds["train"],
                {
                    "train seconds": round(seconds["train"], 2),
                    "evaluate seconds": round(seconds["evaluate"], 2),
                    "cpu seconds": round(cpu, 2),
                    "wall ms per step": per_step(watch.wall, steps),
                    "cpu ms per step": per_step(watch.cpu, steps),
                },
            )
        )
    result = min(found, key=lambda item: item[0])[1]
    result["evaluate seconds"] = min(item["evaluate seconds"] for _, item in found)
    return result


def peak_memory() -> float | None:
    """GiB of GPU memory since the last call; None without a GPU."""
    import torch

    if not torch.cuda.is_available():
        return None
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 2)


def bandwidth(device: str) -> float:
    """Bytes per second that a large copy reads and writes, the best of five."""
    import torch

    source = torch.empty(2**28 if device == "cpu" else 2**31, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(5):
        before = time.perf_counter()
        target.copy_(source)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - before)
    return 2 * source.nbytes / min(seconds)


def token_bound(job: TrainingRun, policy: Policy, count: int, rows: int, bytes_per_second: float) -> float:
    """Milliseconds that reading weights and cache takes for one token of every row, half of the completions written."""
    from trainer.grpo.memory import ModelShape, cache_bytes

    task = build_task(job.task)
    prompt = max(map(len, policy.prompt_tokens([example.prompt for example in task.examples("train", 64)])))
    shape = ModelShape.of(policy.model.config)
    width = next(policy.model.parameters()).element_size()
    tokens = prompt + job.grpo.max_completion_tokens // 2
    read = sum(weight.nbytes for weight in policy.model.parameters()) + count * rows * cache_bytes(shape, tokens, width)
    return 1000 * read / bytes_per_second


def measure(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rounds, and what was measured apart from them."""
    rounds = []
    speed = bandwidth(arguments.device)
    first = jobs(1, 4, 1, arguments)[0]
    make_deterministic(first.hardware)
    policy = load_base_policy("testbed", first.hardware) if arguments.shape == "testbed" else random_llama(first)
    arm = Arm(policy, arguments.questions)
    arm.sequential([first], Stopwatch())  # warms imports and kernels
    arm.packed([first], Stopwatch())
    for rows in arguments.rows:
        for count in arguments.candidates:
            candidates = jobs(count, rows, arguments.steps, arguments)
            peak_memory()
            packed = best(lambda watch, jobs=candidates: arm.packed(jobs, watch), arguments.repeats, arguments.steps)
            packed_peak = peak_memory()
            sequential = best(
                lambda watch, jobs=candidates: arm.sequential(jobs, watch), arguments.repeats, arguments.steps
            )
            entry = {
                "candidates": count,
                "completions per candidate and step": rows,
                "packed": packed,
                "sequential": sequential,
                "training, times as fast": round(sequential["train seconds"] / packed["train seconds"], 2),
                "evaluation, times as fast": round(
                    sequential["evaluate seconds"] / max(packed["evaluate seconds"], 1e-9), 2
                ),
                "cpu seconds, sequential over packed": round(sequential["cpu seconds"] / packed["cpu seconds"], 2),
            }
            if arguments.shape != "testbed":
                tokens = candidates[0].grpo.max_completion_tokens
                entry["ms per decoded token"] = {
                    "packed": round(packed["wall ms per step"]["generate"] / tokens, 2),
                    "sequential": round(sequential["wall ms per step"]["generate"] / tokens / count, 2),
                    "bound of a pack": round(token_bound(candidates[0], arm.policy, count, rows, speed), 2),
                }
            if packed_peak is not None:
                entry["peak GiB"] = {"packed": packed_peak, "sequential": peak_memory()}
            if count == min(arguments.candidates):
                entry["trl, one candidate"] = best(
                    lambda watch, jobs=candidates: arm.sequential(jobs[:1], watch, trl=True), 1, arguments.steps
                )
            rounds.append(entry)
            print({key: value for key, value in entry.items() if key not in ("packed", "sequential")}, flush=True)
            print("  packed    ", packed["wall ms per step"], flush=True)
            print("  sequential", sequential["wall ms per step"], flush=True)
    apart: dict[str, Any] = {"bandwidth, GB/s": round(speed / 1e9, 1)}
    if arguments.one_by_one:
        longest = jobs(1, arguments.rows[0], arguments.steps, arguments)[0]
        seconds = arm.one_by_one(longest, arguments.one_by_one)
        apart["one question at a time, seconds per question"] = round(seconds, 4)
    return rounds, apart


def main() -> None:
    def integers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=integers, default=[1, 2, 4, 8])
    parser.add_argument("--rows", type=integers, default=[8, 32])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--questions", type=int, default=128, help="evaluated after training; 0: no evaluation")
    parser.add_argument("--one-by-one", type=int, default=16, help="questions evaluated one at a time; 0: none")
    parser.add_argument("--tokens", type=int, default=None, help="longest completion; the preset's if left out")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--shape", choices=["testbed", "llama-3b"], default="testbed")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    load = os.getloadavg()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    rounds, apart = measure(arguments)
    report = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "machine": machine(),
        "device": arguments.device,
        "shape": arguments.shape,
        "threads": 1,
        "load average before and after": [[round(value, 1) for value in pair] for pair in (load, os.getloadavg())],
        "real-time scheduling": os.sched_getscheduler(0) in (os.SCHED_RR, os.SCHED_FIFO),
        "versions": versions(),
        "steps": arguments.steps,
        "repeats": arguments.repeats,
        "evaluated questions": arguments.questions,
        **apart,
        "rounds": rounds,
    }
    arguments.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
