"""Calls an exported `reward.py` as each trainer calls it. Standard library only: run away from our packages.

    python -I -S hosts.py FOLDER SAMPLES.json > totals.json

The samples lie in groups of equal size, one group per prompt. What is imitated, and where it is written:
- TRL 1.16, `trl/trainer/grpo_trainer.py`, `GRPOTrainer._calculate_rewards` and, for the members' functions, the
  aggregation `normalize_then_sum` up to the sum.
- verl, `verl/utils/import_utils.py` `load_extern_object` and
  `verl/experimental/reward_loop/reward_manager/naive.py` `NaiveRewardManager.run_single`.
- OpenRLHF, `openrlhf/utils/agent.py` `SingleTurnAgentExecutor.__init__`, `.execute` and `._fetch_rewards_via_func`.
- verifiers, `verifiers/legacy/rubrics/rubric.py` `Rubric.score_rollout` and `.score_group` (before 0.4), and
  `verifiers/v1/task.py` `Task.score`, whose rewards get the task's data and the trace.
`real_hosts.py` has the trainers' own code do it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import math
import statistics
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

Sample = dict[str, str]


def load(path: Path) -> ModuleType:
    """As verl and OpenRLHF do it: by path, under a name of the host's."""
    spec = importlib.util.spec_from_file_location("reward_func", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trl(module: ModuleType, samples: list[Sample], size: int, *, chat: bool) -> list[float | None]:
    prompts: list[Any] = [sample["prompt"] for sample in samples]
    completions: list[Any] = [sample["completion"] for sample in samples]
    if chat:
        prompts = [[{"role": "system", "content": "Be brief: 1 + 1 = 2."}, _message("user", text)] for text in prompts]
        completions = [[_message("assistant", text)] for text in completions]
    rows = [
        function(
            prompts=prompts,
            completions=completions,
            completion_ids=[[1, 2]] * len(samples),
            answer=[sample["answer"] for sample in samples],
            trainer_state=None,
            log_extra=None,
            log_metric=None,
        )
        for function in module.reward_funcs
    ]
    weights = module.reward_weights
    assert len(weights) == len(rows)
    if len(rows) == 1 and weights == [1.0]:
        return list(rows[0])
    totals = [0.0] * len(samples)
    for row, weight in zip(rows, weights, strict=True):
        for start in range(0, len(samples), size):
            group = row[start : start + size]
            mean, deviation = statistics.fmean(group), statistics.stdev(group)
            for place, value in enumerate(group, start=start):
                totals[place] += weight * (value - mean) / (deviation + 1e-4)
    return list(totals)


def verl(module: ModuleType, samples: list[Sample]) -> list[float]:
    compute_score = getattr(module, "compute_score")  # noqa: B009 - as load_extern_object does
    totals = []
    for index, sample in enumerate(samples):
        extra_info = {"split": "train", "index": index, "question": sample["prompt"]}
        extra_info |= {"num_turns": 2, "rollout_reward_scores": {}}
        result = compute_score(
            data_source="local/testbed",
            solution_str=sample["completion"],
            ground_truth=sample["answer"],
            extra_info=extra_info,
        )
        assert set(result) == {"score", "failed_members", *(member.name for member in module.MEMBERS)}
        totals.append(result["score"])
    return totals


def openrlhf(module: ModuleType, samples: list[Sample]) -> list[float]:
    """One completion at a time, in a thread; the prompt in its chat template, the query decoded with special tokens."""
    reward_func = module.reward_func

    async def execute(sample: Sample) -> float:
        prompt = (
            "<|im_start|>system\nBe brief: 1 + 1 = 2.<|im_end|>\n"
            f"<|im_start|>user\n{sample['prompt']}<|im_end|>\n<|im_start|>assistant\n"
        )
        query = f"{prompt}{sample['completion']}<|im_end|>"
        info = await asyncio.to_thread(reward_func, [query], [prompt], [sample["answer"]])
        (value,) = info["rewards"]
        assert info["scores"] == info["rewards"]
        assert all(isinstance(logged, float) for logged in info["extra_logs"].values())
        return float(value)

    async def every() -> list[float]:
        return [await execute(sample) for sample in samples]

    return asyncio.run(every())


def verifiers(module: ModuleType, samples: list[Sample], size: int) -> list[float]:
    totals = [0.0] * len(samples)
    for function in module.verifiers_functions:
        parameters = inspect.signature(function).parameters
        assert function.__name__ == module.NAME
        for start in range(0, len(samples), size):
            group = samples[start : start + size]
            prompts = [[_message("user", sample["prompt"])] for sample in group]
            completions = [[_message("assistant", sample["completion"])] for sample in group]
            answers = [sample["answer"] for sample in group]
            if set(parameters) & {"states", "prompts", "completions", "answers", "tasks", "infos"}:
                offered = {"prompts": prompts, "completions": completions, "answers": answers, "infos": [{}] * size}
                values = function(**{name: offered[name] for name in parameters})
            else:
                offered_each = [
                    {"prompt": prompt, "completion": completion, "answer": answer, "state": {}, "info": {}}
                    for prompt, completion, answer in zip(prompts, completions, answers, strict=True)
                ]
                values = [float(function(**{name: one[name] for name in parameters})) for one in offered_each]
            for place, value in enumerate(values, start=start):
                totals[place] += value
    return totals


def verifiers_task(module: ModuleType, samples: list[Sample]) -> list[float]:
    async def each() -> list[float]:
        return [
            await module.verifiers_task_reward(
                task=SimpleNamespace(prompt=sample["prompt"], answer=sample["answer"]),
                trace=SimpleNamespace(last_reply=sample["completion"]),
            )
            for sample in samples
        ]

    return asyncio.run(each())


def _message(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def main(folder: Path, samples: list[Sample], size: int) -> dict[str, Any]:
    module = load(folder / "reward.py")
    totals: dict[str, Any] = {
        "score": module.score(
            [sample["prompt"] for sample in samples],
            [sample["completion"] for sample in samples],
            [sample["answer"] for sample in samples],
            [place // size for place in range(len(samples))],
        ),
        "trl": trl(module, samples, size, chat=False),
        "trl, chat": trl(module, samples, size, chat=True),
        "verifiers": verifiers(module, samples, size),
    }
    for name, call in (("verl", verl), ("openrlhf", openrlhf), ("verifiers, v1", verifiers_task)):
        try:
            totals[name] = call(module, samples)
        except module.UnsuitableHost as error:
            totals[name] = str(error)
    ours = ("rewards_generated", "search", "trainer", "eval", "numpy", "pydantic", "torch")
    totals["loaded"] = [name for name in ours if name in sys.modules]
    totals["importable"] = [name for name in ours if importlib.util.find_spec(name) is not None]
    totals["finite"] = all(math.isfinite(value) for value in totals["verifiers"])
    return totals


if __name__ == "__main__":
    document = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    json.dump(main(Path(sys.argv[1]), document["samples"], document["group_size"]), sys.stdout)
