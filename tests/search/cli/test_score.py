"""`reward-search score` as a user types it: saved ensembles, files and folders, over anybody's rollouts."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from rewards_generated.base import base_rewards
from search.cli import main
from tests.rewards_generated.group_rewards import SHORTER

PAGE = Path(__file__).parents[3] / "docs" / "scoring.md"
RIGHT = "<thinking> 17 + 5 = 22 . </thinking> <solution> 22 </solution>"
WRONG = "<thinking> 17 + 5 = 12 . </thinking> <solution> 12 </solution>"
PROMPT = "What is 17 + 5 ?"
LENGTH = "def reward(prompt, completion, answer):\n    return len(completion) / 100\n"
FRAGILE = "def reward(prompt, completion, answer):\n    return float(completion.split('=')[1].split()[0])\n"


def lines(*completions: Any, **fields: Any) -> list[dict[str, Any]]:
    return [
        {"prompt": PROMPT, "completion": completion, "answer": 22, "id": f"r{k}", **fields}
        for k, completion in enumerate(completions)
    ]


def written(path: Path, rollouts: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in rollouts))
    return path


def ensemble(folder: Path, aggregation: str = "sum", **codes: str) -> Path:
    """A TOML file with the answer check and members of that code."""
    members = [{"name": "answer_check"}, *({"name": name, "code": code} for name, code in codes.items())]
    text = f'aggregation = "{aggregation}"\n'
    for member in members:
        text += "[[members]]\n" + "".join(f"{field} = {json.dumps(value)}\n" for field, value in member.items())
        text += "mean = 0.5\nstd = 2.0\n" if aggregation == "zscore" else ""
    path = folder / "mine.toml"
    path.write_text(text)
    return path


@pytest.fixture
def rollouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """rollouts.jsonl in the current folder."""
    monkeypatch.chdir(tmp_path)
    return written(tmp_path / "rollouts.jsonl", lines(RIGHT, WRONG, "22"))


def scored(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[list[dict[str, Any]], str]:
    assert main(["score", *arguments]) == 0
    printed = capsys.readouterr()
    return [json.loads(line) for line in printed.out.splitlines()], printed.err


def test_rollouts_may_come_from_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines(RIGHT, WRONG))
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["score", "base_rewards", "-"]) == 0
    totals = [json.loads(line)["total"] for line in capsys.readouterr().out.splitlines()]
    assert totals[0] > totals[1]
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["score", "base_rewards", "-"]) == 2


def test_a_saved_ensemble_scores_as_its_members_do(rollouts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, said = scored(capsys, "base_rewards", "rollouts.jsonl")
    assert [(item["line"], item["id"]) for item in found] == [(1, "r0"), (2, "r1"), (3, "r2")]
    for item, completion in zip(found, (RIGHT, WRONG, "22"), strict=True):
        own = {name: reward(PROMPT, completion, "22") for name, reward in base_rewards().items()}
        assert item["scores"] == own
        assert item["total"] == pytest.approx(sum(own.values()))
        assert "unscored" not in item
    assert said.startswith("scored 3 of 3 rollouts with base_rewards (3 members, sum): total ")
    assert said.count("\n") == 1


def test_chats_are_what_their_last_question_and_the_answer_say(
    rollouts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = [{"role": "system", "content": "Think."}, {"role": "user", "content": PROMPT}]
    answer = [{"role": "assistant", "content": RIGHT}]
    written(rollouts, lines(RIGHT) + lines(answer, prompt=chat))
    text, said = scored(capsys, str(ensemble(rollouts.parent, length=LENGTH)), "rollouts.jsonl")
    assert text[0]["scores"] == text[1]["scores"] == {"answer_check": 3.0, "length": len(RIGHT) / 100}
    assert "scored 2 of 2" in said


def test_what_a_member_cannot_score_is_null_with_the_reason(rollouts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, said = scored(capsys, str(ensemble(rollouts.parent, fragile=FRAGILE)), "rollouts.jsonl")
    assert [item["total"] for item in found] == [25.0, 10.5, None]
    assert found[2]["scores"] == {"answer_check": base_rewards()["answer_check"](PROMPT, "22", "22"), "fragile": None}
    assert "IndexError" in found[2]["unscored"]["fragile"]
    assert "scored 2 of 3 rollouts" in said
    assert "unscored: 1, such as by fragile: " in said
    assert "IndexError" in said


def test_statistics_that_were_frozen_are_used(rollouts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = scored(capsys, str(ensemble(rollouts.parent, "zscore", length=LENGTH)), "rollouts.jsonl")
    assert found[0]["total"] == pytest.approx((3.0 - 0.5) / 2 + (len(RIGHT) / 100 - 0.5) / 2)


def test_groups_are_compared_as_a_whole_however_long_the_file(
    rollouts: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No batch divides a group, and the lines of one need not stand together."""
    monkeypatch.setattr("rewards_generated.rollout_scoring.BATCH", 2)
    written(rollouts, lines(RIGHT, WRONG, WRONG, RIGHT, WRONG, group="a") + lines(WRONG, RIGHT, group="b"))
    found, _ = scored(capsys, str(ensemble(rollouts.parent, "group_normalised")), "rollouts.jsonl")
    deviation = (2 * 2.7**2 + 3 * 1.8**2) ** 0.5 / 2  # of 3, -1.5, -1.5, 3, -1.5 about 0.3, n - 1 = 4
    high, low = 2.7 / (deviation + 1e-4), -1.8 / (deviation + 1e-4)
    half = 2.25 / (2 * 2.25**2 + 0.0) ** 0.5
    assert [item["total"] for item in found] == pytest.approx([high, low, low, high, low, -half, half], abs=1e-4)


def test_a_completion_alone_in_its_group_is_refused(rollouts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(rollouts, lines(RIGHT, WRONG) + lines(RIGHT, prompt="another question"))
    assert main(["score", str(ensemble(rollouts.parent, "group_normalised")), "rollouts.jsonl"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "rollouts.jsonl, line 3: the completion is alone in its group" in printed.err
    assert printed.err.count("\n") == 1


def test_a_reward_of_whole_groups_sees_them_whatever_the_batches(
    rollouts: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rewards_generated.rollout_scoring.BATCH", 2)
    first, second, third = (
        lines("a" * 10, "a" * 5, "a", prompt="p"),
        lines("b" * 4, "b" * 3, prompt="q"),
        lines("c", ""),
    )
    written(rollouts, [first[0], second[0], *third, first[1], second[1], first[2]])
    found, _ = scored(capsys, str(ensemble(rollouts.parent, shorter=SHORTER)), "rollouts.jsonl")
    assert [item["scores"]["shorter"] for item in found] == pytest.approx([0.0, 0.0, 0.0, 1.0, 0.5, 0.25, 0.9])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"prompt": "another question"},
            "line 3: the completion is alone in its group, and 'shorter' of 'mine' sees all",
        ),
        (
            {"prompt": "other", "group": PROMPT},
            "line 3: prompt, answer or worked solution differ from line 1 of the same",
        ),
        ({"answer": 23}, "line 3: prompt, answer or worked solution differ from line 1 of the same"),
        (
            {"worked_solution": "17 + 5 = 22"},
            "line 3: prompt, answer or worked solution differ from line 1 of the same",
        ),
    ],
)
def test_what_is_no_whole_group_is_refused(
    changes: dict[str, Any], said: str, rollouts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(rollouts, lines(RIGHT, WRONG) + lines(RIGHT, **changes))
    assert main(["score", str(ensemble(rollouts.parent, shorter=SHORTER)), "rollouts.jsonl"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"rollouts.jsonl, {said}" in printed.err


def test_an_exported_folder_scores_as_the_file_that_it_was_made_of(
    rollouts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(ensemble(rollouts.parent, right_only_bonus=library("right_only_bonus")))
    assert main(["export", source, "--to", "my_reward"]) == 0
    capsys.readouterr()
    assert scored(capsys, "my_reward", "rollouts.jsonl")[0] == scored(capsys, source, "rollouts.jsonl")[0]


def library(name: str) -> str:
    from rewards_generated.library import library_codes

    return library_codes()[name]


def test_a_file_is_written_and_replaced_only_if_told_to(rollouts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed, _ = scored(capsys, "base_rewards", "rollouts.jsonl")
    arguments = ["score", "base_rewards", "rollouts.jsonl", "--out", "scores.jsonl"]
    for again in ([], ["--overwrite"]):
        assert main([*arguments, *again]) == 0
        assert capsys.readouterr().out == ""
        assert [json.loads(line) for line in Path("scores.jsonl").read_text().splitlines()] == printed
    assert main(arguments) == 2
    assert "--out scores.jsonl exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "bad.jsonl, line 2 is not JSON"),
        ("[1]", "bad.jsonl, line 2 is not a JSON object"),
        ('{"completion": "x", "answer": "1"}', "bad.jsonl, line 2: `prompt` is 'None'"),
        ('{"prompt": "x", "completion": 5, "answer": "1"}', "bad.jsonl, line 2: `completion` is '5'"),
        ('{"prompt": "x", "completion": "y"}', "bad.jsonl, line 2: `answer` is None"),
        ('{"prompt": "x", "completion": "y", "answer": "1", "id": [1]}', "bad.jsonl, line 2: `id` is '[1]'"),
    ],
)
def test_a_bad_line_is_named(line: str, said: str, rollouts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.jsonl").write_text(rollouts.read_text().splitlines()[0] + "\n" + line + "\n")
    assert main(["score", "base_rewards", "bad.jsonl", "--out", "scores.jsonl"]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert not Path("scores.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["none_such", "rollouts.jsonl"],
            "no ensemble 'none_such': neither a TOML file nor a saved name (saved: base_",
        ),
        (["base_rewards", "none.jsonl"], "none.jsonl cannot be read"),
        (["base_rewards", "empty.jsonl"], "empty.jsonl holds no rollouts"),
        (["base_rewards", "rollouts.jsonl", "--out", "no/where.jsonl"], "there is no folder no"),
        (["base_rewards"], "Missing argument"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str], said: str, rollouts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty.jsonl").write_text("\n")
    assert main(["score", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.count("\n") == 1


def _section() -> str:
    return PAGE.read_text(encoding="utf-8").split("## Score rollouts")[1].split("\n## ")[0]


@pytest.mark.parametrize("line", re.findall(r"^reward-search .*$", _section(), re.M))
def test_the_readme_works_as_typed(line: str, rollouts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = json.loads(re.findall(r"```json\n(.*?)```", _section(), re.S)[0])
    written(rollouts, [example, {**example, "completion": WRONG}])
    source = str(ensemble(rollouts.parent, right_only_bonus=library("right_only_bonus")))
    assert main(["export", source, "--to", "my_reward"]) == 0
    program, *arguments = shlex.split(line.split("#")[0])
    assert program == "reward-search"
    capsys.readouterr()
    assert main(arguments) == 0
    printed = capsys.readouterr()
    text = Path(arguments[arguments.index("--out") + 1]).read_text() if "--out" in arguments else printed.out
    assert all(json.loads(line)["total"] is not None for line in text.splitlines())
    assert "scored 2 of 2" in printed.err


def test_worked_solutions_of_the_lines_reach_the_members_that_ask(
    rollouts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "def reward(prompt, completion, answer, worked_solution):\n    return float(len(worked_solution or ''))\n"
    mine = str(ensemble(rollouts.parent, asking=code))
    assert main(["score", mine, "rollouts.jsonl"]) == 2
    assert "'asking' asks for the worked solution; no line of rollouts.jsonl has a" in capsys.readouterr().err
    written(rollouts, [*lines(RIGHT, worked_solution="17 + 5 = 22"), *lines(WRONG)])
    found, _ = scored(capsys, mine, "rollouts.jsonl")
    assert [item["scores"]["asking"] for item in found] == [11.0, 0.0]
    written(rollouts, lines(RIGHT, worked_solution=3))
    assert main(["score", mine, "rollouts.jsonl"]) == 2
    assert "`worked_solution` is '3'; give text, or leave it out" in capsys.readouterr().err
