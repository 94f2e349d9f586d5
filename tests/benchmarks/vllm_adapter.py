"""One adapter served by vLLM: by request beside the base, against merged into a copy of the base.

    python -m tests.benchmarks.vllm_adapter [--rows 64] [--tokens 96] [--repeats 5] [--output FILE]

In this process, on the testbed's policy in float32, one thread, sampled at temperature 1 with an adapter of rank 16 on
every projection. Each arm in a process of its own; tokens by seconds of processor time, the first call left out. `base`
is the same vLLM without adapters. `a refresh`: seconds to write the adapter's files and to answer with one token under
their new name, less those under a known name; what handing weights over in memory could save at most. Needs vLLM: run
it with the Python of `make test-vllm`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.machine import machine

ARMS = ("by request", "merged", "base")
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def measure(arm: str, rows: int, tokens: int, repeats: int) -> dict[str, Any]:
    import torch
    from peft import LoraConfig

    from eval.engines.base import Sampling
    from eval.engines.policy import load_policy
    from eval.engines.stacked_adapters import StackedAdapters
    from eval.engines.vllm_engine import VllmEngine
    from eval.tasks.base import TaskReference
    from eval.tasks.registry import build_task
    from trainer.policy import merge_adapter
    from trainer.testbed import policy_path

    torch.set_num_threads(1)
    policy = load_policy(str(policy_path()), "cpu")
    task = build_task(TaskReference(name="testbed", options={"train": rows, "validation": 4, "test": 4}))
    prompts = policy.prompt_tokens([example.prompt for example in task.examples("train")])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "adapter"
        stack = StackedAdapters(policy.model, LoraConfig(r=16, lora_alpha=32, target_modules=TARGETS), 1)
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in stack.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.01)
        stack.save(0, folder)
        stack.remove()
        started = time.perf_counter()
        used = {"by request": str(folder), "base": None}.get(arm, str(Path(place) / "merged"))
        if arm == "merged":
            merge_adapter(str(policy_path()), folder, Path(place) / "merged")
        merging = time.perf_counter() - started if arm == "merged" else None
        engine = VllmEngine(policy, rows)
        rates = []
        for call in range(repeats + 1):
            before = time.process_time()
            found = engine.complete(
                prompts, Sampling(tokens, temperature=1.0), [used] * rows, [(call, row) for row in range(rows)]
            )
            rates.append(sum(map(len, found)) / (time.process_time() - before))
        refreshes = []
        for number in range(repeats if arm == "by request" else 0):
            written = Path(place) / f"adapter-{number}"
            before = time.perf_counter()
            shutil.copytree(folder, written)
            engine.complete(prompts[:1], Sampling(1, temperature=0.0), [str(written)], [(0, 0)])
            middle = time.perf_counter()
            engine.complete(prompts[:1], Sampling(1, temperature=0.0), [str(written)], [(0, 0)])
            refreshes.append(middle - before - (time.perf_counter() - middle))
    found: dict[str, Any] = {"tokens per CPU second": rates[1:]}
    return found | ({"a refresh": refreshes} if refreshes else {}) | ({"seconds to merge": merging} if merging else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.arm is not None:
        print("measured", json.dumps(measure(arguments.arm, arguments.rows, arguments.tokens, arguments.repeats)))
        return
    sizes = [f"--{name}={getattr(arguments, name)}" for name in ("rows", "tokens", "repeats")]
    found: dict[str, Any] = {}
    for arm in ARMS:
        command = [sys.executable, "-m", "tests.benchmarks.vllm_adapter", *sizes, "--arm", arm]
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        found[arm] = json.loads(said.rpartition("measured ")[2])
    middle = {arm: statistics.median(found[arm]["tokens per CPU second"]) for arm in ARMS}
    from eval.engines.vllm_engine import VllmEngine

    result = {
        "measured": {"rows": arguments.rows, "tokens": arguments.tokens, "vllm": VllmEngine.version({})},
        **found,
        "medians": middle,
        "merged against by request": middle["merged"] / middle["by request"],
        "machine": machine(),
    }
    written = json.dumps(result, indent=1)
    print(written)
    if arguments.output is not None:
        arguments.output.write_text(written + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
