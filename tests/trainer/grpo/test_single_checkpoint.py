"""A single GRPO run that is interrupted goes on from its checkpoint: bitwise the run that never was."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from eval.tasks.registry import build_task
from rewards_generated.ensemble import Member
from rewards_generated.scorer import EnsembleScorer
from tests.trainer.tiny import COUNTS_SO, train_job, write_policy
from trainer.grpo.single import GrpoRun
from trainer.grpo.single_checkpoint import KEPT_FILE, last_checkpoint
from trainer.jobs.train import LoraSettings, TrainJob
from trainer.multilayer.scoring import scoring_for
from trainer.multilayer.settings import MultilayerSettings
from trainer.policy import load_base_policy

STEPS, KILLED_AFTER = 6, 4


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


def run(job: TrainJob, folder: Path, killed_after: int | None = None, steps: list[int] | None = None) -> dict[str, Any]:
    """Curves, statistics, samples and a hash of the weights; or Killed, once that step is over. `steps` receives the
    steps that were made."""
    folder.mkdir(exist_ok=True)
    task = build_task(job.task)
    with EnsembleScorer(job.ensemble, job.sandbox) as scorer:
        scoring = scoring_for(job, scorer, task)
        policy = load_base_policy(job.base_model, job.hardware)
        started = GrpoRun(job, policy, task, scoring, folder, checkpoint_seconds=0.0)
        rollouts = started._trainer._rollouts

        def until_killed(model: Any, prompts: Any, step: int, **layer: int) -> Any:
            if killed_after is not None and step > killed_after:
                raise Killed
            if steps is not None:
                steps.append(step)
            return rollouts(model, prompts, step, **layer)

        started._trainer._rollouts = until_killed
        started.train()
    started.save(folder / "adapter")
    weights = next((folder / "adapter").glob("*.safetensors"))
    return {
        "curves": started.curves,
        "statistics": scoring.statistics(),
        "samples": scoring.samples,
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"lora": LoraSettings(rank=4, alpha=8, dropout=0.2)},
        {"tuning": "full", "grpo": {"steps": STEPS, "learning_rate": 1e-3, "beta": 0.1}},
        {"grpo": {"steps": STEPS, "beta": 0.1, "completions_per_forward": 4}},
        {"algorithm": "multilayer", "multilayer": MultilayerSettings(updates="alternating")},
    ],
    ids=["lora with dropout", "full with a KL term", "accumulated with a KL term", "two layers in turn"],
)
def test_a_resumed_run_is_bitwise_the_uninterrupted_one(base: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    members = (Member(name="format_approximate"), Member(name="counts", code=COUNTS_SO))
    job = train_job(base, *members, **{"grpo": {"steps": STEPS}, **changes})
    whole = run(job, tmp_path / "whole")
    assert not (tmp_path / "whole" / "trainer").exists()
    with pytest.raises(Killed):
        run(job, tmp_path / "halved", KILLED_AFTER)
    kept = last_checkpoint(tmp_path / "halved" / "trainer", job.digest)
    assert kept is not None
    assert kept.name == f"checkpoint-{KILLED_AFTER}"
    # The newest checkpoint may have been half written: then the one before it holds.
    (kept / KEPT_FILE).unlink()
    before = last_checkpoint(tmp_path / "halved" / "trainer", job.digest)
    assert before is not None
    assert before.name == f"checkpoint-{KILLED_AFTER - 1}"
    steps: list[int] = []
    assert run(job, tmp_path / "halved", steps=steps) == whole
    assert sorted(set(steps)) == list(range(KILLED_AFTER, STEPS + 1))
    assert not (tmp_path / "halved" / "trainer").exists()


def test_without_room_on_the_disk_there_is_no_checkpoint(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.grpo.single_checkpoint.BYTES_PER_PARAMETER", 10**15)
    job = train_job(base, grpo={"steps": 3})
    with pytest.raises(Killed):
        run(job, tmp_path / "run", 2)
    assert last_checkpoint(tmp_path / "run" / "trainer", job.digest) is None


def test_a_checkpoint_of_another_job_is_left_alone(base: Path, tmp_path: Path) -> None:
    job = train_job(base, grpo={"steps": 3})
    with pytest.raises(Killed):
        run(job, tmp_path / "run", 2)
    assert last_checkpoint(tmp_path / "run" / "trainer", job.digest) is not None
    assert last_checkpoint(tmp_path / "run" / "trainer", job.model_copy(update={"seed": 9}).digest) is None
