"""Ask and tell as JSON, and the skill that shows an agent how to drive a search by them: every command of it is run."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from search.cli import main
from search.driver import exchange as forms
from search.driver.exchange import exchange
from search.ledger import Ledger, driver_lock
from tests.search.driver.test_ask_tell import MANUAL, fenced, tell
from tests.search.searches import run_search, write_config

AGENTS = Path(__file__).parents[3] / "docs" / "agents"
SKILL = (AGENTS / "SKILL.md").read_text(encoding="utf-8")


def printed(capsys: pytest.CaptureFixture[str], *command: str) -> dict[str, Any]:
    """What a command prints, which is JSON and nothing else."""
    capsys.readouterr()
    assert main(list(command)) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def told(capsys: pytest.CaptureFixture[str], run: Path, text: str) -> dict[str, Any]:
    answer = run.parent / "answer.md"
    answer.write_text(text, encoding="utf-8")
    return printed(capsys, "tell", str(run), str(answer), "--json")


def test_a_search_is_driven_by_json_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, run = run_search(tmp_path, proposer={"name": "manual", "options": {"max_follow_ups": 1}})
    asked = printed(capsys, "ask", str(run), "--json")
    assert (asked["version"], asked["run"], asked["state"]) == (1, str(run), "waiting")
    assert (asked["round"], asked["rounds"], asked["candidates_left"], asked["answered"]) == (1, 2, 4, None)
    question = asked["question"]
    assert question["prompt"].rstrip() == _plain_question(capsys, run).rstrip()
    assert (question["wanted"], question["taken"], question["answers_left"]) == (2, 0, 2)
    assert question["reflection_minimum"] == 0
    assert {"format_exact", "base-rewards-only"} <= set(question["names_taken"])
    assert "re" in question["contract"]["modules"]
    assert question["contract"]["signature"].startswith("def reward(prompt: str, completion: str")
    assert question["contract"]["group_signature"] is None

    again = told(capsys, run, fenced(1, 1))
    assert (again["state"], again["round"], again["candidates_left"]) == ("waiting", 1, 3)
    assert (again["answered"]["complete"], again["answered"]["taken"]) == (False, 1)
    assert [item["reason"] for item in again["answered"]["refused"]] == ["duplicate"]
    assert again["question"]["refused"] == again["answered"]["refused"]
    assert (again["question"]["wanted"], again["question"]["answers_left"]) == (1, 1)

    broken = "name: broken\n```python\ndef reward(prompt, completion, answer):\n    return open('x')\n```\n"
    second = told(capsys, run, broken)
    assert (second["state"], second["round"], second["candidates_left"]) == ("waiting", 2, 2)
    answered = second["answered"]
    assert (answered["round"], answered["complete"], answered["taken"]) == (1, True, 2)
    good, bad = answered["candidates"]
    assert (good["status"], good["reasons"]) == ("screened", [])
    assert 0 <= good["f1"]["low"] <= good["f1"]["value"] <= good["f1"]["high"] <= 1
    assert good["accuracy"]["value"] < good["f1"]["value"]
    assert (bad["name"], bad["status"], bad["f1"]) == ("broken", "rejected", None)
    assert "open" in bad["reasons"][0]
    assert {good["name"], "broken"} <= set(second["question"]["names_taken"])
    assert shlex.split(second["next"])[1:3] == ["tell", str(run)]

    last = told(capsys, run, fenced(3, 4))
    assert (last["state"], last["question"], last["candidates_left"]) == ("finished", None, 0)
    assert len(last["answered"]["candidates"]) == 2
    assert printed(capsys, *shlex.split(last["next"])[1:])[0]["name"]
    assert printed(capsys, "ask", str(run), "--json")["state"] == "finished"


def _plain_question(capsys: pytest.CaptureFixture[str], run: Path) -> str:
    capsys.readouterr()
    assert main(["ask", str(run)]) == 0
    return capsys.readouterr().out


def test_no_scores_are_told_where_the_proposer_is_to_see_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, run = run_search(tmp_path, proposer=MANUAL, search={"feedback": "none"})
    [first, second] = told(capsys, run, fenced(1, 2))["answered"]["candidates"]
    assert first["status"] == second["status"] == "screened"
    assert first["f1"] is first["accuracy"] is second["f1"] is None


def test_states_say_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, run = run_search(tmp_path, proposer=MANUAL)
    with driver_lock(run):
        assert (exchange(run).state, exchange(run).question) == ("running", None)
        assert exchange(run).next == f"reward-search ask {run} --json"
    ledger = Ledger.open(run, write=True)
    ledger.record_fact("question", None)
    ledger.close()
    assert exchange(run).state == "stopped"
    assert main(shlex.split(exchange(run).next)[1:]) == 0
    assert exchange(run).state == "waiting"
    capsys.readouterr()
    assert main(["tell", str(run), "none.md", "--json"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "none.md" in shown.err


def test_a_search_in_which_nothing_was_scored_goes_on_with_another_round(tmp_path: Path) -> None:
    once = {"name": "manual", "options": {"max_follow_ups": 0}}
    _, run = run_search(tmp_path, proposer=once, search={"rounds": 1})
    broken = "name: broken_{}\n```python\ndef reward(prompt, completion, answer):\n    return open('{}')\n```\n"
    assert tell(run, broken.format(1, 1) + broken.format(2, 2)) == 2
    assert exchange(run).next.endswith("--resume --set search.rounds=2")


def test_every_field_is_described() -> None:
    page = (AGENTS / "exchange.md").read_text(encoding="utf-8")
    words = set(re.findall(r"`(\w+)`", page))
    models = [item for item in vars(forms).values() if isinstance(item, type) and issubclass(item, forms._Form)]
    assert len(models) == 8
    assert {name for model in models for name in model.model_fields} <= words
    assert f"`version` is {forms.VERSION}" in page


def blocks(language: str) -> list[str]:
    return re.findall(rf"^(?P<fence>`{{3,}}){language}\n(.*?)^(?P=fence)$", SKILL, flags=re.M | re.S)


def test_the_skill_leads_from_a_fresh_folder_to_an_exported_reward(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the letter, but for sizes and an executor that trains nothing, and in rounds of two candidates."""
    monkeypatch.chdir(tmp_path)
    small = write_config(tmp_path, proposer=MANUAL)
    [(_, example)] = blocks("markdown")
    [module] = re.findall(r"```python\n(.*?)```", example, flags=re.S)
    (tmp_path / "candidate.py").write_text(module, encoding="utf-8")
    commands = [line for _, block in blocks("sh") for line in block.splitlines()]
    assert [shlex.split(command)[1] for command in commands] == [
        *("run", "ask", "validate", "tell", "leaderboard", "report", "export")
    ]
    first = 3  # of the commands that follow the last round
    answers = iter([example + fenced(1), fenced(2, 3)])

    def follow(command: str) -> None:
        words, _, target = command.partition(" > ")
        arguments = shlex.split(words)[1:]
        if arguments[0] == "run":
            arguments[arguments.index("--preset") : arguments.index("--preset") + 2] = ["--config", str(small)]
        if arguments[0] == "tell":
            (tmp_path / "answer.md").write_text(next(answers), encoding="utf-8")
        capsys.readouterr()
        assert main(arguments) == 0, command
        if target:
            (tmp_path / target).write_text(capsys.readouterr().out, encoding="utf-8")

    for command in commands[: first + 1]:
        follow(command)
    answered = json.loads((tmp_path / "told.json").read_text())["answered"]
    assert [item["status"] for item in answered["candidates"]] == ["screened", "screened"]
    assert answered["candidates"][0]["name"] == "sound_and_right"
    assert json.loads((tmp_path / "question.json").read_text())["state"] == "waiting"
    follow(commands[first])
    assert json.loads((tmp_path / "told.json").read_text())["state"] == "finished"
    for command in commands[first + 1 :]:
        follow(command)
    assert (tmp_path / "my_reward" / "reward.py").is_file()
    assert (tmp_path / "report.html").is_file()


def test_the_skill_has_a_name_a_description_and_the_states_that_there_are() -> None:
    head = SKILL.split("---")[1]
    assert re.search(r"^name: reward-search$", head, flags=re.M)
    assert re.search(r"^description: .{40,1000}$", head, flags=re.M)
    assert re.findall(r"^\| `(\w+)` \|", SKILL, flags=re.M) == ["state", "waiting", "running", "stopped", "finished"]
