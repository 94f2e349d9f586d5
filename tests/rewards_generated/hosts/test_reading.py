"""Rewards as they are written for other trainers: found, cut out, and scored as their host would score them."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import rewards_generated
from rewards_generated.contract import sees_groups
from rewards_generated.errors import UserError
from rewards_generated.gate import check
from rewards_generated.gate.settings import GateSettings
from rewards_generated.hosts import read_reward, read_rewards

RIGHT, WRONG = "so <solution> 12 </solution>", "so <solution> 13 </solution>"

TRL = """
import logging
import os
import re

logger = logging.getLogger(__name__)
PATTERN = re.compile(r"<solution>\\s*(.*?)\\s*</solution>")


def given(text):
    found = PATTERN.search(text)
    return found[1] if found else None


def accuracy(completions, ground_truth, **kwargs):
    logger.debug("scoring %d", len(completions))
    return [float(given(text) == gold) for text, gold in zip(completions, ground_truth)]


def tagged(completions, **kwargs):
    return [0.5 if given(text) else 0.0 for text in completions]


def abstaining(completions, solution, **kwargs):
    return [None if given(text) is None else float(given(text) == gold) for text, gold in zip(completions, solution)]


async def waiting(completions, answer, **kwargs):
    return accuracy(completions, answer)


def needs_a_column(completions, difficulty, **kwargs):
    return [float(value) for value in difficulty]


def reads_a_column(completions, **kwargs):
    return [float(value) for value in kwargs["level"]]


def from_kwargs(completions, **kwargs):
    return accuracy(completions, kwargs.get("gold"))


def logs(completions, answer, log_metric=None, **kwargs):
    log_metric("n", 1.0)
    return accuracy(completions, answer)


def weighted(completions, answer, weight, **kwargs):
    return [weight * value for value in accuracy(completions, answer)]


def uses_a_file(completions, **kwargs):
    return [float(os.path.exists(text)) for text in completions]


if __name__ == "__main__":
    print(accuracy([], []))
"""
MADE = """
from functools import partial


def make(weight=1.0):
    def scaled(completions, answer, **kwargs):
        return [weight * (f"<solution> {gold} </solution>" in text) for text, gold in zip(completions, answer)]

    return scaled


class Exact:
    __name__ = "exact"

    def __init__(self, weight=1.0):
        self.weight = weight

    def __call__(self, completions, answer, **kwargs):
        return [self.weight * (f"<solution> {gold} </solution>" in text) for text, gold in zip(completions, answer)]


def scored(prompt, completion, answer, weight):
    return weight * float(f"<solution> {answer} </solution>" in completion)


double = make(2.0)
triple = Exact(weight=3.0)
quadruple = partial(scored, weight=4.0)
half = lambda prompt, completion, answer: 0.5 * (f"<solution> {answer} </solution>" in completion)
"""
VERL = """
import re


def extract(solution_str):
    return re.findall(r"<solution> (.*?) </solution>", solution_str)


def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    if extra_info["question"] != "7 + 5 ?":
        return {"score": -1.0}
    return {"score": float(extract(solution_str)[-1:] == [ground_truth]), "format": 1.0}
"""
OPENRLHF = """
import torch


def reward_func(queries, prompts, labels, **kwargs):
    rewards = []
    for query, prompt, label in zip(queries, prompts, labels):
        rewards.append(float(f"<solution> {label} </solution>" in query[len(prompt):]))
    return {"rewards": torch.tensor(rewards, dtype=torch.float), "extra_logs": {}}
"""
VERIFIERS = """
import verifiers as vf


def in_messages(prompt, completion, answer, **kwargs):
    assert prompt[-1]["role"] == "user"
    return 1.0 if f"<solution> {answer} </solution>" in completion[-1]["content"] else 0.0


async def with_state(completion, answer, state, info):
    return float(f"<solution> {answer} </solution>" in completion[0]["content"]) + len(state) + len(info)


def load_environment(**options):
    parser = vf.XMLParser(["think", "answer"])

    def parsed(completion, answer, **kwargs):
        return 1.0 if (parser.parse_answer(completion) or "").endswith(f"{answer} </solution>") else 0.0

    return vf.SingleTurnEnv(rubric=vf.Rubric(funcs=[parsed, in_messages]))
"""
CHAT = """
KEY = "content"


def reward(completions, answer, **kwargs):
    return [float(f"<solution> {gold} </solution>" in turns[0][KEY]) for turns, gold in zip(completions, answer)]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "trl": TRL,
        "made": MADE,
        "verl": VERL,
        "openrlhf": OPENRLHF,
        "verifiers": VERIFIERS,
        "chat": CHAT,
    }.items():
        (tmp_path / f"{name}.py").write_text(text.lstrip("\n"))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("trl.py:accuracy", 1.0, 0.0),
        ("trl.py:tagged", 0.5, 0.5),
        ("trl.py:abstaining", 1.0, 0.0),
        ("trl.py:waiting", 1.0, 0.0),
        ("trl.py:from_kwargs", 1.0, 0.0),
        ("trl.py:logs", 1.0, 0.0),
        ("trl.py:weighted(weight=3.0)", 3.0, 0.0),
        ("made.py:make(weight=2.5)", 2.5, 0.0),
        ("made.py:make(2.5)", 2.5, 0.0),
        ("made.py:Exact()", 1.0, 0.0),
        ("made.py:double", 2.0, 0.0),
        ("made.py:triple", 3.0, 0.0),
        ("made.py:quadruple", 4.0, 0.0),
        ("made.py:scored(weight=5.0)", 5.0, 0.0),
        ("made.py:half", 0.5, 0.0),
        ("verl.py", 1.0, 0.0),
        ("openrlhf.py", 1.0, 0.0),
        ("verifiers.py:in_messages", 1.0, 0.0),
        ("verifiers.py:with_state", 1.0, 0.0),
        ("verifiers.py:parsed", 1.0, 0.0),
        ("chat.py", 1.0, 0.0),
    ],
)
def test_every_form_is_called_as_its_host_calls_it(folder: Path, name: str, right: float, wrong: float) -> None:
    ensemble = rewards_generated.load(f"{folder}/{name}")
    scores = ensemble.score([("7 + 5 ?", RIGHT, "12"), ("7 + 5 ?", WRONG, "12")])
    assert scores.totals == [right, wrong], scores.errors


def test_none_of_trl_counts_as_nothing(folder: Path) -> None:
    ensemble = rewards_generated.load(f"{folder}/trl.py:abstaining")
    assert ensemble("7 + 5 ?", "no tags", "12") == 0.0


def test_only_what_a_reward_uses_is_taken_along(folder: Path) -> None:
    code = read_reward(f"{folder}/trl.py:tagged").code
    assert "def given" in code
    assert "PATTERN" in code
    assert "import os" not in code
    assert "def accuracy" not in code
    assert "__main__" not in code
    assert check(code).accepted


def test_several_rewards_are_listed_with_how_to_choose(folder: Path) -> None:
    with pytest.raises(UserError, match=r"has 7 rewards \(accuracy, tagged, .*choose one, such as .*trl.py:accuracy"):
        read_reward(f"{folder}/trl.py")
    names = [reward.name for reward in read_rewards(f"{folder}/trl.py")]
    assert names[:3] == ["accuracy", "tagged", "abstaining"]
    assert [item.name for item in rewards_generated.load(f"{folder}/made.py").members] == [
        "double",
        "triple",
        "quadruple",
        "half",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("trl.py:needs_a_column", "needs `difficulty`; only the prompt, the completion and the gold answer"),
        ("trl.py:reads_a_column", "needs `level`"),
        ("trl.py:given", "`given` is no reward: its parameters are those of no host"),
        ("trl.py:acuracy", "did you mean 'accuracy'"),
        ("made.py:make", "`make` makes a reward; call it"),
        ("made.py:make(weight=open('x'))", "no name and no call with literal arguments"),
        ("made.py:make(", "no name and no call with literal arguments"),
        ("none.py", "does not exist"),
    ],
)
def test_what_cannot_be_called_is_said(folder: Path, name: str, message: str) -> None:
    with pytest.raises(UserError) as refusal:
        read_reward(f"{folder}/{name}")
    assert message in str(refusal.value)


def test_a_file_of_one_plain_reward_stays_as_it_is(tmp_path: Path) -> None:
    code = '# A comment.\ndef reward(prompt, completion, answer):\n    """Pays."""\n    return 1.0\n'
    (tmp_path / "mine.py").write_text(code)
    assert read_reward(f"{tmp_path}/mine.py").code == code


def test_json_inside_a_completion_is_no_chat(tmp_path: Path) -> None:
    code = """
    import json


    def shape(completions, **kwargs):
        values = []
        for text in completions:
            try:
                data = json.loads(text)
                values.append(1.0 if isinstance(data, dict) and data["content"] else 0.0)
            except (ValueError, KeyError):
                values.append(0.1)
        return values
    """
    (tmp_path / "shape.py").write_text(textwrap.dedent(code))
    ensemble = rewards_generated.load(f"{tmp_path}/shape.py")
    assert ensemble("p", '{"content": "x"}', "1") == 1.0
    assert ensemble("p", "plain", "1") == 0.1


def test_ensembles_and_members_name_functions_of_files(folder: Path) -> None:
    (folder / "e.toml").write_text('[[members]]\nname = "right"\nfile = "trl.py:accuracy"\nweight = 2.0\n')
    assert rewards_generated.load(folder / "e.toml")("7 + 5 ?", RIGHT, "12") == 2.0
    (folder / "bad.toml").write_text('[[members]]\nname = "right"\nfile = "trl.py"\n')
    with pytest.raises(UserError, match=r"member 'right': .*has 7 rewards"):
        rewards_generated.load(folder / "bad.toml")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import numpy\n", "write sums and means with `math` and `statistics`"),
        ("import requests\n", "a reward has no network"),
        ("from random import random\n", "the same completion must always get the same value"),
        ("from .helpers import given\n", "a reward stands alone in its file"),
        ("import logging\nhandler = logging.FileHandler('x')\n", "`logging.FileHandler` is not a public name"),
        ("from math_verify import parser\n", "`parser` is not a public name of `math_verify`"),
    ],
)
def test_a_refused_module_is_told_with_what_to_use_instead(code: str, message: str) -> None:
    verdict = check(f"{code}\n\ndef reward(prompt, completion, answer):\n    return 1.0\n")
    assert message in verdict.reasons[0]


@pytest.mark.slow
def test_math_verify_runs_inside_the_seal() -> None:
    code = """
from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify


def accuracy(completions, solution, **kwargs):
    config = [LatexExtractionConfig(normalization_config=NormalizationConfig(units=True, boxed="all"))]
    rewards = []
    for text, gold in zip(completions, solution):
        parsed = parse(text, extraction_config=config)
        rewards.append(float(verify(parse(f"${gold}$"), parsed)))
    return rewards
"""
    verdict = check(
        code,
        answers=rewards_generated.Ensemble.model_validate(
            {"name": "e", "members": [{"name": "answer_check"}], "answer_format": "boxed"}
        ).answers,
        settings=GateSettings(batch_seconds=30),
    )
    assert verdict.accepted, verdict.reasons
    ensemble = rewards_generated.Ensemble(name="e", members=(rewards_generated.Member(name="m", code=code),))
    scores = ensemble.score([("p", "so $\\boxed{\\frac{2}{4}}$", "0.5"), ("p", "so $\\boxed{3}$", "0.5")])
    assert scores.totals == [1.0, 0.0], scores.errors


@pytest.mark.parametrize(
    "code",
    [
        "def steps(prompt, completion, answer, worked_solution):\n    return float(len(worked_solution or ''))\n",
        "def steps(completions, worked_solution, **_):\n    return [float(len(w or '')) for w in worked_solution]\n",
        "def steps(completions, **k):\n    return [float(len(w)) if w else None for w in k['worked_solution']]\n",
    ],
)
def test_worked_solutions_are_passed_on(code: str, tmp_path: Path) -> None:
    (tmp_path / "rewards.py").write_text(f"{code}\n\ndef other(completions, **kwargs):\n    return [0.0]\n")
    ensemble = rewards_generated.load(f"{tmp_path / 'rewards.py'}:steps")
    scores = ensemble.score([("p", "c", "4", "2 + 2"), ("p", "c", "4", None)])
    assert scores.totals == [5.0, 0.0]
    with pytest.raises(UserError, match="asks for the worked solution; give it as fourth"):
        ensemble("p", "c", "4")


def test_rewards_of_whole_groups_are_found_under_any_name(tmp_path: Path) -> None:
    file = tmp_path / "groups.py"
    file.write_text(
        "def longest(group):\n    return max(map(len, group))\n\n"
        "def relative(prompt, group, answer):\n    return [len(text) / longest(group) for text in group]\n\n"
        "def told(prompt, group, answer, worked_solution):\n    return [float(worked_solution in t) for t in group]\n\n"
        "def plain(prompt, completion, answer):\n    return float(len(completion))\n"
    )
    found = {item.name: item.code for item in read_rewards(str(file))}
    assert {name: sees_groups(code) for name, code in found.items()} == {"relative": True, "told": True, "plain": False}
    members = tuple(rewards_generated.Member(name=name, code=read_reward(f"{file}:{name}").code) for name in found)
    ensemble = rewards_generated.Ensemble(name="e", members=members)
    scores = ensemble.score([("p", "aa", "1", "aaa"), ("p", "aaaa", "1", "aaa")], groups=[0, 0])
    assert scores.components == {"relative": [0.5, 1.0], "told": [0.0, 1.0], "plain": [2.0, 4.0]}
