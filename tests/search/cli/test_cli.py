"""The command line: quick, with help and an example everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from search.cli import COMMANDS, load, main

HEAVY = ("torch", "transformers", "litellm", "trl", "datasets", "pydantic", "rich", "numpy", "scipy", "yaml", "libcst")


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_help_lists_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    out = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom search.cli import main\nmain(['--help'])\n"
        f"print('LOADED', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Example" in out
    assert f"reward-search {name}" in out


def test_every_subcommand_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        for subcommand in getattr(load(name), "commands", {}):
            assert main([name, subcommand, "--help"]) == 0
            out = capsys.readouterr().out
            assert "Example" in out
            assert f"reward-search {name} {subcommand}" in out


@pytest.mark.parametrize("hidden", ["trainer.py", "eval/__init__.py"])
def test_a_user_s_own_package_of_our_name_is_said(tmp_path: Path, hidden: str) -> None:
    """`python -m search.cli` puts the working folder first on the path."""
    ours = tmp_path / "ours"
    ours.mkdir()
    file = tmp_path / hidden
    file.parent.mkdir(exist_ok=True)
    file.write_text("raise SystemExit('not ours')")
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"}
    command = [sys.executable, "-P", "-m", "search.cli", "doctor"]
    done = subprocess.run(command, env=environment, cwd=ours, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "hides reward-search's own package" in done.stderr
    assert str(file) in done.stderr or str(file.parent) in done.stderr
    assert done.stderr.count("\n") == 1


def test_version_and_short_help_and_near_misses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"reward-search {version('reward-search')}\n"
    assert main(["-h"]) == 0
    assert "--version" in capsys.readouterr().out
    assert main(["study", "feedback", "-h"]) == 0
    assert "-h, --help" in capsys.readouterr().out
    assert main(["lederboard"]) == 2
    assert "did you mean 'leaderboard'? See `reward-search --help`." in capsys.readouterr().err
    assert main(["testbed", "biuld"]) == 2
    assert "Did you mean 'build'? See" in capsys.readouterr().err
    assert main(["run", "--presett", "testbed"]) == 2
    assert "Possible options: --preset" in capsys.readouterr().err
    assert main(["config", "--proposer", "litelm"]) == 2
    assert "did you mean 'litellm'?" in capsys.readouterr().err
    given = ["--set", "proposer.name=litellm", "--set", "proposer.options.budgetusd=3"]
    assert main(["run", "--preset", "testbed-quick", *given, "--dry-run"]) == 2
    assert "did you mean 'budget_usd'?" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["run"], ["study", "feedback"]])
def test_a_plan_is_checked_before_a_word_of_it_is_printed(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    preset = ["--preset", "testbed-quick"] if command == ["run"] else []
    assert main([*command, *preset, "--set", "proposer.name=litelm", "--dry-run"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
