"""Has the trainers' own code call an exported `reward.py`, and compares with what its `score` gives.

    python real_hosts.py FOLDER SAMPLES.json

Run it with the Python of an environment that holds verl, OpenRLHF or verifiers (`pip install --no-deps` and what
their import asks for is enough) and nothing of ours. The samples, a JSON list of objects with prompt, completion and
answer, need no order. Prints each trainer that is there, with its version and the largest difference; ends with 1 where
one is above 1e-6. `hosts.py` imitates the same calls where the trainers cannot be installed.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Sample = dict[str, str]
Scored = tuple[list[float], list[float]]
"""What the trainer got, and what `score` says of the same completions."""


def main() -> int:
    file = Path(sys.argv[1]).resolve() / "reward.py"
    samples: list[Sample] = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    hosts: dict[str, Callable[[Path, list[Sample]], Scored]] = {
        "verl": verl,
        "openrlhf": openrlhf,
        "verifiers": verifiers,
    }
    worst = 0.0
    for name, host in hosts.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            print(f"{name}: not installed")
            continue
        found, expected = host(file, samples)
        difference = max(abs(a - b) for a, b in zip(found, expected, strict=True))
        print(
            f"{name} {version}: {len(found)} completions, {len(set(found))} values, largest difference {difference:.3g}"
        )
        worst = max(worst, difference)
    return int(worst > 1e-6)


def ours(file: Path, samples: Sequence[Sample]) -> list[float]:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("ours", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    columns = ([sample[column] for sample in samples] for column in ("prompt", "completion", "answer"))
    scores: list[float] = module.score(*columns, list(range(len(samples))))
    return scores


def verl(file: Path, samples: list[Sample]) -> Scored:
    """Through `NaiveRewardManager` on a `DataProto`, with a tokenizer whose tokens are characters."""
    import numpy
    import torch
    from verl import DataProto
    from verl.utils.import_utils import load_extern_object
    from verl.workers.reward_manager.naive import NaiveRewardManager

    class Characters:
        def decode(self, tokens: Any, skip_special_tokens: bool = True) -> str:
            return "".join(map(chr, tokens.tolist()))

    def padded(texts: list[str], left: bool) -> tuple[Any, Any]:
        width = max(map(len, texts))
        rows = [[ord(c) for c in text] for text in texts]
        gaps = [[0] * (width - len(row)) for row in rows]
        tokens = [gap + row if left else row + gap for row, gap in zip(rows, gaps, strict=True)]
        masks = [
            [0] * len(gap) + [1] * len(row) if left else [1] * len(row) + [0] * len(gap)
            for row, gap in zip(rows, gaps, strict=True)
        ]
        return torch.tensor(tokens), torch.tensor(masks)

    samples = [sample for sample in samples if sample["completion"]]  # it stores the score at the last token
    prompts, prompt_mask = padded([sample["prompt"] for sample in samples], left=True)
    responses, response_mask = padded([sample["completion"] for sample in samples], left=False)
    extras = [{"index": place, "question": sample["prompt"]} for place, sample in enumerate(samples)]
    data = DataProto.from_single_dict(
        {
            "prompts": prompts,
            "responses": responses,
            "attention_mask": torch.cat([prompt_mask, response_mask], dim=1),
            "reward_model": numpy.array([{"ground_truth": sample["answer"]} for sample in samples], dtype=object),
            "data_source": numpy.array(["local"] * len(samples), dtype=object),
            "extra_info": numpy.array(extras, dtype=object),
        }
    )
    manager = NaiveRewardManager(Characters(), 0, load_extern_object(str(file), "compute_score"))
    return manager(data).sum(dim=1).tolist(), ours(file, samples)


def openrlhf(file: Path, samples: list[Sample]) -> Scored:
    """Through `SingleTurnAgentExecutor`'s own call of a reward function; prompts in Qwen's chat template."""
    from openrlhf.utils.agent import SingleTurnAgentExecutor

    executor = SingleTurnAgentExecutor(str(file))
    prompts = [f"<|im_start|>user\n{sample['prompt']}<|im_end|>\n<|im_start|>assistant\n" for sample in samples]
    queries = [f"{prompt}{sample['completion']}<|im_end|>" for prompt, sample in zip(prompts, samples, strict=True)]
    called = executor._fetch_rewards_via_func(queries, prompts, [sample["answer"] for sample in samples])
    return [float(info["rewards"][0]) for info in asyncio.run(called)], ours(file, samples)


def verifiers(file: Path, samples: list[Sample]) -> Scored:
    old = importlib.metadata.version("verifiers").startswith(("0.1", "0.2", "0.3"))
    return verifiers_rubric(file, samples) if old else verifiers_task(file, samples)


def verifiers_rubric(file: Path, samples: list[Sample]) -> Scored:
    """Through `Rubric.score_rollout` of versions before 0.4."""
    import verifiers as vf

    sys.path.insert(0, str(file.parent))
    import reward

    rubric = vf.Rubric(funcs=reward.verifiers_functions)
    totals = []
    for sample in samples:
        state = vf.State(
            prompt=[{"role": "user", "content": sample["prompt"]}],
            completion=[{"role": "assistant", "content": sample["completion"]}],
            answer=sample["answer"],
            task="testbed",
            info={},
            timing={},
        )
        asyncio.run(rubric.score_rollout(state))
        totals.append(float(state["reward"]))
    return totals, ours(file, samples)


def verifiers_task(file: Path, samples: list[Sample]) -> Scored:
    """Through `Task.score` of a v1 task, into whose configuration the reward is plugged by path."""
    from verifiers.v1.configs.task import TaskConfig
    from verifiers.v1.task import Task, TaskData
    from verifiers.v1.trace import Trace

    class Row(TaskData):
        answer: str

    class Solve(Task[Row]):
        pass

    config = TaskConfig.model_validate({"rewards": {"exported": {"fn": f"{file}:verifiers_task_reward"}}})
    totals = []
    for sample in samples:
        task = Solve(Row(prompt=sample["prompt"], answer=sample["answer"]), config)
        trace = Trace.model_construct(root_reply=sample["completion"], rewards={}, metrics={})
        asyncio.run(task.score(trace))
        totals.append(trace.rewards["exported"].value)
    # A trace's last reply has no white space around it.
    stripped = [{**sample, "completion": sample["completion"].strip()} for sample in samples]
    return totals, ours(file, stripped)


if __name__ == "__main__":
    raise SystemExit(main())
