"""What `reward-search plan --machine here` says of training runs of policies of three sizes, and what they take.

    python -m tests.benchmarks.roofline [--out tests/benchmarks/roofline.json]

Random Llamas with a vocabulary of 32,000, one thread, float32; a run of a few steps each, alone and as a pack of four,
whose completions all go to their limit, and an evaluation. Compared part by part: generation; loss, gradients and
optimizer; evaluation. The machine is probed before and after every size.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from eval.tasks.base import Example, Split, Task, TaskReference
from rewards_generated.ensemble import Ensemble
from tests.benchmarks.machine import machine
from tests.trainer.tiny import Sums, ran, training_run, write_policy
from trainer.grpo.memory import ModelShape
from trainer.jobs.settings import Hardware
from trainer.jobs.train import TrainingRun, TrainJob
from trainer.probe import probe
from trainer.roofline import Machine, Part, evaluation_parts, seconds, step_parts

OUTPUT = Path(__file__).with_suffix(".json")
VOCABULARY = 32_000
SIZES: dict[str, dict[str, int]] = {
    "20M": {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 8},
    "95M": {"hidden_size": 640, "intermediate_size": 1792, "num_hidden_layers": 16},
    "210M": {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 14},
}
MEMBERS = (1, 4)
STEPS, QUESTIONS, PROMPT, COMPLETION = 2, 16, 96, 48


class LongSums(Sums):
    """Questions of `PROMPT` tokens."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.reference = TaskReference(name="tests.benchmarks.roofline:build", options=options)

    def examples(self, split: Split, limit: int | None = None) -> list[Example]:
        # Beside the question of five words stand the two marks of the turns.
        words = " ".join(["so"] * (PROMPT - 7))
        return [
            Example(item.id, ({"role": "user", "content": f"{words} {item.prompt[0]['content']}"},), item.answer)
            for item in super().examples(split, limit)
        ]


def build(options: dict[str, Any]) -> Task:
    return LongSums(options)


def described(base: Path, seed: int) -> TrainingRun:
    grpo = {"steps": STEPS, "prompts_per_step": 1, "generations": 4, "max_completion_tokens": COMPLETION}
    run = training_run(
        base,
        task=LongSums({"train": 12}).reference,
        grpo={**grpo, "learning_rate": 1e-4},
        lora={"rank": 16, "alpha": 16},
        evaluation={
            "split": "test",
            "limit": QUESTIONS,
            "max_completion_tokens": COMPLETION,
            "batch_size": QUESTIONS // 2,
        },
        seed=seed,
        hardware=Hardware(device="cpu"),
    )
    return run.model_copy(update={"ensemble": Ensemble(name=f"member {seed}", members=run.ensemble.members)})


def compared(base: Path, members: int, here: Machine, folder: Path) -> dict[str, Any]:
    runs = [described(base, seed) for seed in range(1, members + 1)]
    result = ran(TrainJob.of(*runs), folder)
    assert result.failure is None
    [tokens] = {round(entry["completion_tokens"]) for member in result.members for entry in member.curves}
    assert tokens == COMPLETION, "a completion ended before its limit"
    shape = ModelShape.of(_config(base))
    step = step_parts(runs[0], shape, members, PROMPT)
    generation = [part for part in step if part.name in ("reading prompts", "decoding")]
    training = [part for part in step if part not in generation]
    taken = result.seconds
    measured = {
        "generation": taken["generate"] / STEPS,
        "loss, gradients, optimizer": (taken["train"] - taken["generate"] - taken["score"]) / STEPS,
        "evaluation": taken["evaluate"],
    }
    evaluation = evaluation_parts(runs[0], shape, members, PROMPT, QUESTIONS)
    parts: dict[str, list[Part]] = dict(zip(measured, (generation, training, evaluation), strict=True))
    predicted = {name: seconds(found, here) for name, found in parts.items()}
    run_taken, run_foreseen = (
        STEPS * (one["generation"] + one["loss, gradients, optimizer"]) + one["evaluation"]
        for one in (measured, predicted)
    )
    return {
        "parts": {
            name: {
                "predicted": round(predicted[name], 3),
                "measured": round(measured[name], 3),
                "share of the bound": round(predicted[name] / measured[name], 3),
            }
            for name in measured
        },
        "run": {
            "predicted": round(run_foreseen, 2),
            "measured": round(run_taken, 2),
            "relative error": round(run_foreseen / run_taken - 1, 3),
        },
    }


def _config(base: Path) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(base)


def _words(here: Machine) -> dict[str, float]:
    return {
        "GB/s": round(here.bandwidth / 1e9, 2),
        "GFLOP/s": round(here.rate / 1e9, 1),
        "launch, microseconds": round(here.launch * 1e6, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUTPUT)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="roofline-") as temporary:
        for name, size in SIZES.items():
            heads = {
                "num_attention_heads": 8,
                "num_key_value_heads": 2,
                "vocab_size": VOCABULARY,
                "max_position_embeddings": 256,
            }
            base = write_policy(
                Path(temporary) / name, **size, **heads, initializer_range=0.02, eos_token_id=VOCABULARY - 1
            )
            before = probe(Hardware(device="cpu"))
            packs = {
                str(members): compared(base, members, before, Path(temporary) / f"{name}-{members}")
                for members in MEMBERS
            }
            after = probe(Hardware(device="cpu"))
            found[name] = {"machine": {"before": _words(before), "after": _words(after)}, "runs together": packs}
            print(name, json.dumps(found[name], indent=1), flush=True)
    errors = [abs(pack["run"]["relative error"]) for size in found.values() for pack in size["runs together"].values()]
    written = {
        **machine(),
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg(),
        "sizes": found,
        "largest relative error of a run": max(errors),
    }
    options.out.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
