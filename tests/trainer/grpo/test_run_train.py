"""A pack from its folder to the results of its members."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.tasks.base import TaskReference
from rewards_generated.ensemble import Ensemble, Member
from tests.trainer.tiny import COUNTS_SO, ran, trained, training_run, write_policy
from trainer.jobs.train import EvaluationRequest, RunResult, TrainingRun, TrainJob, TrainResult, member_folder

VALIDATION = EvaluationRequest(split="validation", limit=15, max_completion_tokens=12, batch_size=4)
NEVER_SCORES = """
def reward(prompt: str, completion: str, answer: str) -> float:
    raise ValueError("no")
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


def job(base: Path, name: str, *codes: str, **changes: Any) -> TrainingRun:
    members = [Member(name="format_approximate"), *(Member(name=f"c{i}", code=code) for i, code in enumerate(codes))]
    ensemble = Ensemble(name=name, members=tuple(members))
    return training_run(base, ensemble=ensemble, label=name, evaluation=VALIDATION, **changes)


def test_members_have_the_results_of_jobs_by_themselves(base: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    jobs = [job(base, "base only"), job(base, "failing", NEVER_SCORES), job(base, "counts", COUNTS_SO, seed=2)]
    pack = TrainJob.of(*jobs, label="pack")
    result = ran(pack, tmp_path / "pack")
    assert isinstance(result, TrainResult)
    assert TrainResult.model_validate_json((tmp_path / "pack" / "result.json").read_bytes()) == result
    assert (result.digest, result.failure, result.owner) == (pack.digest, None, None)
    assert [member.digest for member in result.members] == [member.digest for member in jobs]
    assert {"start", "train", "generate", "score", "evaluate"} <= result.seconds.keys()

    assert int((tmp_path / "pack" / "steps").read_text()) == jobs[0].grpo.steps

    failed = result.members[1]
    assert failed.adapter is None
    assert failed.failure is not None
    assert "reward c0 failed in" in failed.failure
    assert failed.predictions == ()
    assert not (tmp_path / "pack" / "members" / failed.digest / "adapter").exists()

    for place in (0, 2):
        packed = result.members[place]
        folder = tmp_path / "pack" / "members" / packed.digest
        assert RunResult.model_validate_json((folder / "result.json").read_bytes()) == packed
        alone = trained(jobs[place], tmp_path / f"alone {place}")
        assert packed.failure is alone.failure is None
        assert [entry.keys() for entry in packed.curves] == [entry.keys() for entry in alone.curves]
        # In float32 the two round differently, which can turn a draw; the first step is before any of that.
        assert packed.curves[0]["rewards"] == alone.curves[0]["rewards"]
        assert packed.curves[0]["loss"] == pytest.approx(alone.curves[0]["loss"], abs=1e-4)
        assert packed.curves[0]["gradient_norm"] == pytest.approx(alone.curves[0]["gradient_norm"], rel=1e-3)
        assert [item.id for item in packed.predictions] == [item.id for item in alone.predictions]
        assert [reward.calls for reward in packed.rewards] == [reward.calls for reward in alone.rewards]
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder / "adapter")
        assert any(tensor.any() for name, tensor in model.named_parameters() if "lora_B" in name)
        written = (folder / "adapter" / "adapter_config.json").read_text()
        other = member_folder(tmp_path / f"alone {place}", jobs[place]) / "adapter" / "adapter_config.json"
        assert written == other.read_text()

    again = ran(pack, tmp_path / "again")
    assert [member.predictions for member in again.members] == [member.predictions for member in result.members]
    assert [member.curves for member in again.members] == [member.curves for member in result.members]


def test_a_pack_for_which_memory_runs_out_says_so(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def out_of_memory(*arguments: Any, **options: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nDetails")

    monkeypatch.setattr("eval.engines.transformers_engine.decode", out_of_memory)
    result = ran(TrainJob.of(job(base, "one"), job(base, "two", COUNTS_SO)), tmp_path / "pack")
    assert result.owner == "memory"
    assert result.members == ()
    assert "a pack of 2 is too large" in result.failure
    assert "Tried to allocate 2 GiB." in result.failure
    assert "Details" not in result.failure


def test_a_pack_whose_base_is_missing_fails_in_words(tmp_path: Path) -> None:
    result = ran(TrainJob.of(job(tmp_path / "nowhere", "one")), tmp_path / "pack")
    assert isinstance(result, TrainResult)
    assert "there is no such folder" in (result.failure or "")
    assert result.owner == "setup"


def test_a_pack_that_stops_is_evaluated_there_and_some_members_go_on(base: Path, tmp_path: Path) -> None:
    jobs = [job(base, "base only"), job(base, "failing", NEVER_SCORES), job(base, "counts", COUNTS_SO, seed=2)]
    first = TrainJob.of(*jobs, label="to step 2", stop=2)
    at_two = ran(first, tmp_path / first.digest)
    assert [len(member.curves) for member in at_two.members if not member.failure] == [2, 2]
    assert [len(member.predictions) for member in at_two.members] == [15, 0, 15]
    assert "reward c0 failed in" in at_two.members[1].failure
    last = TrainJob.of(jobs[2], label="to the end", origins=(first.digest,))
    (at_end,) = ran(last, tmp_path / last.digest).members
    assert at_end.failure is None
    assert [entry["step"] for entry in at_end.curves] == [1, 2, 3]
    assert at_end.curves[:2] == at_two.members[2].curves
    assert len(at_end.predictions) == 15
    done = [int((tmp_path / pack.digest / "steps").read_text()) for pack in (first, last)]
    assert done == [2, 1], "each pack counts its own steps"
    for phase in ("start", "train", "generate", "score", "evaluate"):
        assert at_end.seconds[phase] > at_two.members[2].seconds[phase]
    assert not (tmp_path / last.digest / "checkpoint").exists()


def test_drawn_questions_alone_are_answered(base: Path, tmp_path: Path) -> None:
    run = job(base, "drawn", COUNTS_SO)
    assert run.evaluation is not None
    ids = ("validation-5-9", "validation-5-2")
    drawn = run.model_copy(update={"evaluation": run.evaluation.model_copy(update={"ids": ids})})
    assert drawn.digest != run.digest
    assert [item.id for item in trained(drawn, tmp_path / "pack").predictions] == ["validation-5-2", "validation-5-9"]


CHECKS_SOLUTION = """
def reward(prompt: str, completion: str, answer: str, worked_solution: str | None) -> float:
    first, _, second, _, total = worked_solution.split()
    return float(int(first) + int(second) == int(total) == int(answer) and prompt.startswith(f"{first} + {second}"))
"""


def test_rewards_are_trained_on_with_the_worked_solution_of_each_question(base: Path, tmp_path: Path) -> None:
    task = TaskReference(name="tests.trainer.tiny:build", options={"worked": True})
    result = trained(job(base, "checking", CHECKS_SOLUTION, task=task), tmp_path / "pack")
    checking = next(reward for reward in result.rewards if reward.name == "c0")
    assert (checking.failures, checking.mean) == (0, 1.0)


def test_a_reward_that_asks_for_worked_solutions_where_there_are_none_trains_nothing(
    base: Path, tmp_path: Path
) -> None:
    result = ran(TrainJob.of(job(base, "checking", CHECKS_SOLUTION)), tmp_path / "pack")
    assert result.owner == "setup"
    assert "'c0' asks for the worked solution; the task 'tests.trainer.tiny:build' has none" in result.failure
