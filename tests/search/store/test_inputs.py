"""Which files a job needs beside its description, and that its digest does not say where they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.engines.base import EngineSettings
from eval.tasks.base import Task, TaskReference
from rewards_generated.errors import UserError
from search.store.inputs import Input, inputs_of
from tests.trainer.tiny import build as sums
from tests.trainer.tiny import training_run
from trainer.jobs.evaluate import EvaluateJob
from trainer.jobs.fine_tune import FineTuneJob
from trainer.jobs.settings import AlgorithmSettings, SftSettings
from trainer.jobs.train import TrainJob


def evaluation(**changes: Any) -> EvaluateJob:
    suites = {"questions": {"task": changes.pop("task", {"name": "testbed"}), "questions": 4}}
    fields = {"label": "x", "base_model": "testbed", "suites": suites, "max_completion_tokens": 8}
    return EvaluateJob.model_validate({**fields, **changes})


def fine_tuning(**changes: Any) -> FineTuneJob:
    fields = {
        "label": "x",
        "base_model": "testbed",
        "task": {"name": "testbed"},
        "source": {},
        "settings": SftSettings(steps=1, batch_size=1, learning_rate=1e-3),
    }
    return FineTuneJob.model_validate({**fields, **changes})


def made(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"question": "1 + 1 = ?", "answer": "#### 2"}\n')


def reads_a_file_that_nobody_names(options: dict[str, Any]) -> Task:
    task: Any = sums({})
    task.files = lambda: [Path("/data/hidden.jsonl")]
    return task


def test_names_of_the_hub_and_paths_that_are_not_here_do_not_travel(tmp_path: Path) -> None:
    for base in ("testbed", "Qwen/Qwen2.5-0.5B", "/there/is/no/policy"):
        assert inputs_of(evaluation(base_model=base, adapters=(None, "/nowhere")), tmp_path) == []


def test_policy_adapters_pairs_and_data_travel_by_how_they_are_named(tmp_path: Path) -> None:
    policy, adapter, pairs = tmp_path / "policy", tmp_path / "adapter", tmp_path / "pairs.jsonl"
    train, test = tmp_path / "data" / "train.jsonl", tmp_path / "data" / "test.jsonl"
    made(policy / "config.json", adapter / "adapter.json", pairs, train, test, tmp_path / "data" / "unrelated")
    task = {"name": "jsonl", "options": {"train": str(train), "test": str(test)}}
    job = evaluation(base_model=str(policy), adapters=(None, str(adapter)), task=task)
    assert inputs_of(job, tmp_path / "jobs") == [
        Input(policy, str(policy), lasting=True),
        Input(adapter, str(adapter)),
        Input(train, str(train), lasting=True, is_file=True),
        Input(test, str(test), lasting=True, is_file=True),
    ]
    # Of a folder with data only what the task reads.
    source = str(tmp_path / "data")
    assert inputs_of(evaluation(task={"name": "gsm8k", "options": {"source": source}}), tmp_path) == [
        Input(tmp_path / "data", source, only=("test.jsonl", "train.jsonl"), lasting=True)
    ]
    tuning = fine_tuning(source={"file": str(pairs)})
    assert inputs_of(tuning, tmp_path) == [Input(pairs, str(pairs), lasting=True, is_file=True)]


def test_a_job_takes_along_what_it_goes_on_from(tmp_path: Path) -> None:
    runs = [training_run(tmp_path / "hub", seed=seed) for seed in (1, 2)]
    job = TrainJob.of(*runs, origins=("a" * 64, "b" * 64))
    kept = ("checkpoint", "result.json")
    origins = [Input(tmp_path / name, None, name, kept) for name in ("a" * 64, "b" * 64)]
    assert inputs_of(job, tmp_path) == origins
    made(tmp_path / job.digest / "log.txt")
    assert inputs_of(job, tmp_path) == origins
    made(tmp_path / job.digest / "checkpoint" / "state.json")
    assert inputs_of(job, tmp_path) == [*origins, Input(tmp_path / job.digest, None, job.digest)]


def test_a_file_that_cannot_be_sent_is_refused_by_name(tmp_path: Path) -> None:
    hidden = TaskReference(name=f"{__name__}:reads_a_file_that_nobody_names")
    with pytest.raises(UserError, match=r"reads /data/hidden\.jsonl, which none of its options names"):
        inputs_of(evaluation(task=hidden.model_dump()), tmp_path)
    made(tmp_path / "cache" / "file")
    engine = EngineSettings(name="transformers", options={"cache": str(tmp_path / "cache")})
    with pytest.raises(UserError, match=r"`engine\.options` names .*cache, a path of this machine"):
        inputs_of(evaluation(engine=engine), tmp_path)
    algorithm = AlgorithmSettings(name="x:Y", options={"weights": {"from": str(tmp_path / "cache" / "file")}})
    with pytest.raises(UserError, match=r"`algorithm\.options` names .*file"):
        inputs_of(TrainJob.of(training_run(tmp_path / "hub", algorithm=algorithm)), tmp_path)


@pytest.mark.parametrize("job", [evaluation(), fine_tuning(), TrainJob.of(training_run(Path("hub")))])
def test_where_files_lie_is_no_part_of_what_a_job_is(job: Any) -> None:
    placed = job.model_copy(update={"places": {"/data/train.jsonl": "/node/1", "policy": "/node/2"}})
    assert placed.digest == job.digest
    assert type(job).model_validate_json(placed.model_dump_json()) == placed
    assert "places" not in job.model_dump_json()
    assert (placed.placed("policy"), placed.placed("elsewhere")) == ("/node/2", "elsewhere")
    options = {"train": "/data/train.jsonl", "more": [{"at": "policy", "size": 3}]}
    task = placed.placed_task(TaskReference(name="jsonl", options=options))
    assert task.options == {"train": "/node/1", "more": [{"at": "/node/2", "size": 3}]}
