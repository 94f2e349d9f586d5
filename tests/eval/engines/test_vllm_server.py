"""Rows on a server at an address: what is asked of it, what is refused before anything runs, and how a loss is told.

A server that answers as vLLM does stands in for it; vLLM itself is asked in `test_vllm_engine.py`.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eval.engines import vllm_server
from eval.engines.base import (
    EngineLost,
    EngineSettings,
    EngineUnusable,
    OtherVersion,
    Sampling,
    build_engine,
    engine_class,
)
from eval.engines.prompting import PromptFormat
from eval.engines.vllm_engine import ADAPTERS, VllmEngine
from eval.engines.vllm_process import ServerProcess, flags, server_environment
from eval.engines.vllm_served import WARM, Served, Warm, highest_rank
from eval.engines.vllm_server import ModelAtAddress, unload_under
from rewards_generated.errors import UserError
from tests.eval.engines.fake_vllm import SAID, FakeVllm, fake_vllm

SAMPLED = Sampling(3, temperature=0.8, top_p=0.9)


class Policy:
    """What the engine asks of one."""

    source, stop_tokens, format = "/models/base", [1], PromptFormat(stop_strings=("end",))


class Live:
    """Adapters in training, without values: three that differ by a count."""

    count = 3

    def __init__(self) -> None:
        self.saved: list[Path] = []

    def save(self, adapter: int, folder: str | Path) -> None:
        write_adapter(Path(folder))
        self.saved.append(Path(folder))


def write_adapter(folder: Path) -> str:
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": 4}))
    save_file({"weight": torch.zeros(1)}, folder / "adapter_model.safetensors")
    return str(folder)


@pytest.fixture
def server() -> Iterator[FakeVllm]:
    with fake_vllm() as found:
        yield found


def engine_on(address: str, folder: Path | None = None) -> VllmEngine:
    policy: Any = Policy()
    found = build_engine(EngineSettings(name="vllm", options={"server": address}), policy, 8, folder)
    assert isinstance(found, VllmEngine)
    return found


def sample(engine: VllmEngine, *adapters: Any) -> Any:
    return engine.rollouts([[7, row] for row in range(len(adapters))], SAMPLED, adapters, [(3, 0)] * len(adapters))


def test_rows_are_asked_for_by_token_ids_with_their_own_seed_and_adapter(server: FakeVllm, tmp_path: Path) -> None:
    engine, adapter = engine_on(server.address), write_adapter(tmp_path / "adapter")
    completions, found = sample(engine, None, adapter)
    assert completions == [SAID, SAID]
    assert found == [[-0.4] * 3] * 2
    [name] = server.adapters
    rows = {row["model"]: row for row in server.asked[-2:]}
    assert rows.keys() == {"base", name}
    assert rows[name]["prompt"] == [7, 1]
    assert rows[name]["seed"] == rows["base"]["seed"]
    expected = {"temperature": 0.8, "top_p": 0.9, "top_k": 0, "stop": ["end"], "stop_token_ids": [1], "max_tokens": 3}
    assert expected.items() <= rows[name].items()
    assert engine.log_probabilities([[7]], [9], [adapter]) == [-0.5]
    assert engine.complete([[7]], Sampling(2), [None], [(0, 0)]) == [SAID[:2]]
    assert server.asked[-1]["seed"] is None


def test_adapters_in_training_lie_in_the_jobs_folder_under_names_of_the_jobs_own(
    server: FakeVllm, tmp_path: Path
) -> None:
    (tmp_path / ADAPTERS / "of a killed attempt").mkdir(parents=True)
    engines = [engine_on(server.address, tmp_path), engine_on(server.address)]
    for engine in engines:
        engine.refresh(Live())
        assert server.adapters, "one was there before the first row"
        sample(engine, 0, 1, 2, 0)
        engine.refresh(Live())
        sample(engine, 2, 1, 0)
    assert len(set(server.loaded)) == len(server.loaded) == 12
    assert len(server.adapters) == 6
    own = [Path(path) for path in server.adapters.values() if Path(path).is_relative_to(tmp_path)]
    assert sorted(path.name for path in own) == ["2-0", "2-1", "2-2"]
    assert {path.name for path in (tmp_path / ADAPTERS).iterdir()} == {"2-0", "2-1", "2-2"}
    del engine, engines
    gc.collect()
    assert server.adapters == {}
    assert not (tmp_path / ADAPTERS).exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"root": "/models/other"}, r"serves '/models/other', and the base policy is '/models/base'"),
        ({"takes_adapters": False}, r"takes no adapters: start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"),
        ({"processed": False}, r"start it with --logprobs-mode processed_logprobs"),
        ({"sees_files": False}, r"does not see /.*, where this job lies: server and jobs need the same files"),
    ],
)
def test_a_server_that_cannot_do_it_is_named_before_anything_is_trained(
    server: FakeVllm, wrong: dict[str, Any], said: str
) -> None:
    for name, value in wrong.items():
        setattr(server, name, value)
    with pytest.raises(EngineUnusable, match=said):
        engine_on(server.address).refresh(Live())


def test_version_and_address_are_looked_at_before_a_search_starts(server: FakeVllm) -> None:
    settings = EngineSettings(name="vllm", options={"server": server.address})
    assert settings.pinned().version == "vllm 0.30.0"
    server.version = "0.31.0"
    with pytest.raises(UserError, match=r"engine\.version = 'vllm 0\.30\.0', and vllm 0\.31\.0 .*"):
        engine_class(settings.model_copy(update={"version": "vllm 0.30.0"}))
    assert VllmEngine.memory(settings.options, 2**30, 2**34, "cuda") == 0
    for wrong in ("127.0.0.1:8000", "https://host:1", "http://host", "started", 8000, "http://host:1/v1", "http://h:x"):
        with pytest.raises(UserError, match="is neither 'start' nor an address such as"):
            engine_class(EngineSettings(name="vllm", options={"server": wrong}))
    with pytest.raises(EngineUnusable, match=r"server = 'http://127\.0\.0\.1:9' does not answer .* start vLLM there"):
        engine_class(EngineSettings(name="vllm", options={"server": "http://127.0.0.1:9"}))


def test_a_search_goes_on_while_its_server_is_away_and_a_job_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_vllm() as server:
        settings = EngineSettings(name="vllm", options={"server": server.address})
        assert settings.pinned().version == "vllm 0.30.0"
        server.server_close()
        server.shutdown()
    assert settings.pinned().version == "vllm 0.30.0"
    asked: list[int] = []

    def away_at_first(address: str) -> str:
        asked.append(1)
        if len(asked) == 1:
            raise EngineUnusable("away")
        return "vllm 0.30.0"

    monkeypatch.setattr(vllm_server, "_VERSIONS", {})
    monkeypatch.setattr(vllm_server, "running_version", away_at_first)
    engine_on(server.address)
    assert len(asked) == 2


def test_nobody_waits_for_another_version(server: FakeVllm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("waited"))
    policy: Any = Policy()
    settings = EngineSettings(name="vllm", version="vllm 0.29.0", options={"server": server.address})
    with pytest.raises(OtherVersion, match=r"version = 'vllm 0\.29\.0', and vllm 0\.30\.0 is installed here"):
        build_engine(settings, policy, 8)


def test_whole_models_are_not_served_at_an_address(server: FakeVllm, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"is a whole model, and engine.options.server = .* use server: start"):
        sample(engine_on(server.address), str(tmp_path))


def test_a_server_that_ends_is_a_loss_once_it_is_back(
    server: FakeVllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_server, "RETURN_SECONDS", 0.1)
    engine, adapter = engine_on(server.address), write_adapter(tmp_path / "adapter")
    sample(engine, adapter)
    server.adapters.clear()  # it was started again in between
    with pytest.raises(EngineLost, match=r"ended in the middle of the job \(The model .* and answers again"):
        sample(engine, adapter)
    server.healthy = False
    with pytest.raises(EngineLost, match="EngineCore encountered an issue"):
        sample(engine, None)
    server.shutdown()
    server.server_close()
    with pytest.raises(EngineUnusable, match=r"ended in the middle of a job .* is not back after 0 s"):
        sample(engine, None, None)
    engine.refresh(None)


def test_a_job_asks_the_warm_server_that_it_is_told_of_and_its_end_is_a_loss_at_once(
    server: FakeVllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm = Warm(server.address, Served("/models/base", 8, 16))
    monkeypatch.setenv(WARM, warm.variables()[WARM])
    monkeypatch.setattr(VllmEngine, "version", classmethod(lambda cls, options: "vllm 0.30.0"))
    engine, adapter = engine_on("start", tmp_path), write_adapter(tmp_path / "adapter")
    engine.refresh(Live())
    sample(engine, 0, 1, adapter)
    assert {Path(path).parent for path in server.adapters.values()} == {tmp_path / ADAPTERS, tmp_path}
    unload_under(server.address, tmp_path / ADAPTERS)
    assert list(server.adapters.values()) == [adapter]
    server.shutdown()
    server.server_close()
    with pytest.raises(EngineLost, match="the vLLM server that jobs of this machine share has ended"):
        sample(engine, adapter)


def test_a_job_s_own_server_sleeps_while_it_trains_and_is_awake_for_whatever_it_is_asked(
    server: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[dict[str, Any]] = []

    def start(fields: dict[str, Any], folder: Path | None) -> Any:
        started.append(fields)
        return SimpleNamespace(socket=server.address, stop=lambda: None)

    monkeypatch.setattr(vllm_server, "started_server", start)
    policy: Any = Policy()
    policy.model = SimpleNamespace(device=SimpleNamespace(type="cuda"), dtype="torch.bfloat16")
    engine = VllmEngine(policy, server="start", sleep=True)
    engine.rest()
    for step in range(1, 4):
        engine.refresh(Live())
        sample(engine, 0, 1, 2)
        assert not server.asleep
        engine.rest()
        engine.rest()
        assert server.asleep
        assert server.slept == step
    assert engine.log_probabilities([[7]], [9], [2]) == [-0.5]
    engine.rest()
    engine.refresh(None)
    assert server.adapters == {}
    [fields] = started
    assert "--enable-sleep-mode" in flags(fields)
    assert server_environment(eager=False, sleeps=True)["VLLM_SERVER_DEV_MODE"] == "1"


def test_a_server_that_others_use_stays_awake(server: FakeVllm) -> None:
    ModelAtAddress(Served("/models/base", 1, 8), server.address).sleep()
    assert server.slept == 0


def test_ranks_that_vllm_has_no_room_for_are_refused() -> None:
    assert highest_rank(Served("base", 1, 17)) == 32
    with pytest.raises(UserError, match="up to rank 512, and one has 513"):
        Served("base", 1, 513)


def test_the_server_of_a_job_inherits_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "3")
    found = server_environment(eager=True)
    assert "secret" not in found.values()
    assert "VLLM_SERVER_DEV_MODE" not in found
    assert found["VLLM_CPU_KVCACHE_SPACE"] == "3"
    assert found["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == found["TORCHDYNAMO_DISABLE"] == "1"
    assert flags({"enable_lora": True, "enable_chunked_prefill": False, "max_model_len": -1}) == [
        "--enable-lora",
        "--no-enable-chunked-prefill",
        "--max-model-len=-1",
    ]


def test_a_server_that_does_not_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vllm.py").write_text("raise ImportError('no such library')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    process = ServerProcess({"model": "nowhere"}, tmp_path)
    process._process.wait()
    assert process.ended() == "ended with exit code 1"
    assert process.last_words() == "ImportError: no such library"
    assert process.log == tmp_path / "vllm.txt"
    place = Path(process.socket).parent
    process.stop()
    assert not place.exists()
