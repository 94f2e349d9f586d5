"""Digests of runs: what a search has trained must be found again by a later version of the same."""

from __future__ import annotations

from rewards_generated.ensemble import Ensemble, Member
from tests.trainer.tiny import TASK
from trainer.jobs.settings import GrpoSettings
from trainer.jobs.train import EvaluationRequest, TrainingRun


def test_the_digest_of_a_plain_job_has_not_changed() -> None:
    job = TrainingRun(
        label="any",
        base_model="testbed",
        task=TASK,
        ensemble=Ensemble(name="base", members=(Member(name="answer_check"),)),
        grpo=GrpoSettings(steps=3, prompts_per_step=2, generations=4, max_completion_tokens=12, learning_rate=1e-2),
        seed=1,
    )
    assert job.digest == "d812ab33a3a0f7a6c84a9a4ba753799656f47bc05c75b22d1705b1ecc344c132"
    plain = EvaluationRequest(split="validation", limit=9, max_completion_tokens=12).model_dump_json()
    assert "ids" not in plain
    assert job.model_copy(update={"base_digest": "made"}).digest != job.digest
