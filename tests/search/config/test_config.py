"""Presets, files and assignments; the digest; the help of every field."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eval.tasks.registry import task_names, task_options
from rewards_generated.errors import UserError
from search.cli import main
from search.config.plan import plan
from search.config.source import fields, load_config, parse_config, preset_names, require_same
from tests.search.searches import small_config


@pytest.mark.parametrize("name", preset_names())
def test_presets_load(name: str) -> None:
    named = ["base_model=any"] if name == "paper-mgrpo" else []
    assert load_config(name, None, named).name == name


def test_the_sizes_that_the_presets_promise() -> None:
    quick, full, paper = load_config("testbed-quick"), load_config("testbed"), load_config("paper")
    assert (quick.search.rounds, quick.search.candidates_per_round, quick.screening.grpo.steps) == (2, 4, 30)
    assert (plan(quick).retrainings, quick.finals.seeds) == (6, 1)  # the base rewards alone three times
    assert (full.search.rounds, full.search.candidates_per_round, full.screening.grpo.steps) == (5, 10, 40)
    assert (full.screening.questions, full.finals.test_questions, full.finals.seeds) == (500, 2000, 3)
    assert {"top-10", "correctness-family", "diverse-rounds", "decorrelated-5", "greedy"} < set(full.finals.ensembles)
    # Eight ensembles, one of them once more at other steps, the base rewards alone, six random draws; three seeds each.
    assert (full.finals.random_controls.pool, plan(full).retrainings) == (5, 16 * 3)
    assert plan(full).greedy_runs == 5 * 3 * 2
    grpo = paper.screening.grpo
    assert (paper.search.rounds, paper.search.candidates_per_round, grpo.steps) == (5, 10, 500)
    assert grpo.prompts_per_step * grpo.generations == 4
    assert (grpo.learning_rate, grpo.weight_decay, grpo.warmup_fraction) == (5e-6, 0.1, 0.1)
    assert (grpo.learning_rate_schedule, grpo.optimizer, grpo.max_completion_tokens) == ("cosine", "adamw_8bit", 256)
    assert (paper.screening.lora.rank, paper.screening.lora.alpha, paper.seed) == (32, 32, 3407)
    assert (paper.finals.test_questions, paper.finals.other_steps) == (1319, 300)


def test_file_over_preset_and_assignment_over_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("seed: 5\nsearch:\n  rounds: 7\n", encoding="utf-8")
    config = load_config("testbed-quick", tmp_path / "mine.yaml", ["search.rounds=8", "screening.grpo.beta=4e-2"])
    assert (config.seed, config.search.rounds, config.search.candidates_per_round) == (5, 8, 4)
    assert config.screening.grpo.beta == 0.04


def test_numbers_without_a_point_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("screening: {grpo: {learning_rate: 5e-6}}", encoding="utf-8")
    assert load_config("testbed-quick", tmp_path / "mine.yaml").screening.grpo.learning_rate == 5e-6


def test_another_name_drops_the_options_of_the_old_one() -> None:
    config = load_config("paper", None, ["proposer.name=evolve"])
    assert config.proposer.options == {}


def test_the_digest_is_the_same_in_every_process() -> None:
    here = load_config("testbed").digest
    for seed in ("1", "2"):
        there = subprocess.run(
            [
                sys.executable,
                "-c",
                "from search.config.source import load_config; print(load_config('testbed').digest)",
            ],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.strip() == here


def test_every_changed_field_is_named() -> None:
    before = load_config("testbed")
    after = load_config("testbed", None, ["seed=4", "gate.scale_ratio=3.5", "screening.grpo.steps=41"])
    assert before.digest != after.digest
    with pytest.raises(UserError, match=r"`gate\.scale_ratio`, `screening\.grpo\.steps`, `seed` changed"):
        require_same(before.plain(), after.plain(), "the folder", "a new search")
    require_same(before.plain(), before.plain(), "the folder", "a new search")


def test_a_configuration_survives_the_ledger() -> None:
    config = parse_config(small_config())
    assert parse_config(config.plain()) == config


def test_every_field_of_the_search_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    ours = list(fields())
    assert len(ours) > 50
    missing = [path for path, field in ours if not field.description]
    assert not missing
    assert main(["config", "--preset", "testbed"]) == 0
    out = capsys.readouterr().out
    assert "search.rounds = 5" in out
    assert "Rounds of propose" in out


def test_help_of_a_proposers_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--proposer", "litellm"]) == 0
    assert "proposer.options.budget_usd" in capsys.readouterr().out


def test_help_of_a_tasks_options(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert main(["config", "--task", "gpqa-diamond"]) == 0
    out = capsys.readouterr().out
    assert "task.options.choices_seed = 0\n    Decides the order" in out
    assert "task.options.source = 'Idavidrein/gpqa'" in out
    assert main(["config", "--task", "jsonl"]) == 0
    assert "task.options.train = (required)\n    Path" in capsys.readouterr().out
    assert main(["config", "--task", "gsm8m"]) != 0
    assert "did you mean 'gsm8k'" in capsys.readouterr().err
    (tmp_path / "riddles_without_options.py").write_text("def build(options): ...")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["config", "--task", "riddles_without_options:build"]) != 0
    assert "declares no options: give its builder" in capsys.readouterr().err


@pytest.mark.parametrize("task", task_names())
def test_every_option_of_every_task_has_help(task: str) -> None:
    options = task_options(task)
    assert options is not None
    assert [path for path, field in fields(options) if not field.description] == []


def test_a_missing_field_is_named() -> None:
    values = small_config()
    del values["screening"]["grpo"]["steps"]
    with pytest.raises(UserError, match=r"`screening.grpo.steps` is missing"):
        parse_config(values)
