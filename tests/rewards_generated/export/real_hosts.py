"""Has the trainers' own code call an exported `reward.py`, and compares with what its `score` gives.

    python real_hosts.py FOLDER SAMPLES.json

Run it with the Python of an environment that holds verl, OpenRLHF, verifiers, SkyRL-gym, AReaL or tinker-cookbook
(`pip install --no-deps` and what their import asks for is enough), or slime's sources on its path, and nothing of ours.
The samples, a JSON list of objects with prompt, completion and answer, need no order. Prints each trainer that is
there, with its version and the largest difference; ends with 1 where one is above 1e-6. `hosts.py` imitates the same
calls where the trainers cannot be installed.
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
        "skyrl-gym": skyrl_gym,
        "tinker-cookbook": tinker_cookbook,
        "areal": areal,
        "slime": slime,
    }
    worst = 0.0
    for name, host in hosts.items():
        version = _version(name)
        if version is None:
            print(f"{name}: not installed")
            continue
        found, expected = host(file, samples)
        difference = max(abs(a - b) for a, b in zip(found, expected, strict=True))
        print(
            f"{name} {version}: {len(found)} completions, {len(set(found))} values, largest difference {difference:.3g}"
        )
        worst = max(worst, difference)
    return int(worst > 1e-6)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # slime is not published as a package: its sources lie on the path.
        return "(sources)" if name == "slime" and importlib.util.find_spec("slime") else None


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


def skyrl_gym(file: Path, samples: list[Sample]) -> Scored:
    """Through `skyrl_gym.make` of a registered environment, `init` and `step`."""
    import skyrl_gym as gym

    sys.path.insert(0, str(file.parent))
    gym.register(id="exported", entry_point="reward:skyrl_env")
    totals = []
    for sample in samples:
        env = gym.make("exported", env_config=None, extras={"reward_spec": {"ground_truth": sample["answer"]}})
        env.init([{"role": "user", "content": sample["prompt"]}])
        output = env.step(sample["completion"])
        assert output["done"]
        totals.append(output["reward"])
    return totals, ours(file, samples)


def tinker_cookbook(file: Path, samples: list[Sample]) -> Scored:
    """Through `ProblemEnv.step`, with a renderer whose tokens are characters."""
    from types import SimpleNamespace

    from tinker_cookbook.rl.problem_env import ProblemGroupBuilder

    sys.path.insert(0, str(file.parent))
    import reward

    class Characters:
        def get_stop_sequences(self) -> list[str]:
            return ["\x00"]

        def parse_response(self, action: list[int]) -> Any:
            message = {"role": "assistant", "content": "".join(map(chr, action))}
            return message, SimpleNamespace(is_stop_sequence=True, is_clean=True)

    totals = []
    for sample in samples:
        made = ProblemGroupBuilder(lambda s=sample: reward.tinker_env(Characters(), s["prompt"], s["answer"]), 1)

        async def one(made: Any = made, sample: Sample = sample) -> float:
            (env,) = await made.make_envs()
            return float((await env.step([ord(c) for c in sample["completion"]])).reward)

        totals.append(asyncio.run(one()))
    return totals, ours(file, samples)


def areal(file: Path, samples: list[Sample]) -> Scored:
    """Through `AsyncRewardWrapper`, which pickles the function into a process of its own. Only the wrapper's module is
    imported: the package itself asks for an inference engine."""
    import types

    for name in ("areal", "areal.api"):
        package = types.ModuleType(name)
        spec = importlib.metadata.distribution("areal").locate_file(name.replace(".", "/"))
        package.__path__ = [str(spec)]
        sys.modules[name] = package
    from areal.api.reward_api import AsyncRewardWrapper

    sys.path.insert(0, str(file.parent))
    import reward

    async def every() -> list[float]:
        wrapper = AsyncRewardWrapper(reward.areal_reward, max_workers=1)
        return [
            float(await wrapper(_chat(sample), f"{sample['completion']}<|im_end|>", [1], [2], answer=sample["answer"]))
            for sample in samples
        ]

    return asyncio.run(every()), ours(file, samples)


def slime(file: Path, samples: list[Sample]) -> Scored:
    """Through `async_rm`, which loads the function by its path."""
    from types import SimpleNamespace

    from slime.rollout.rm_hub import async_rm

    sys.path.insert(0, str(file.parent))
    args = SimpleNamespace(custom_rm_path="reward.slime_reward")

    async def every() -> list[float]:
        rows = [
            SimpleNamespace(
                prompt=_chat(sample),
                response=f"{sample['completion']}<|im_end|>",
                label=sample["answer"],
                custom_rm_path=None,
                metadata={},
            )
            for sample in samples
        ]
        return [float(await async_rm(args, row)) for row in rows]

    return asyncio.run(every()), ours(file, samples)


def _chat(sample: Sample) -> str:
    return f"<|im_start|>user\n{sample['prompt']}<|im_end|>\n<|im_start|>assistant\n"


if __name__ == "__main__":
    raise SystemExit(main())
