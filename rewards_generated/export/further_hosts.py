"""Calls by further trainers, filled into an exported `reward.py` behind those of TRL, verl, OpenRLHF and verifiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rewards_generated.export.runtime import (
    _contributions,
    _field,
    _sum,
    _worked,
    member_scores,
    prompt_text,
    score_without_failed,
    templated_prompt_text,
    without_end_tokens,
)

# slime


async def slime_reward(args: Any, sample: Any, **options: Any) -> float:
    """slime's custom reward model, for one sample: its `prompt`, `response` and `label`."""
    return score_without_failed(*_slime_columns([sample]), worked_solutions=_worked(_field(sample, "metadata")))[0]


async def slime_group_reward(args: Any, samples: Sequence[Any], **options: Any) -> list[float]:
    """The same for several samples at once, as with `--group-rm`; completions of one prompt are a group."""
    columns = _slime_columns(samples)
    groups = list(zip(columns[0], map(str, columns[2]), strict=True))
    return score_without_failed(*columns, groups, _worked(*(_field(sample, "metadata") for sample in samples)))


def _slime_columns(samples: Sequence[Any]) -> tuple[list[str], list[str], list[Any]]:
    prompts = [sample.prompt for sample in samples]
    texts = [templated_prompt_text(prompt) if isinstance(prompt, str) else prompt_text(prompt) for prompt in prompts]
    return texts, [without_end_tokens(sample.response) for sample in samples], [sample.label for sample in samples]


# AReaL


def areal_reward(
    prompt: str,
    completions: str,
    prompt_ids: Any = None,
    completion_ids: Any = None,
    answer: Any = None,
    **columns: Any,
) -> float:
    """AReaL's reward function for one completion; it is pickled into a process of AReaL's own."""
    texts = [templated_prompt_text(prompt)], [without_end_tokens(completions)]
    return score_without_failed(*texts, [answer], worked_solutions=_worked(columns))[0]


# SkyRL-gym


def skyrl_env(env_config: Any = None, extras: Any = None) -> Any:
    """An environment of one turn for SkyRL-gym; `extras["reward_spec"]["ground_truth"]` is the gold answer."""
    from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput

    class RewardEnv(BaseTextEnv):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.answer = (extras or {}).get("reward_spec", {}).get("ground_truth")
            self.prompt: Any = (extras or {}).get("prompt", "")
            self.logged: dict[str, float] = {}

        def init(self, prompt: Any) -> tuple[Any, dict[str, Any]]:
            self.prompt = prompt
            return prompt, {}

        def step(self, action: str) -> Any:
            texts = [self.prompt], [without_end_tokens(action)], [self.answer]
            rows = member_scores(*texts, worked_solutions=_worked(extras))
            self.logged = {name: row[0] for name, row in rows.items() if row[0] is not None}
            total = _sum(_contributions(rows)[0])
            return BaseTextEnvStepOutput(observations=[], reward=total, done=True, metadata=dict(self.logged))

        def get_metrics(self) -> dict[str, float]:
            return self.logged

    return RewardEnv()


# tinker-cookbook


def tinker_env(renderer: Any, question: str, answer: Any, convo_prefix: Any = None, **columns: Any) -> Any:
    """A `ProblemEnv` of tinker-cookbook whose reward is the ensemble's total; no format penalty is added. `columns`:
    `worked_solution`, where a member asks for it."""
    from tinker_cookbook.rl.problem_env import ProblemEnv

    class RewardEnv(ProblemEnv):  # type: ignore[misc]
        def get_question(self) -> str:
            return question

        def check_answer(self, sample_str: str) -> float:
            return score_without_failed([question], [sample_str], [answer], worked_solutions=_worked(columns))[0]

        def check_format(self, sample_str: str) -> bool:
            return True

        def get_reference_answer(self) -> str:
            return str(answer)

    return RewardEnv(renderer, convo_prefix, format_coef=0.0)
