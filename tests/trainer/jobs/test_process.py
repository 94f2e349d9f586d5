"""A job from its folder to its result: whole, repeatable, and failed in words."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.sandbox.settings import SandboxSettings
from tests.trainer.tiny import COUNTS_SO, TASK, train_job, write_policy
from trainer.jobs.evaluate import EvaluationJob, EvaluationResult
from trainer.jobs.folder import write_atomically
from trainer.jobs.process import read_job, run
from trainer.jobs.train import EvaluationRequest, LoraSettings, TrainJob, TrainResult

VALIDATION = EvaluationRequest(split="validation", limit=15, max_completion_tokens=12, batch_size=4)
MEMBERS = (Member(name="format_approximate"), Member(name="counts", code=COUNTS_SO, weight=2.0))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


def trained(job: TrainJob, folder: Path) -> TrainResult:
    folder.mkdir()
    write_atomically(folder / "job.json", job)
    result = run(folder)
    assert isinstance(result, TrainResult)
    assert TrainResult.model_validate_json((folder / "result.json").read_bytes()) == result
    return result


def adapter_bytes(folder: Path) -> str:
    return hashlib.sha256((folder / "adapter" / "adapter_model.safetensors").read_bytes()).hexdigest()


def test_a_job_from_the_command_line_gives_adapter_curves_samples_and_predictions(base: Path, tmp_path: Path) -> None:
    job = train_job(base, *MEMBERS, evaluation=VALIDATION)
    write_atomically(tmp_path / "job.json", job)
    command = [sys.executable, "-m", "trainer.jobs.process", str(tmp_path)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    result = TrainResult.model_validate_json((tmp_path / "result.json").read_bytes())
    assert result.failure is None
    assert result.digest == job.digest
    assert [entry["step"] for entry in result.curves] == [1, 2, 3]
    assert [(reward.name, reward.calls, reward.failures) for reward in result.rewards] == [
        ("format_approximate", 24, 0),
        ("counts", 24, 0),
    ]
    assert len(result.predictions) == 15
    assert [item.id for item in result.predictions[:2]] == ["validation-5-0", "validation-5-1"]
    for sample in result.samples:
        assert sample.scores["counts"] == sample.completion.split().count("so")
        assert sample.total == sample.scores["format_approximate"] + 2 * sample.scores["counts"]  # type: ignore[operator]
    assert {"start", "train", "generate", "score", "evaluate"} <= result.seconds.keys()
    assert (tmp_path / "adapter" / "adapter_config.json").is_file()
    log = (tmp_path / "log.txt").read_text()
    assert "step 3/3" in log
    assert "Traceback" not in log
    assert "it/s" not in log

    # The same job again, in another process: the same bits.
    again = trained(job, tmp_path / "again")
    assert adapter_bytes(tmp_path) == adapter_bytes(tmp_path / "again")
    assert again.predictions == result.predictions
    assert again.curves == result.curves
    assert again.samples == result.samples


def test_the_first_step_of_a_seed_is_the_same_for_every_reward(base: Path, tmp_path: Path) -> None:
    """Same prompts in the same order, and, as long as the policies agree, the same completions."""
    one = trained(train_job(base), tmp_path / "a")
    two = trained(train_job(base, *MEMBERS), tmp_path / "b")
    other_seed = trained(train_job(base, seed=2), tmp_path / "c")

    def first(result: TrainResult) -> list[tuple[str, str]]:
        return [(sample.prompt, sample.completion) for sample in result.samples if sample.step == 1][:1]

    def prompts(result: TrainResult) -> dict[int, str]:
        return {sample.step: sample.prompt for sample in reversed(result.samples)}

    assert first(one) == first(two) != first(other_seed)
    assert prompts(one) == prompts(two) != prompts(other_seed)
    assert one.curves[0]["completion_tokens"] == two.curves[0]["completion_tokens"]
    assert one.curves[2] != two.curves[2]


def test_the_adapter_loads_in_plain_peft(base: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    trained(train_job(base, lora=LoraSettings(rank=3, alpha=6, target_modules=("q_proj",))), tmp_path / "job")
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "job" / "adapter")
    assert list(model.peft_config) == ["default"]
    shapes = {name: tuple(tensor.shape) for name, tensor in model.named_parameters() if "lora_A" in name}
    assert len(shapes) == 2
    assert all("q_proj" in name and shape == (3, 32) for name, shape in shapes.items())
    assert any(tensor.any() for name, tensor in model.named_parameters() if "lora_B" in name)


def test_full_tuning_leaves_a_model_that_evaluates_to_the_same_predictions(base: Path, tmp_path: Path) -> None:
    result = trained(
        train_job(base, *MEMBERS, tuning="full", evaluation=VALIDATION, grpo={"learning_rate": 1e-3}),
        tmp_path / "job",
    )
    assert result.failure is None
    folder = str(tmp_path / "job" / "adapter")
    as_adapter, as_base = (
        evaluated(base_model, adapter, tmp_path / name)
        for base_model, adapter, name in ((str(base), folder, "x"), (folder, None, "y"))
    )
    assert as_adapter.predictions[0] == as_base.predictions[0] == result.predictions
    untrained = evaluated(str(base), None, tmp_path / "z")
    assert untrained.predictions[0] != result.predictions


def evaluated(base_model: str, adapter: str | None, folder: Path, **changes: Any) -> EvaluationResult:
    fields = {
        "label": "evaluation",
        "base_model": base_model,
        "task": TASK,
        "adapters": (adapter,),
        "split": "validation",
        "limit": 15,
        "max_completion_tokens": 12,
        "batch_size": 4,
        "hardware": {"device": "cpu"},
        **changes,
    }
    folder.mkdir()
    write_atomically(folder / "job.json", EvaluationJob.model_validate(fields))
    result = run(folder)
    assert isinstance(result, EvaluationResult)
    return result


def test_an_evaluation_job_repeats_the_predictions_of_the_training_job(base: Path, tmp_path: Path) -> None:
    result = trained(train_job(base, *MEMBERS, evaluation=VALIDATION), tmp_path / "job")
    adapter = str(tmp_path / "job" / "adapter")
    both = evaluated(str(base), adapter, tmp_path / "e", adapters=(None, adapter))
    assert both.failure is None
    assert both.predictions[1] == result.predictions
    assert both.predictions[0] != result.predictions


def test_sampled_rollouts_are_repeatable_and_differ_within_a_question(base: Path, tmp_path: Path) -> None:
    sampled = {"temperature": 1.0, "samples_per_question": 4, "limit": 5, "seed": 7}
    one = evaluated(str(base), None, tmp_path / "a", **sampled).predictions[0]
    assert one == evaluated(str(base), None, tmp_path / "b", **sampled).predictions[0]
    assert one != evaluated(str(base), None, tmp_path / "c", **{**sampled, "seed": 8}).predictions[0]
    assert [item.id for item in one[::4]] == [f"validation-5-{b}" for b in range(5)]
    assert all(len({item.completion for item in one[start : start + 4]}) > 1 for start in range(0, 20, 4))


def test_a_reward_that_always_raises_leaves_the_run_unscored(base: Path, tmp_path: Path) -> None:
    code = "def reward(prompt: str, completion: str, answer: str) -> float:\n    raise ValueError('no luck')\n"
    job = train_job(base, Member(name="format_exact"), Member(name="bad", code=code), evaluation=VALIDATION)
    result = trained(job, tmp_path / "job")
    assert result.failure is not None
    assert result.failure.startswith("reward bad failed in 8 of 8 calls")
    assert "no luck" in result.failure
    assert result.adapter is None
    assert result.predictions == ()
    assert not (tmp_path / "job" / "adapter").exists()


def test_a_reward_that_never_ends_leaves_the_run_unscored(base: Path, tmp_path: Path) -> None:
    code = "def reward(prompt: str, completion: str, answer: str) -> float:\n    while True:\n        pass\n"
    sandbox = SandboxSettings(batch_seconds=0.3)
    result = trained(train_job(base, Member(name="endless", code=code), sandbox=sandbox), tmp_path / "job")
    assert result.failure is not None
    assert result.failure.startswith("reward endless failed in 8 of 8 calls")
    assert result.predictions == ()


def test_weights_that_stop_being_finite_leave_the_run_unscored(base: Path, tmp_path: Path) -> None:
    job = train_job(base, *MEMBERS, evaluation=VALIDATION, grpo={"learning_rate": 1e30, "warmup_fraction": 0.0})
    result = trained(job, tmp_path / "job")
    assert result.failure is not None
    assert "finite" in result.failure or "diverged" in result.failure
    assert result.predictions == ()


def test_a_users_mistake_is_the_failure_of_the_job(tmp_path: Path) -> None:
    result = trained(train_job(tmp_path / "nowhere"), tmp_path / "job")
    assert result.failure is not None
    assert "there is no such folder" in result.failure


def test_a_folder_without_a_valid_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_job(tmp_path)
    (tmp_path / "job.json").write_text('{"kind": "train", "label": "x"}')
    with pytest.raises(UserError, match="is no job"):
        read_job(tmp_path)
    process = subprocess.run(
        [sys.executable, "-m", "trainer.jobs.process", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert process.returncode == 2
    assert "is no job" in process.stderr
    assert "Traceback" not in process.stderr
    assert not (tmp_path / "result.json").exists()


def test_digests_name_the_content_and_not_the_label(base: Path) -> None:
    job = train_job(base)
    assert job.digest == job.model_copy(update={"label": "other"}).digest
    assert job.digest != train_job(base, seed=2).digest
    renamed = Ensemble(name="tiny", members=(Member(name="format_approximate", weight=2.0),))
    assert job.digest != train_job(base, ensemble=renamed).digest
