"""vLLM itself, shared by jobs on Ray: what they come to is what they come to with servers of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from eval.engines.base import EngineSettings
from search.executors.ray import RayExecutor
from tests.eval.engines.test_vllm_engine import needs_vllm
from tests.search.executors.test_local import wait_for
from tests.search.executors.test_ray import job
from tests.trainer.tiny import training_run
from trainer.jobs.base import Job
from trainer.jobs.train import TrainJob

VLLM = EngineSettings(name="vllm", options={"server": "start"})


@pytest.fixture
def ray_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import ray

    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    yield
    ray.shutdown()


def servers() -> list[psutil.Process]:
    """Those that Ray's processes of this test have started."""
    family = psutil.Process().children(recursive=True)
    return [found for found in family if "eval.engines.vllm_process" in (found.as_dict(["cmdline"])["cmdline"] or ())]


def jobs() -> list[Job]:
    engine = VLLM.pinned()
    evaluation = {"split": "validation", "limit": 8, "max_completion_tokens": 24}
    changes: dict[str, Any] = {"engine": engine, "evaluation": evaluation}
    runs = [training_run(Path("testbed"), **{**changes, "seed": seed, "label": str(seed)}) for seed in (1, 2)]
    return [TrainJob.of(*runs), job(engine=engine, questions=8)]


@pytest.mark.ray
@pytest.mark.vllm
@pytest.mark.slow
@needs_vllm
@pytest.mark.usefixtures("ray_here")
def test_results_are_those_of_jobs_with_servers_of_their_own(tmp_path: Path) -> None:
    found: dict[bool, list[Any]] = {}
    for warm in (False, True):
        executor = RayExecutor(parallel_jobs=1, warm_engine=warm)
        pids, results = set(), []
        for asked in jobs():
            for done in executor.run([asked], tmp_path / str(warm)):
                assert done.result.failure is None
                results.append(done.result)
            pids |= {process.pid for process in servers()}
        assert len(pids) == warm
        found[warm] = results
    for own, shared in zip(found[False], found[True], strict=True):
        assert shared.digest == own.digest
        assert said(shared) == said(own)
    del executor
    wait_for(lambda: not servers())


def said(result: Any) -> Any:
    """All but times."""
    if hasattr(result, "members"):
        return [(run.predictions, run.samples, run.curves, run.rewards) for run in result.members]
    return result.predictions
