"""A job from its folder to its result: whole, repeatable, and failed in words."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eval.prediction import Prediction
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.sandbox.settings import SandboxSettings
from tests.trainer.tiny import COUNTS_SO, TASK, ran, trained, training_run, write_policy
from trainer.jobs.evaluate import EvaluateJob, EvaluateResult
from trainer.jobs.folder import write_model
from trainer.jobs.registry import read_job
from trainer.jobs.settings import LoraSettings
from trainer.jobs.train import EvaluationRequest, RunResult, TrainingRun, TrainJob, TrainResult, member_folder

VALIDATION = EvaluationRequest(split="validation", limit=15, max_completion_tokens=12, batch_size=4)
MEMBERS = (Member(name="format_approximate"), Member(name="counts", code=COUNTS_SO, weight=2.0))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


def adapter_bytes(run: TrainingRun, folder: Path) -> str:
    return hashlib.sha256(
        (member_folder(folder, run) / "adapter" / "adapter_model.safetensors").read_bytes()
    ).hexdigest()


def test_a_job_from_the_command_line_gives_adapter_curves_samples_and_predictions(base: Path, tmp_path: Path) -> None:
    job = training_run(base, *MEMBERS, evaluation=VALIDATION)
    write_model(tmp_path / "job.json", TrainJob.of(job))
    command = [sys.executable, "-P", "-m", "trainer.jobs.process", str(tmp_path)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    whole = TrainResult.model_validate_json((tmp_path / "result.json").read_bytes())
    [result] = whole.members
    assert whole.memory["resident"] > 2**20
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
    assert (member_folder(tmp_path, job) / "adapter" / "adapter_config.json").is_file()
    log = (tmp_path / "log.txt").read_text()
    assert "step 3/3" in log
    assert "Traceback" not in log
    assert "it/s" not in log

    # The same job again, in another process: the same bits.
    again = trained(job, tmp_path / "again")
    assert adapter_bytes(job, tmp_path) == adapter_bytes(job, tmp_path / "again")
    assert again.predictions == result.predictions
    assert again.curves == result.curves
    assert again.samples == result.samples


def test_the_first_step_of_a_seed_is_the_same_for_every_reward(base: Path, tmp_path: Path) -> None:
    """Same prompts in the same order, and, as long as the policies agree, the same completions."""
    one = trained(training_run(base), tmp_path / "a")
    two = trained(training_run(base, *MEMBERS), tmp_path / "b")
    other_seed = trained(training_run(base, seed=2), tmp_path / "c")

    def first(result: RunResult) -> list[tuple[str, str]]:
        return [(sample.prompt, sample.completion) for sample in result.samples if sample.step == 1][:1]

    def prompts(result: RunResult) -> dict[int, str]:
        return {sample.step: sample.prompt for sample in reversed(result.samples)}

    assert first(one) == first(two) != first(other_seed)
    assert prompts(one) == prompts(two) != prompts(other_seed)
    assert one.curves[0]["completion_tokens"] == two.curves[0]["completion_tokens"]
    assert one.curves[2] != two.curves[2]


def test_the_adapter_loads_in_plain_peft(base: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    job = training_run(base, lora=LoraSettings(rank=3, alpha=6, target_modules=("q_proj",)))
    trained(job, tmp_path / "job")
    adapter = member_folder(tmp_path / "job", job) / "adapter"
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    assert list(model.peft_config) == ["default"]
    shapes = {name: tuple(tensor.shape) for name, tensor in model.named_parameters() if "lora_A" in name}
    assert len(shapes) == 2
    assert all("q_proj" in name and shape == (3, 32) for name, shape in shapes.items())
    assert any(tensor.any() for name, tensor in model.named_parameters() if "lora_B" in name)


def test_full_tuning_leaves_a_model_that_evaluates_to_the_same_predictions(base: Path, tmp_path: Path) -> None:
    job = training_run(base, *MEMBERS, tuning="full", evaluation=VALIDATION, grpo={"learning_rate": 1e-3})
    result = trained(job, tmp_path / "job")
    assert result.failure is None
    folder = str(member_folder(tmp_path / "job", job) / "adapter")
    as_adapter, as_base = (
        evaluated(base_model, adapter, tmp_path / name)
        for base_model, adapter, name in ((str(base), folder, "x"), (folder, None, "y"))
    )
    assert as_adapter[0] == as_base[0] == result.predictions
    untrained = evaluated(str(base), None, tmp_path / "z")
    assert untrained[0] != result.predictions


def evaluated(
    base_model: str, adapter: str | None, folder: Path, questions: int = 15, **changes: Any
) -> list[tuple[Prediction, ...]]:
    """The predictions of each adapter."""
    fields = {
        "label": "evaluation",
        "base_model": base_model,
        "adapters": (adapter,),
        "suites": {"sums": {"task": TASK, "split": "validation", "questions": questions}},
        "max_completion_tokens": 12,
        "batch_size": 4,
        "hardware": {"device": "cpu"},
        **changes,
    }
    result = ran(EvaluateJob.model_validate(fields), folder)
    assert isinstance(result, EvaluateResult)
    assert result.failure is None
    return [found["sums"] for found in result.predictions]


def test_an_evaluation_job_repeats_the_predictions_of_the_training_job(base: Path, tmp_path: Path) -> None:
    job = training_run(base, *MEMBERS, evaluation=VALIDATION)
    result = trained(job, tmp_path / "job")
    adapter = str(member_folder(tmp_path / "job", job) / "adapter")
    both = evaluated(str(base), adapter, tmp_path / "e", adapters=(None, adapter))
    assert both[1] == result.predictions
    assert both[0] != result.predictions


def test_sampled_rollouts_are_repeatable_and_differ_within_a_question(base: Path, tmp_path: Path) -> None:
    sampled = {"temperature": 1.0, "samples_per_question": 4, "questions": 5, "seed": 7}
    one = evaluated(str(base), None, tmp_path / "a", **sampled)[0]
    assert one == evaluated(str(base), None, tmp_path / "b", **sampled)[0]
    assert one != evaluated(str(base), None, tmp_path / "c", **{**sampled, "seed": 8})[0]
    assert [item.id for item in one[::4]] == [f"validation-5-{b}" for b in range(5)]
    assert all(len({item.completion for item in one[start : start + 4]}) > 1 for start in range(0, 20, 4))


def test_a_reward_that_always_raises_leaves_the_run_unscored(base: Path, tmp_path: Path) -> None:
    code = "def reward(prompt: str, completion: str, answer: str) -> float:\n    raise ValueError('no luck')\n"
    job = training_run(base, Member(name="format_exact"), Member(name="bad", code=code), evaluation=VALIDATION)
    result = trained(job, tmp_path / "job")
    assert result.failure is not None
    assert result.failure.startswith("reward bad failed in 8 of 8 calls")
    assert "no luck" in result.failure
    assert result.adapter is None
    assert result.predictions == ()
    assert not (member_folder(tmp_path / "job", job) / "adapter").exists()
    assert result.owner == "candidate"


def test_a_reward_that_never_ends_leaves_the_run_unscored(base: Path, tmp_path: Path) -> None:
    code = "def reward(prompt: str, completion: str, answer: str) -> float:\n    while True:\n        pass\n"
    sandbox = SandboxSettings(batch_seconds=0.3)
    result = trained(training_run(base, Member(name="endless", code=code), sandbox=sandbox), tmp_path / "job")
    assert result.failure is not None
    assert result.failure.startswith("reward endless failed in 8 of 8 calls")
    assert result.predictions == ()


def test_weights_that_stop_being_finite_leave_the_run_unscored(base: Path, tmp_path: Path) -> None:
    job = training_run(base, *MEMBERS, evaluation=VALIDATION, grpo={"learning_rate": 1e30, "warmup_fraction": 0.0})
    result = trained(job, tmp_path / "job")
    assert result.failure is not None
    assert "finite" in result.failure or "diverged" in result.failure
    assert result.predictions == ()


def test_a_users_mistake_is_the_failure_of_the_job(tmp_path: Path) -> None:
    result = ran(TrainJob.of(training_run(tmp_path / "nowhere")), tmp_path / "job")
    assert result.owner == "setup"
    assert "there is no such folder" in result.failure


def test_a_folder_without_a_valid_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_job(tmp_path)
    (tmp_path / "job.json").write_text('{"kind": "train", "label": "x"}')
    with pytest.raises(UserError, match="is no job"):
        read_job(tmp_path)
    process = subprocess.run(
        [sys.executable, "-P", "-m", "trainer.jobs.process", str(tmp_path)],
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
    job = training_run(base)
    assert job.digest == job.model_copy(update={"label": "other"}).digest
    assert job.digest != training_run(base, seed=2).digest
    renamed = Ensemble(name="tiny", members=(Member(name="format_approximate", weight=2.0),))
    assert job.digest != training_run(base, ensemble=renamed).digest


def test_a_user_s_own_folders_do_not_stand_in_for_ours(base: Path, tmp_path: Path) -> None:
    """A job starts in the user's folder, where a `trainer.py` or `eval/` may lie."""
    (tmp_path / "trainer.py").write_text("raise SystemExit('the wrong trainer')")
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "__init__.py").write_text("raise SystemExit('the wrong eval')")
    folder = tmp_path / "job"
    folder.mkdir()
    task = {"name": "testbed", "options": {"train": 4, "validation": 4, "test": 4}}
    suites = {"testbed": {"task": task, "questions": 2}}
    job = EvaluateJob(label="x", base_model=str(base), suites=suites, max_completion_tokens=4)
    write_model(folder / "job.json", job)
    command = [sys.executable, "-P", "-m", "trainer.jobs.process", str(folder)]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (0, "")
