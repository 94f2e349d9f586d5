"""What every executor has to do, as one function: `check_executor(MyExecutor)` in a test of one's own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from rewards_generated.ensemble import Ensemble, Member
from search.executors.base import Executor
from trainer.jobs.base import Done, Job
from trainer.jobs.evaluate import EvaluateJob, EvaluateResult, Suite
from trainer.jobs.folder import RESULT_FILE, kept_result
from trainer.jobs.registry import KINDS
from trainer.jobs.settings import GrpoSettings, Hardware, LoraSettings
from trainer.jobs.train import TrainingRun, TrainJob, member_folder

TASK = {"name": "testbed", "options": {"train": 8, "validation": 8, "test": 8}}
CPU = Hardware(device="cpu")


def check_executor(build: Callable[..., Executor]) -> None:
    """Runs a handful of tiny jobs on the testbed, about half a minute on one core.

    `build`: the class, called as the configuration would, with `parallel_jobs` and `job_timeout_seconds`. Raises
    AssertionError with one sentence for the first thing that is wrong.
    """
    executor = build(parallel_jobs=2, job_timeout_seconds=None)
    assert isinstance(executor.name, str), "an executor has a `name`"
    assert executor.name, "the `name` of an executor is not empty"
    with tempfile.TemporaryDirectory(prefix="executor-conformance-") as temporary:
        folder = Path(temporary) / "jobs"
        assert not list(executor.run([], folder)), "no jobs give no results"
        _check_results(executor, folder)
        _check_reuse(executor, folder)
        _check_failures(executor, folder)
        _check_closing(executor, folder)


def _evaluation(label: str, questions: int = 4, base_model: str = "testbed") -> EvaluateJob:
    suites = {"questions": Suite.model_validate({"task": TASK, "split": "validation", "questions": questions})}
    return EvaluateJob(label=label, base_model=base_model, suites=suites, max_completion_tokens=8, hardware=CPU)


def _training(*names: str) -> TrainJob:
    grpo = GrpoSettings(steps=1, prompts_per_step=2, generations=2, max_completion_tokens=8, learning_rate=1e-3)
    runs = [
        TrainingRun.model_validate(
            {
                "label": name,
                "base_model": "testbed",
                "task": TASK,
                "ensemble": Ensemble(name=name, members=(Member(name=name),)),
                "lora": LoraSettings(rank=2, alpha=2),
                "grpo": grpo,
                "seed": 1,
                "hardware": CPU,
            }
        )
        for name in names
    ]
    return TrainJob.of(*runs)


def _ended(executor: Executor, folder: Path, *jobs: Job) -> dict[str, Done]:
    ended = list(executor.run(jobs, folder))
    digests = [done.job.digest for done in ended]
    assert sorted(digests) == sorted(job.digest for job in jobs), "every job is yielded once, and nothing else"
    for done in ended:
        assert done.folder == folder / done.job.digest, "a job runs in `folder/<its digest>`"
        assert done.result.digest == done.job.digest, "a result belongs to its job"
        assert isinstance(done.result, KINDS[done.job.kind].result), f"a job of kind {done.job.kind} has its own result"
    return {done.job.digest: done for done in ended}


def _check_results(executor: Executor, folder: Path) -> None:
    """All kinds at once, each with what it leaves."""
    evaluation, training = _evaluation("evaluation"), _training("format_exact", "answer_check")
    ended = _ended(executor, folder, evaluation, training)
    for done in ended.values():
        assert done.result.failure is None, f"{done.job.label} ends well: {done.result.failure}"
        assert (done.folder / RESULT_FILE).is_file(), "the result lies in the job's folder"
    answers: EvaluateResult = ended[evaluation.digest].result
    assert len(answers.predictions[0]["questions"]) == 4, "every question is answered"
    for member in training.members:
        adapter = member_folder(folder / training.digest, member) / "adapter"
        assert adapter.is_dir(), "every run of a job leaves its adapter in the job's folder"


def _check_reuse(executor: Executor, folder: Path) -> None:
    job = _evaluation("asked twice")
    [first] = _ended(executor, folder, job).values()
    written = (first.folder / RESULT_FILE).stat().st_mtime_ns
    [second] = _ended(executor, folder, job).values()
    assert second.result == first.result, "a result that is there is taken as it is"
    assert (first.folder / RESULT_FILE).stat().st_mtime_ns == written, "a job with a whole result is not run again"
    assert kept_result(first.folder, job.digest, EvaluateResult) == first.result, "the file holds what was yielded"


def _check_failures(executor: Executor, folder: Path) -> None:
    """A job that fails is a result with an owner, and does not touch the others."""
    bad, good = _evaluation("no such policy", base_model="/there/is/no/policy"), _evaluation("beside it", questions=3)
    ended = _ended(executor, folder, bad, good)
    failed = ended[bad.digest].result
    assert failed.failure, "a job that cannot run comes back with a failure"
    assert failed.owner == "setup", "a policy that is not there is a failure of the setup"
    assert ended[good.digest].result.failure is None, "the failure of one job is not that of another"
    again = _ended(executor, folder, bad)[bad.digest].result
    assert again.failure, "a failure of the setup is tried again, and fails again"


def _check_closing(executor: Executor, folder: Path) -> None:
    jobs = [_evaluation(f"stopped {number}", questions=5 + number) for number in range(3)]
    ended = executor.run(jobs, folder)
    close = getattr(ended, "close", None)
    assert close is not None, "`run` is a generator, which can be closed"
    next(iter(ended))
    close()
    rest = _ended(executor, folder, *jobs)
    assert all(done.result.failure is None for done in rest.values()), "what was stopped can be run again"
