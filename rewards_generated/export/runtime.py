"""An ensemble of reward functions, exported by reward-search. Standard library only; needs nothing else of it.

- TRL: `GRPOTrainer(..., reward_funcs=reward_funcs)`; the dataset has a column `answer`, or take
  `trl_reward_functions("column")`. With `group_normalised` pass `GRPOConfig(reward_weights=reward_weights,
  multi_objective_aggregation="normalize_then_sum")`.
- verl: `reward.custom_reward_function.path=.../reward.py` (older versions: `custom_reward_function.path`); the function
  is `compute_score`. Members that read the prompt get it from `extra_info["prompt"]`, or else `extra_info["question"]`.
- OpenRLHF: `--reward.remote_url .../reward.py` (older versions: `--remote_rm_url`); the function is `reward_func`.
- verifiers: `vf.Rubric(funcs=verifiers_functions)`; so too in prime-rl, which trains on environments of verifiers.
- slime: `--custom-rm-path my_reward.reward.slime_reward` (with `--group-rm`: `slime_group_reward`).
- AReaL: `reward_fn="my_reward.reward.areal_reward"`; the dataset has a column `answer`.
- SkyRL-gym: `skyrl_gym.register(id="mine", entry_point="my_reward.reward:skyrl_env")`.
- tinker-cookbook: `ProblemGroupBuilder(env_thunk=partial(tinker_env, renderer, question, answer), ...)`.
- Anything else: `score(prompts, completions, answers)`.

Members that ask for the worked solution of a question get what stands under `worked_solution`: a column of the dataset
(TRL, AReaL, SkyRL-gym), in verl's `extra_info`, in verifiers' `info` or in the data of its task, in slime's
`sample.metadata`, an argument of `tinker_env`. None: that question has none. OpenRLHF passes none, and is refused.

Where a member's weight has a schedule, TRL says how far the run is; the other trainers do not, and are refused.

Where a member sees whole groups, all completions of a prompt together, TRL, slime with `--group-rm` and group functions
of verifiers pass them; the others do not, and are refused. In a batch of TRL a group is all rows of one question;
`trl_reward_functions(generations=num_generations)` cuts them into groups of that size, in their order, and stops the
run where one is not whole. A run of several processes must name it.

The members' code below is run as it stands, WITHOUT a sandbox: read it before you train with it.
"""

# Copyright reward-search authors. SPDX-License-Identifier: Apache-2.0
# Members written by a language model or by others are under whatever terms they came with; see README.md.

from __future__ import annotations

import functools
import hashlib
import linecache
import logging
import math
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

Reward = Callable[..., Any]
"""(prompt, completion, answer) -> float, or (prompt, completions of the prompt, answer) -> list of floats."""


class Member(NamedTuple):
    """One reward: the function called `function` in a module whose text is `source`."""

    name: str
    source: str
    function: str
    weight: float
    mean: float | None
    """Over rollouts of the base policy, frozen; used by `zscore`."""
    std: float | None
    reads_prompt: bool
    to: float | None = None
    """The weight at the end of a run, where it changes: in a straight line, or after the share `at` of the steps."""
    at: float | None = None
    sees_groups: bool = False
    """Whether it is called with all completions of a prompt."""
    worked_solution: bool = False
    """Whether it asks for the worked solution of the question."""


# Filled in by the export: begin
NAME = "ensemble"
AGGREGATION = "sum"
MEMBERS: tuple[Member, ...] = ()
# Filled in by the export: end

Sample = tuple[str, str, str, str | None]
"""Prompt, completion, answer, and the worked solution of the question."""

LARGEST_SCORE = 1e6
GROUP_EPSILON = 1e-4
SHOWN_FAILURES = 3

logger = logging.getLogger(__name__)
failures: Counter[str] = Counter()
"""Member -> completions that it could not score since this module was loaded."""


class UnsuitableHost(RuntimeError):
    """The trainer calls rewards in a way in which this ensemble's aggregation, schedule or members have no meaning, or
    does not pass what its members ask for."""


# Scores


def score(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    answers: Sequence[Any],
    groups: Sequence[Hashable] | None = None,
    progress: float | None = None,
    worked_solutions: Sequence[str | None] | None = None,
) -> list[float | None]:
    """One total per completion; None where a member could not score it.

    Prompts and completions are text or chat messages. `groups`: equal for completions of one prompt; needed by
    `group_normalised` and by members that see whole groups, not used otherwise. `progress`: steps done / steps of the
    run; weights with a schedule need it. `worked_solutions`: of the questions, needed by members that ask for them.
    """
    columns = _contributions(member_scores(prompts, completions, answers, groups, worked_solutions), groups, progress)
    return [None if None in column else _sum(column) for column in columns]


def score_without_failed(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    answers: Sequence[Any],
    groups: Sequence[Hashable] | None = None,
    worked_solutions: Sequence[str | None] | None = None,
) -> list[float]:
    """`score` for trainers that must have a number: a member that could not score a completion adds nothing there.

    Every such failure is counted in `failures`, and the first of each member are logged.
    """
    rows = member_scores(prompts, completions, answers, groups, worked_solutions)
    return [_sum(column) for column in _contributions(rows, groups)]


def member_scores(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    answers: Sequence[Any],
    groups: Sequence[Hashable] | None = None,
    worked_solutions: Sequence[str | None] | None = None,
) -> dict[str, list[float | None]]:
    """Per member its raw, unweighted scores; None where it could not score. `groups`, `worked_solutions`: as in
    `score`."""
    samples = _samples(prompts, completions, answers, worked_solutions)
    return {member.name: _scores(member, samples, groups) for member in MEMBERS}


def _scores(member: Member, samples: Sequence[Sample], groups: Sequence[Hashable] | None) -> list[float | None]:
    if not member.sees_groups:
        return [_call(member, sample) for sample in samples]
    if groups is None or len(groups) != len(samples):
        raise UnsuitableHost(
            f"{member.name!r} of ensemble {NAME!r} sees whole groups: give the group of every completion"
        )
    rows_of: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        rows_of.setdefault(group, []).append(row)
    scores: list[float | None] = [None] * len(samples)
    for rows in rows_of.values():
        for row, value in zip(rows, _call_group(member, [samples[row] for row in rows]), strict=True):
            scores[row] = value
    return scores


def _contributions(
    rows: dict[str, list[float | None]],
    groups: Sequence[Hashable] | None = None,
    progress: float | None = None,
) -> list[tuple[float | None, ...]]:
    """Per completion what each member adds to its total. `rows`: the members' raw scores."""
    if AGGREGATION == "group_normalised":
        if groups is None or any(len(groups) != len(row) for row in rows.values()):
            raise UnsuitableHost(
                f"ensemble {NAME!r} aggregates by group_normalised: give the group of every completion"
            )
        rows = {name: _group_normalise(row, groups) for name, row in rows.items()}
    elif AGGREGATION == "zscore":
        rows = {member.name: _standardise(rows[member.name], member) for member in MEMBERS}
    weights = {member.name: _weight(member, progress) for member in MEMBERS}
    weighted = [[None if value is None else value * weights[name] for value in rows[name]] for name in weights]
    return list(zip(*weighted, strict=True))


def _weight(member: Member, progress: float | None) -> float:
    if member.to is None:
        return member.weight
    if progress is None:
        raise UnsuitableHost(
            f"the weight of {member.name!r} of ensemble {NAME!r} has a schedule, and nothing says how far the run is: "
            "give `progress`, steps done / steps of the run"
        )
    if member.at is not None:
        return member.to if progress >= member.at else member.weight
    return member.weight + (member.to - member.weight) * progress


def _sum(column: Iterable[float | None]) -> float:
    return math.fsum(value for value in column if value is not None)


def _standardise(scores: Sequence[float | None], member: Member) -> list[float | None]:
    """By the frozen statistics; a member that was constant over the base rollouts is only centred."""
    mean, std = member.mean or 0.0, member.std or 0.0
    scale = std if std > 1e-9 else 1.0
    return [None if value is None else (value - mean) / scale for value in scores]


def _group_normalise(scores: Sequence[float | None], groups: Sequence[Hashable]) -> list[float | None]:
    """(score - group mean) / (group standard deviation + 1e-4), n - 1 in the denominator; 0 in a group of one."""
    by_group: dict[Hashable, list[float]] = {}
    for value, group in zip(scores, groups, strict=True):
        if value is not None:
            by_group.setdefault(group, []).append(value)
    means = {group: math.fsum(values) / len(values) for group, values in by_group.items()}
    scales = {
        group: math.sqrt(math.fsum((value - means[group]) ** 2 for value in values) / (len(values) - 1)) + GROUP_EPSILON
        for group, values in by_group.items()
        if len(values) > 1
    }
    return [
        None if value is None else (value - means[group]) / scales[group] if group in scales else 0.0
        for value, group in zip(scores, groups, strict=True)
    ]


def _call(member: Member, sample: Sample) -> float | None:
    prompt, completion, answer, worked = sample
    try:
        value = _FUNCTIONS[member.name](prompt, completion, answer, **_named(member, worked))
    except Exception as error:  # noqa: BLE001 - a reward may raise anything; it must not stop the training
        return _failed(member, f"raised {type(error).__name__}: {error}")
    return _value(member, value)


def _call_group(member: Member, samples: Sequence[Sample]) -> list[float | None]:
    """Of the completions of one prompt, in their order."""
    prompt, _, answer, worked = samples[0]
    if any((sample[0], *sample[2:]) != (prompt, answer, worked) for sample in samples):
        raise UnsuitableHost(
            f"a group of ensemble {NAME!r} has completions of different prompts, gold answers or worked solutions"
        )
    completions = [sample[1] for sample in samples]
    problem, values = "", []
    try:
        values = _FUNCTIONS[member.name](prompt, completions, answer, **_named(member, worked))
    except Exception as error:  # noqa: BLE001 - as in `_call`
        problem = f"raised {type(error).__name__}: {error}"
    else:
        if type(values) not in (list, tuple) or len(values) != len(samples):
            problem = f"returned {values!r:.80}, not one value for each of {len(samples)}"
    if problem:
        return [_failed(member, problem) for _ in samples]
    return [_value(member, value) for value in values]


def _named(member: Member, worked: str | None) -> dict[str, str | None]:
    return {"worked_solution": worked} if member.worked_solution else {}


def _value(member: Member, value: Any) -> float | None:
    if type(value) in (int, float) and -LARGEST_SCORE <= value <= LARGEST_SCORE:
        return float(value)
    return _failed(member, f"returned {value!r:.80}, not a finite number within 1e6")


def _failed(member: Member, reason: str) -> float | None:
    failures[member.name] += 1
    if failures[member.name] <= SHOWN_FAILURES:
        last = "; further failures of it are only counted" if failures[member.name] == SHOWN_FAILURES else ""
        logger.warning(
            "reward %r of ensemble %r could not score a completion: it %s%s", member.name, NAME, reason, last
        )
    return None


@functools.cache
def _module(source: str) -> ModuleType:
    """The text as a module of its own, so that helpers and constants of two members never meet."""
    module = ModuleType("_exported_reward_" + hashlib.sha256(source.encode()).hexdigest()[:16])
    file = f"<{module.__name__}>"
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # for tracebacks
    exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    return module


# Texts


def _samples(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    answers: Sequence[Any],
    worked_solutions: Sequence[str | None] | None,
) -> list[Sample]:
    if worked_solutions is None:
        if ASKING:
            raise UnsuitableHost(
                f"{', '.join(map(repr, ASKING))} of ensemble {NAME!r} asks for the worked solution of every question, "
                "and none was passed: put them into the dataset as `worked_solution`"
            )
        worked_solutions = [None] * len(prompts)
    rows = enumerate(zip(prompts, completions, answers, worked_solutions, strict=True))
    return [
        (prompt_text(prompt), completion_text(completion), _answer_text(answer, row), worked)
        for row, (prompt, completion, answer, worked) in rows
    ]


def _worked(*holders: Any) -> list[Any] | None:
    """What each dictionary or object holds as `worked_solution`; None where one does not have it at all."""
    found = [_field(holder or {}, "worked_solution", _ABSENT) for holder in holders]
    return None if any(value is _ABSENT for value in found) else found


_ABSENT = object()


def _answer_text(answer: Any, row: int) -> str:
    if answer is None:
        raise ValueError(
            f"ensemble {NAME!r} needs the gold answer of every completion: that of row {row} of the batch is None; "
            "leave such rows out of the dataset"
        )
    return str(answer)


def prompt_text(prompt: Any) -> str:
    """Text as it is; of chat messages the last one of the user, or, without one, the last."""
    if isinstance(prompt, str):
        return prompt
    messages = list(prompt)
    of_users = [message for message in messages if _field(message, "role") == "user"]
    return _content((of_users or messages)[-1]) if messages else ""


def completion_text(completion: Any) -> str:
    """Text as it is; of chat messages all of the assistant's, line by line."""
    if isinstance(completion, str):
        return completion
    texts = [_content(message) for message in completion if _field(message, "role", "assistant") == "assistant"]
    return "\n".join(text for text in texts if text)


def _content(message: Any) -> str:
    """The text of one message; of a message in parts, those that are text."""
    content = _field(message, "content")
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(str(_field(part, "text", "")) for part in content if not isinstance(part, str))


def _field(item: Any, name: str, default: Any = None) -> Any:
    """Of a dictionary, or of an object with attributes, as some trainers pass messages."""
    return item.get(name, default) if hasattr(item, "get") else getattr(item, name, default)


_USER_TURNS = (
    re.compile(r"<\|im_start\|>user\n(.*?)<\|im_end\|>", re.DOTALL),
    re.compile(r"<\|start_header_id\|>user<\|end_header_id\|>\n\n(.*?)<\|eot_id\|>", re.DOTALL),
    re.compile(r"<start_of_turn>user\n(.*?)<end_of_turn>", re.DOTALL),
    re.compile(r"\[INST\] ?(.*?) ?\[/INST\]", re.DOTALL),
)
_END_TOKEN = re.compile(r"(?:<\|[^<>|\s]{1,40}\|>|<｜[^<>｜\s]{1,40}｜>|</s>|<eos>|<pad>|<end_of_turn>)\Z")


def templated_prompt_text(prompt: str) -> str:
    """The last user message of a prompt in the chat template of Qwen, Llama 3, Gemma or Mistral; else all of it."""
    for pattern in _USER_TURNS:
        if turns := pattern.findall(prompt):
            return str(turns[-1])
    return prompt


def without_end_tokens(completion: str) -> str:
    """Decoded with its special tokens, a completion ends in some such as `<|im_end|>`; they are cut off."""
    while found := _END_TOKEN.search(completion, max(0, len(completion) - 60)):
        completion = completion[: found.start()]
    return completion


# TRL


class TrlReward:
    """A reward function of TRL: the whole ensemble, or one member. An object, so that TRL's asynchronous trainer can
    pickle it; the mean of every member is logged where the trainer offers `log_metric`."""

    def __init__(self, name: str, member: int | None, answer_column: str, generations: int | None) -> None:
        self.__name__ = self.__qualname__ = name
        self.member = member
        self.answer_column = answer_column
        self.generations = generations

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        log_metric: Any = None,
        trainer_state: Any = None,
        **columns: Any,
    ) -> list[float | None]:
        if self.answer_column not in columns:
            raise ValueError(
                f"the dataset has no column {self.answer_column!r} with the gold answers; "
                "name it with trl_reward_functions(answer_column=...)"
            )
        answers, worked = columns[self.answer_column], columns.get("worked_solution")
        groups = _trl_groups(prompts, answers, worked, self.generations) if SEEING_GROUPS else None
        if self.member is not None:
            return _scores(MEMBERS[self.member], _samples(prompts, completions, answers, worked), groups)
        rows = member_scores(prompts, completions, answers, groups, worked)
        progress = None if trainer_state is None else trainer_state.global_step / max(1, trainer_state.max_steps)
        if log_metric is not None:
            for name, row in rows.items():
                present = [value for value in row if value is not None]
                if present:
                    log_metric(f"{NAME}/{name}", math.fsum(present) / len(present))
        return [None if None in column else _sum(column) for column in _contributions(rows, progress=progress)]


def _trl_groups(
    prompts: Sequence[Any], answers: Sequence[Any], worked: Sequence[Any] | None, generations: int | None
) -> list[tuple[int, int]]:
    """The group of every row: those of one question, `generations` at a time."""
    if generations is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UnsuitableHost(
            f"{', '.join(map(repr, SEEING_GROUPS))} of ensemble {NAME!r} sees whole groups, which this run may divide "
            "among its processes: take trl_reward_functions(generations=num_generations), so that it is noticed"
        )
    seen: dict[str, list[int]] = {}
    for row, (prompt, answer, how) in enumerate(zip(prompts, answers, worked or [None] * len(prompts), strict=True)):
        seen.setdefault(repr((prompt, str(answer), how)), []).append(row)
    groups = [(0, 0)] * len(prompts)
    for number, rows in enumerate(seen.values()):
        if generations is not None and len(rows) % generations:
            raise UnsuitableHost(
                f"ensemble {NAME!r} sees whole groups, and TRL passed {len(rows)} completions of a prompt where groups "
                f"have {generations}: choose a per-device batch size that num_generations divides"
            )
        for place, row in enumerate(rows):
            groups[row] = number, 0 if generations is None else place // generations
    return groups


def trl_reward_functions(answer_column: str = "answer", generations: int | None = None) -> list[TrlReward]:
    """`reward_funcs` for GRPOTrainer: one function, or with `group_normalised` one per member, in `MEMBERS`' order.

    `answer_column`: the column of the dataset with the gold answers. `generations`: TRL's `num_generations`, for
    members that see whole groups. None stands where a completion could not be scored; TRL leaves it out.
    """
    if AGGREGATION == "group_normalised":
        return [TrlReward(member.name, place, answer_column, generations) for place, member in enumerate(MEMBERS)]
    return [TrlReward(NAME, None, answer_column, generations)]


# verl


def compute_score(
    data_source: Any, solution_str: str, ground_truth: Any, extra_info: Any = None, **options: Any
) -> dict[str, float]:
    """verl's custom reward function: `score` is the total, beside it each member's own score, which verl logs. A member
    that could not score the completion adds nothing, stands as 0, and is counted in `failed_members`."""
    rows = _verl_rows(solution_str, ground_truth, extra_info)
    failed = sum(row[0] is None for row in rows.values())
    logged = {name: row[0] or 0.0 for name, row in rows.items()}
    return {**logged, "failed_members": float(failed), "score": _sum(_contributions(rows)[0])}


def compute_member_scores(
    data_source: Any, solution_str: str, ground_truth: Any, extra_info: Any = None, **options: Any
) -> dict[str, float]:
    """For verl's `algorithm.adv_estimator=gdpo`, which normalises each member within its group itself.

    `reward.custom_reward_function.name=compute_member_scores`, `algorithm.gdpo_reward_keys=[...]` the members' names,
    `algorithm.gdpo_reward_weights=[...]` their weights. `score` is their weighted sum; what failed counts as 0.
    """
    values = {name: row[0] or 0.0 for name, row in _verl_rows(solution_str, ground_truth, extra_info).items()}
    return {"score": math.fsum(values[member.name] * member.weight for member in MEMBERS), **values}


def _verl_rows(solution_str: str, ground_truth: Any, extra_info: Any) -> dict[str, list[float | None]]:
    prompts, worked = [_verl_prompt(extra_info)], _worked(extra_info)
    return member_scores(prompts, [solution_str], [ground_truth], worked_solutions=worked)


def _verl_prompt(extra_info: Any) -> Any:
    for key in ("prompt", "question"):
        prompt = (extra_info or {}).get(key)
        if prompt is not None:
            return prompt
    readers = [member.name for member in MEMBERS if member.reads_prompt]
    if readers:
        raise ValueError(
            f"{', '.join(map(repr, readers))} of ensemble {NAME!r} reads the prompt: "
            "put it into the dataset as extra_info['prompt']"
        )
    return ""


# OpenRLHF


def reward_func(
    queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any], **options: Any
) -> dict[str, Any]:
    """OpenRLHF's custom reward function: `queries` are prompts with their completions, decoded with special tokens.

    A member that could not score a completion adds nothing there; how many such there were is logged beside the mean of
    every member.
    """
    completions = [
        without_end_tokens(query[len(prompt) :] if query.startswith(prompt) else query)
        for query, prompt in zip(queries, prompts, strict=True)
    ]
    rows = member_scores([templated_prompt_text(prompt) for prompt in prompts], completions, labels)
    totals: Any = [_sum(column) for column in _contributions(rows)]
    torch = sys.modules.get("torch")  # there whenever OpenRLHF is; it wants a tensor
    if torch is not None:
        totals = torch.tensor(totals, dtype=torch.float)
    logs = {"failed_members": float(sum(value is None for row in rows.values() for value in row))}
    for name, row in rows.items():
        logs[name] = math.fsum(value or 0.0 for value in row) / max(1, len(row))
    return {"rewards": totals, "scores": totals, "extra_logs": logs}


# verifiers


def verifiers_reward(prompt: Any, completion: Any, answer: Any, info: Any = None) -> float:
    """A rubric function of verifiers: one rollout. A member that could not score it adds nothing; see `failures`."""
    return score_without_failed([prompt], [completion], [answer], worked_solutions=_worked(info))[0]


def verifiers_group_reward(
    prompts: list[Any], completions: list[Any], answers: list[Any], infos: Sequence[Any] | None = None
) -> list[float]:
    """A group function of verifiers: all rollouts of one example."""
    groups = [(prompt_text(prompt), str(answer)) for prompt, answer in zip(prompts, answers, strict=True)]
    worked = None if infos is None else _worked(*infos)
    return score_without_failed(prompts, completions, answers, groups, worked)


async def verifiers_task_reward(task: Any, trace: Any) -> float:
    """A reward of verifiers' v1 tasks, plugged by path: the reply against the `answer` of the task's data."""
    if not hasattr(task, "answer"):
        raise AttributeError(f"the task's data ({type(task).__name__}) has no `answer`; give it that field")
    return score_without_failed([task.prompt or ""], [trace.last_reply], [task.answer], None, _worked(task))[0]


# Further hosts, filled in by the export


# What this ensemble offers

_FUNCTIONS: dict[str, Reward] = {
    _member.name: _module(_member.source).__dict__[_member.function] for _member in MEMBERS
}

SEEING_GROUPS = [member.name for member in MEMBERS if member.sees_groups]
reward_funcs = trl_reward_functions()
reward_weights = [member.weight for member in MEMBERS] if AGGREGATION == "group_normalised" else [1.0]

ASKING = [member.name for member in MEMBERS if member.worked_solution]
SCHEDULED = [member.name for member in MEMBERS if member.to is not None]

_ONE_AT_A_TIME = {
    "compute_score": "verl's compute_score (take compute_member_scores with verl's estimator gdpo)",
    "reward_func": "OpenRLHF's reward_func",
    "verifiers_reward": "verifiers' rubric function for one rollout (take verifiers_group_reward)",
    "verifiers_task_reward": "verifiers' reward of a v1 task",
    "slime_reward": "slime's reward of one sample (take slime_group_reward with --group-rm)",
    "areal_reward": "AReaL's reward function",
    "skyrl_env": "SkyRL-gym's environment",
    "tinker_env": "tinker-cookbook's environment",
}
_WITHOUT_STEP = {
    **{name: said.partition(" (take")[0] for name, said in _ONE_AT_A_TIME.items()},
    "compute_member_scores": "verl's compute_member_scores",
    "verifiers_functions": "verifiers' rubric function",
    "verifiers_group_reward": "verifiers' group function",
    "slime_group_reward": "slime's reward of a group",
}
verifiers_functions: list[Callable[..., Any]]
if AGGREGATION == "group_normalised" or SEEING_GROUPS:
    verifiers_group_reward.__name__ = NAME
    verifiers_functions = [verifiers_group_reward]
    _refused = _ONE_AT_A_TIME
else:
    verifiers_reward.__name__ = NAME
    verifiers_functions = [verifiers_reward]
    _refused = {}
if ASKING:
    _refused = {"reward_func": _ONE_AT_A_TIME["reward_func"], **_refused}
if SEEING_GROUPS:
    _verl = ("compute_score", "compute_member_scores")
    _refused = _refused | {_name: _WITHOUT_STEP[_name] for _name in _verl}
if SCHEDULED:
    _refused = _WITHOUT_STEP
for _name in _refused:
    del globals()[_name]


def __getattr__(name: str) -> Any:
    if name not in _refused:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if SCHEDULED:
        raise UnsuitableHost(
            f"the weight of {', '.join(map(repr, SCHEDULED))} of ensemble {NAME!r} has a schedule, and "
            f"{_refused[name]} is not told how far the run is; take TRL"
        )
    if AGGREGATION != "group_normalised" and not SEEING_GROUPS:
        raise UnsuitableHost(
            f"{', '.join(map(repr, ASKING))} of ensemble {NAME!r} asks for the worked solution of every question, and "
            f"{_refused[name]} is passed none; take another trainer"
        )
    who = f"{', '.join(map(repr, SEEING_GROUPS))} of ensemble {NAME!r}"
    if not SEEING_GROUPS:
        who = f"ensemble {NAME!r} aggregates by group_normalised, which"
    raise UnsuitableHost(
        f"{who} needs all completions of a prompt together, and {_refused[name]} is given one at a time"
    )
