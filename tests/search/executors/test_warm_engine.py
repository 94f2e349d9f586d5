"""Which jobs share a server, and what it is started with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from eval.engines.vllm_served import WARM, Served, Warm, warm_server
from search.executors import warm_engine
from search.executors.ray_nodes import room_on
from search.executors.warm_engine import WarmEngine, WarmServer, warm_engine_of
from tests.eval.engines.test_vllm_server import write_adapter
from tests.search.executors.test_ray import job
from tests.trainer.tiny import training_run
from trainer.jobs.train import TrainJob

VLLM = {"name": "vllm", "version": "vllm 0.30.0", "options": {"server": "start"}}


def needed(**changes: Any) -> WarmEngine:
    found = warm_engine_of(job(**{"engine": VLLM, **changes}))
    assert found is not None
    return found


def test_jobs_share_a_server_that_was_started_with_the_same() -> None:
    first = needed()
    assert needed(label="another", questions=5, batch_size=3).name("a") == first.name("a")
    others = [
        needed(base_model="another"),
        needed(hardware={"device": "cpu", "dtype": "bfloat16"}),
        needed(hardware={"device": "cpu", "threads": 2}),
        needed(engine={**VLLM, "version": "vllm 0.31.0"}),
        needed(engine={**VLLM, "options": {"server": "start", "memory_share": 0.5}}),
        first.model_copy(update={"rank": 64}),
        first.model_copy(update={"adapters": 9}),
    ]
    assert len({first.name("a"), first.name("b"), *(other.name("a") for other in others)}) == 9
    assert not any(first.serves(other) for other in others)
    assert [other.serves(first) for other in others] == [False] * 5 + [True] * 2
    assert others[-1].beside(others[-2]) == first.model_copy(update={"adapters": 9, "rank": 64})
    assert first.beside(others[0]) == first


def test_room_is_for_the_adapters_of_the_jobs(tmp_path: Path) -> None:
    runs = [training_run(tmp_path, seed=seed, engine=VLLM, lora={"rank": 40}) for seed in range(9)]
    packed = warm_engine_of(TrainJob.of(*runs))
    assert packed is not None
    assert (packed.adapters, packed.rank) == (9, 64)
    adapter = write_adapter(tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps({"r": 40}))
    assert needed(adapters=(None, adapter)).rank == 64
    assert (needed().adapters, needed().rank) == (8, 32)


def test_jobs_that_start_no_server_need_none_nor_do_those_of_whole_models(tmp_path: Path) -> None:
    assert warm_engine_of(job()) is None
    assert warm_engine_of(job(engine={"name": "vllm"})) is None
    assert warm_engine_of(job(engine={"name": "vllm", "options": {"server": "http://host:1"}})) is None
    assert warm_engine_of(job(engine={"name": "vllm", "options": {"server": "start", "sleep": True}})) is None
    (tmp_path / "config.json").write_text("{}")
    assert warm_engine_of(job(engine=VLLM, adapters=(str(tmp_path),))) is None


def test_a_server_has_room_for_all_jobs_of_its_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    class Process:
        socket = "/nowhere"

        def stop(self) -> None: ...

    def started(fields: dict[str, Any], folder: Path) -> Process:
        asked.append(fields)
        return Process()

    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(warm_engine, "started_server", started)
    for jobs, on_gpu in ((3, False), (3, True), (30, True)):
        WarmServer(needed(), jobs, on_gpu, tmp_path / "logs").serve("/models/base")
    assert [fields["max_loras"] for fields in asked] == [25, 24, 64]
    assert asked[0]["max_lora_rank"] == 32
    assert asked[0]["model"] == "/models/base"
    assert "gpu_memory_utilization" not in asked[0]
    assert asked[1]["gpu_memory_utilization"] == 0.4
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_a_job_is_told_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    warm = Warm("/tmp/place/socket", Served("/models/base", 8, 16))
    assert warm_server() is None
    monkeypatch.setenv(WARM, warm.variables()[WARM])
    assert warm_server() == warm


@pytest.mark.parametrize(
    ("gpus", "wanted", "taken", "room"),
    [
        (1, 1, 0, 1),
        (1, 1, 0.4, 0),
        (1, 0.6, 0.4, 1),
        (1, 0.2, 0.4, 3),
        (2, 0.6, 0.4, 2),
        (2, 0.25, 0, 8),
        (3, 0.6, 0, 3),
        (8, 1, 0.4, 7),
        (8, 2, 0.4, 3),
        (0, 1, 0, 0),
    ],
)
def test_a_part_of_a_gpu_lies_on_one(gpus: int, wanted: float, taken: float, room: int) -> None:
    assert room_on({"CPU": 64, "GPU": gpus}, {"num_cpus": 1, "num_gpus": wanted}, taken) == room
