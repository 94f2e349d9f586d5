"""A user's mistake: exit code 2, one sentence on stderr that names it, and nothing written."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.cli import main
from tests.search.searches import write_config

Search = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Search:
    """Runs a search that must be refused, and returns the sentence."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **changes: Any) -> str:
        config = write_config(tmp_path, **changes)
        before = sorted(tmp_path.rglob("*"))
        code = main(["run", "--config", str(config), "--run-dir", str(tmp_path / "run"), *arguments])
        printed = capsys.readouterr()
        assert code == 2
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        assert "Traceback" not in printed.err
        assert sorted(tmp_path.rglob("*")) == before
        return printed.err

    return run


def test_unknown_key_names_the_field_and_the_nearest_one(refused: Search) -> None:
    error = refused(search={"candidates_per_runde": 3})
    assert "`search.candidates_per_runde`" in error
    assert "'candidates_per_round'" in error


def test_unknown_section(refused: Search) -> None:
    assert "'screening'" in refused(screning={"questions": 3})


def test_wrong_type_names_the_field_and_its_value(refused: Search) -> None:
    error = refused(search={"rounds": "many"})
    assert "`search.rounds` = 'many'" in error
    assert "integer" in error


@pytest.mark.parametrize("value", [True, 2.5, -1])
def test_a_count_that_is_none(refused: Search, value: object) -> None:
    assert "`search.rounds`" in refused(search={"rounds": value})


def test_assignment_of_an_unknown_field(refused: Search) -> None:
    assert "'steps'" in refused("--set", "screening.grpo.stepz=3")


def test_assignment_without_a_value(refused: Search) -> None:
    assert "field=value" in refused("--set", "seed")


def test_unknown_ensemble(refused: Search) -> None:
    assert "'best-3'" in refused(finals={"ensembles": ["best-3"]})


def test_unknown_proposer_names_the_nearest(refused: Search) -> None:
    assert "'evolve'" in refused(proposer={"name": "evolv"})


def test_unknown_proposer_option(refused: Search) -> None:
    assert "question" in refused(proposer={"name": "manual", "options": {"question": 3}})


def test_unknown_executor(refused: Search) -> None:
    assert "local" in refused(executor={"name": "lokal"})


def test_unknown_task_names_the_nearest(refused: Search) -> None:
    assert "'testbed'" in refused(task={"name": "testbet", "options": {}})


def test_missing_model_folder(refused: Search) -> None:
    assert "`base_model` = './no-such-model'" in refused(base_model="./no-such-model")


def test_folder_without_a_model(refused: Search, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "config.json" in refused(base_model="./empty")


def test_missing_task_file(refused: Search) -> None:
    assert "none.jsonl" in refused(task={"name": "gsm8k", "options": {"source": "./none.jsonl"}})


def test_no_api_key(refused: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert "OPENAI_API_KEY" in refused(proposer={"name": "litellm", "options": {"models": "openai/gpt-4o"}})


def test_more_reflections_than_candidates(refused: Search) -> None:
    assert "reflection_minimum" in refused(search={"reflection_minimum": 9})


def test_unknown_base_reward(refused: Search) -> None:
    assert "answer_check" in refused(search={"base_rewards": ["answer_chek"]})


def test_empty_split(refused: Search) -> None:
    assert "validation" in refused(
        task={"name": "tests.search.config.test_bad_input:task_without_validation", "options": {}}
    )


def test_a_file_that_is_not_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text("a: [1", encoding="utf-8")
    assert main(["run", "--config", str(tmp_path / "bad.yaml"), "--run-dir", str(tmp_path / "run")]) == 2
    assert "not valid YAML" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_missing_configuration_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--config", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_no_configuration_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 2
    assert "--preset" in capsys.readouterr().err


def test_unknown_preset_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--preset", "testbed-quik"]) == 2
    assert "'testbed-quick'" in capsys.readouterr().err


def test_a_run_directory_that_exists_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_config(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").write_text("mine", encoding="utf-8")
    assert main(["run", "--config", str(config), "--run-dir", str(tmp_path / "run")]) == 2
    assert "exists already" in capsys.readouterr().err
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["precious"]


@pytest.mark.parametrize("command", ["status", "leaderboard", "report", "ask"])
def test_a_folder_without_a_run(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(tmp_path)]) == 2
    assert "holds no search" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_resume_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--resume", "--run-dir", str(tmp_path / "none")]) == 2
    assert "holds no search" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_ledger_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ledger.sqlite").write_text("no database " * 100, encoding="utf-8")
    assert main(["status", str(tmp_path)]) == 2
    assert "no SQLite file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "No such command 'rnu'"),
        (["run", "--resum"], "No such option"),
        (["leaderboard"], "Missing argument"),
        (["leaderboard", "x", "--format", "xml"], "xml"),
        (["run", "--resume"], "--run-dir"),
    ],
)
def test_usage_errors_are_one_sentence(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.count("\n") == 1


class _EmptyValidation:
    def __init__(self) -> None:
        from eval.tasks.base import TaskReference
        from eval.tasks.registry import build_task

        self.inner = build_task(TaskReference(name="testbed", options={"train": 4, "validation": 4, "test": 4}))
        self.reference = self.inner.reference
        self.description = self.inner.description

    def examples(self, split: str, limit: int | None = None) -> list[Any]:
        return [] if split == "validation" else list(self.inner.examples(split, limit))  # type: ignore[arg-type]


def task_without_validation(options: dict[str, Any]) -> _EmptyValidation:
    return _EmptyValidation()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"search": {"contracts": []}}, "`search.contracts`"),
        ({"search": {"contracts": ["batch"]}}, "`search.contracts"),
        (
            {"search": {"contracts": ["group"]}, "proposer": {"name": "evolve"}},
            "add completion, or choose another proposer",
        ),
        (
            {"search": {"contracts": ["completion", "group"], "base_rollouts": {"per_question": 1}}},
            "per_question = 1 has none to try them on",
        ),
        (
            {
                "search": {"contracts": ["completion", "group"]},
                "screening": {"algorithm": {"name": "multilayer", "options": {"group": "question"}}},
            },
            "`search.contracts` lets rewards see all completions of one prompt",
        ),
    ],
)
def test_contracts_that_nothing_could_follow(refused: Search, changes: dict[str, Any], said: str) -> None:
    assert said in refused(**changes)


def test_what_needs_a_package_or_another_engine_is_said_before_anything_runs(
    refused: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.engines.policy.find_spec", lambda name: None)
    assert "needs the package bitsandbytes" in refused(hardware={"quantization": "4bit"})
    monkeypatch.setattr("eval.engines.policy.find_spec", lambda name: "there")
    said = refused(hardware={"quantization": "4bit"}, engine={"name": "vllm"})
    assert "goes with engine.name = transformers alone" in said


def test_a_server_that_is_not_there_is_said_before_anything_runs(refused: Search) -> None:
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        said = refused(engine={"name": "vllm", "options": {"server": address}})
    assert f"engine.options.server = '{address}' does not answer" in said
    assert "neither 'start' nor an address" in refused(engine={"name": "vllm", "options": {"server": "localhost"}})
