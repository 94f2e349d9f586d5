"""Digests of jobs: finished jobs of a running search must be found again by a later version."""

from __future__ import annotations

from rewards_generated.ensemble import Ensemble, Member
from tests.trainer.tiny import TASK
from trainer.jobs.train import GrpoSettings, TrainJob


def test_the_digest_of_a_plain_job_has_not_changed() -> None:
    job = TrainJob(
        label="any",
        base_model="testbed",
        task=TASK,
        ensemble=Ensemble(name="base", members=(Member(name="answer_check"),)),
        grpo=GrpoSettings(steps=3, prompts_per_step=2, generations=4, max_completion_tokens=12, learning_rate=1e-2),
        seed=1,
    )
    assert job.digest == "b5ddecf41d91069a5a83600cc68a3c435291a26db8197309761c744dc2721607"
    assert job.model_copy(update={"base_digest": "made"}).digest != job.digest
