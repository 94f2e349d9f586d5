"""`reward-search pipeline`: presets, what is refused, and that kill -9 within a stage changes nothing."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search.cli import main
from search.config.source import overlaid, parse_as, preset_names
from search.driver.pipeline import PIPELINE_PRESETS
from search.executors.local import LocalExecutor
from tests.trainer.pipeline.tiny import tiny_pipeline, write_pairs
from tests.trainer.tiny import write_policy
from trainer.pipeline.description import Pipeline
from trainer.pipeline.jobs import sft_job
from trainer.pipeline.run import check, run_pipeline

NOTHING_PAID = [
    part for name in ("accuracy", "format", "four_family_reflection") for part in ("--set", f"grpo.rewards.{name}=0")
]


def described(name: str, *assignments: str) -> Pipeline:
    return parse_as(Pipeline, overlaid(name, None, assignments, {}, PIPELINE_PRESETS))


def test_presets_are_whole_but_for_what_the_paper_leaves_open() -> None:
    assert preset_names(PIPELINE_PRESETS) == ["paper-reflection", "testbed", "testbed-quick"]
    for name in ("testbed", "testbed-quick"):
        check(described(name))
    paper = described("paper-reflection", "base_model=any")
    assert (paper.sft.learning_rate, paper.sft.lora.rank, paper.sft.lora.alpha) == (5e-4, 16, 64)
    grpo = paper.grpo.settings
    assert (grpo.steps, grpo.generations, grpo.beta, grpo.temperature) == (58, 7, 0.04, 0.9)


def test_the_plan_is_checked_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = ["pipeline", "--preset", "testbed", "--to", str(tmp_path / "x"), "--dry-run"]
    assert main(plan) == 0
    out = capsys.readouterr().out
    assert "sft: lora, 60 steps of 16 pairs" in out
    assert "1,280 completions; rewards accuracy x 1" in out  # 40 steps of 8 prompts with 4 completions
    assert "4,500 greedy answers, of base, sft, grpo to 3 suites" in out
    assert main([*plan, "--set", "sft.tuning=none"]) == 0
    out = capsys.readouterr().out
    assert "sft:" not in out
    assert "3,000 greedy answers, of base, grpo" in out
    assert main([*plan, "--set", "grpo.rewards={acuracy: 1}"]) == 2
    assert "did you mean 'accuracy'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "x"], "say what to train with a YAML file or --preset (paper-reflection, testbed, testbed-quick)"),
        (["--to", "x", "--preset", "testbedd"], "did you mean 'testbed'"),
        (["--to", "x", "--preset", "paper-reflection"], "`base_model` is missing"),
        (["--to", "x", "--preset", "testbed", "--set", "grpo.rewards=[]"], "`grpo.rewards` = []"),
        (["--to", "x", "--preset", "testbed", *NOTHING_PAID], "at least one reward with a weight other than 0"),
        (["--to", "x", "--preset", "testbed", "--set", "base_model=./nowhere"], "there is no folder"),
        (["--to", "x", "--resume"], "holds no pipeline"),
    ],
)
def test_what_cannot_run_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["pipeline", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_fields_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--pipeline"]) == 0
    listed = capsys.readouterr().out
    assert "sft.tuning = 'lora'" in listed
    assert "grpo.settings.steps = (required)" in listed


@pytest.mark.slow
def test_the_executor_fine_tunes_in_a_process_of_its_own(tmp_path: Path) -> None:
    pipeline = tiny_pipeline(write_policy(tmp_path / "base"), write_pairs(tmp_path / "pairs.jsonl"))
    job = sft_job(pipeline)
    (done,) = LocalExecutor().run([job], tmp_path / "jobs")
    assert done.result.failure is None
    assert done.result.digest == job.digest
    assert done.result.trained_parameters == 2 * 4 * (2 * (32 + 32) + 2 * (32 + 16) + 3 * (32 + 64))
    assert (done.folder / "policy" / "model.safetensors").is_file()
    before = (done.folder / "result.json").stat().st_mtime_ns
    (again,) = LocalExecutor().run([job], tmp_path / "jobs")
    assert again.result == done.result
    assert (done.folder / "result.json").stat().st_mtime_ns == before


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_kill_9_within_a_stage_changes_nothing(tmp_path: Path, stage: str) -> None:
    pairs, base = write_pairs(tmp_path / "pairs.jsonl"), write_policy(tmp_path / "base")
    pipeline = tiny_pipeline(
        base,
        pairs,
        sft={"steps": 60, "checkpoint_steps": 10},
        grpo={"settings": {**tiny_pipeline(base, pairs).grpo.settings.model_dump(mode="json"), "steps": 30}},
    )
    config = tmp_path / "pipeline.yaml"
    config.write_text(pipeline.model_dump_json())  # JSON is YAML
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    assert run_pipeline(pipeline, whole).failure is None
    command = [sys.executable, "-m", "search.cli", "pipeline", "--to", str(killed)]
    process = subprocess.Popen([*command, str(config)], start_new_session=True)
    begun = (killed / "sft" / "adapter" / "checkpoints") if stage == "sft" else (killed / "grpo" / "log.txt")
    deadline = time.monotonic() + 240
    while not (begun.is_dir() and any(begun.iterdir())) and not (begun.is_file() and "step 10" in begun.read_text()):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / stage / "result.json").exists()
    assert subprocess.run([*command, "--resume"], check=False).returncode == 0
    for place in ("sft/policy", "grpo/policy"):
        found = [
            hashlib.sha256((run / place / "model.safetensors").read_bytes()).hexdigest() for run in (whole, killed)
        ]
        assert found[0] == found[1], place
