"""vLLM against transformers on the testbed's policy in float32: the same text, the same log-probabilities.

These tests need vLLM (`make test-vllm`); what is refused without it stands first.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from eval.engines.base import EngineLost, EngineSettings, EngineUnusable, Sampling, build_engine, engine_class
from eval.engines.conformance import check_engine
from eval.engines.policy import Policy, load_policy
from eval.engines.prompting import PromptFormat
from eval.engines.stacked_adapters import StackedAdapters
from eval.engines.transformers_engine import TransformersEngine
from eval.engines.vllm_engine import VllmEngine
from eval.engines.vllm_process import LOG_FILE, flags, server_environment
from eval.engines.vllm_served import CPU_CACHE_GIB, Served, model_fields
from eval.engines.vllm_server import ServerClient, StartedModel
from eval.tasks.base import TaskReference
from eval.tasks.registry import build_task
from rewards_generated.errors import UserError
from trainer.testbed import policy_path

GREEDY = Sampling(24)
SAMPLED = Sampling(24, temperature=0.8)
TARGETS = ["q_proj", "v_proj", "down_proj"]


def installed() -> bool:
    try:
        return bool(VllmEngine.version({}))
    except UserError:
        return False


needs_vllm = pytest.mark.skipif(not installed(), reason="vllm is not installed; `make test-vllm` installs it")


@pytest.mark.skipif(installed(), reason="vllm is installed")
def test_without_vllm_the_engine_is_refused_with_what_to_install() -> None:
    for ask in (engine_class, EngineSettings.pinned):
        with pytest.raises(UserError, match=r"needs the package vllm.*constraints-vllm\.txt"):
            ask(EngineSettings(name="vllm"))


def test_options_and_versions_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VllmEngine, "version", classmethod(lambda cls, options: "vllm 0.30.0"))
    assert EngineSettings(name="vllm").pinned().version == "vllm 0.30.0"
    engine_class(EngineSettings(name="vllm", version="vllm 0.30.0"))
    policy: Any = SimpleNamespace(model=SimpleNamespace(device=torch.device("cpu")))
    asleep = {"sleep": True, "server": "http://127.0.0.1:8000"}
    for options, said in (
        ({"importance_weights": "all"}, "importance_weights = 'all'"),
        ({"memory_share": 1}, "= 1 "),
        ({"sleep": True}, r"options\.sleep gives back memory of a GPU, and this job runs on a CPU"),
        (asleep, r"options\.sleep is for a vLLM of the job's own"),
    ):
        with pytest.raises(UserError, match=said):
            build_engine(EngineSettings(name="vllm", options=options), policy, 8)
    with pytest.raises(UserError, match=r"engine\.version = 'vllm 0\.29\.0', and vllm 0\.30\.0 is installed"):
        engine_class(EngineSettings(name="vllm", version="vllm 0.29.0"))


def test_memory_planning_counts_what_vllm_keeps_to_itself() -> None:
    assert TransformersEngine.memory({}, 6 * 2**30, 80 * 2**30, "cuda") == 0
    assert VllmEngine.memory({"memory_share": 0.5}, 6 * 2**30, 80 * 2**30, "cuda") == 40 * 2**30
    assert VllmEngine.memory({"memory_share": 0.5, "sleep": True}, 6 * 2**30, 80 * 2**30, "cuda") == 2 * 2**30
    assert VllmEngine.memory({}, 6 * 2**30, 80 * 2**30, "cpu") == (6 + CPU_CACHE_GIB) * 2**30


def test_the_engine_of_transformers_leaves_jobs_as_they_were_named() -> None:
    assert EngineSettings().pinned().model_dump_json() == '{"name":"transformers","options":{}}'
    with pytest.raises(UserError, match="no version of its own is installed"):
        engine_class(EngineSettings(version="5.23.0"))


@pytest.fixture(scope="module")
def policy() -> Policy:
    torch.set_num_threads(1)
    return load_policy(str(policy_path()), "cpu")


@pytest.fixture(scope="module")
def prompts(policy: Policy) -> list[list[int]]:
    task = build_task(TaskReference(name="testbed", options={"train": 8, "validation": 4, "test": 4}))
    return policy.prompt_tokens([example.prompt for example in task.examples("train")])


@pytest.fixture
def live(policy: Policy) -> Iterator[StackedAdapters]:
    """Eight adapters, random."""
    from peft import LoraConfig

    found = StackedAdapters(policy.model, LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS), 8)
    move(found, 1)
    yield found
    found.remove()


def move(adapters: StackedAdapters, seed: int, size: float = 0.05) -> None:
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in adapters.parameters():
            parameter.add_(torch.randn_like(parameter) * size)


@pytest.fixture(scope="module")
def address(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server for all tests here, as one starts it by hand, with room for more adapters than they ever load: on a
    CPU rows of the base take what is in the last place."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    asked = flags(model_fields(Served(policy.source, 127, 16), "cpu", "float32", 32, 0.4))
    command = [sys.executable, "-m", "eval.engines.vllm_process", str(os.getpid()), *asked]
    with (tmp_path_factory.mktemp("server") / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host=127.0.0.1", f"--port={port}"],
            stdout=log,
            stderr=log,
            env=server_environment(eager=True),
            start_new_session=True,
        )
    try:
        found = f"http://127.0.0.1:{port}"
        while not ServerClient(found).healthy():
            assert process.poll() is None, f"see {log.name}"
            time.sleep(0.2)
        yield found
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module", params=["in this process", "at an address"])
def build(request: pytest.FixtureRequest) -> Callable[..., VllmEngine]:
    """Builds the engine, whose model is in this process or on the server that is there for all tests."""
    if request.param == "in this process":
        return VllmEngine
    server = request.getfixturevalue("address")
    return lambda policy, batch_size=64: VllmEngine(policy, batch_size, server=server)


@pytest.fixture(scope="module")
def engine(policy: Policy, build: Callable[..., VllmEngine]) -> Iterator[VllmEngine]:
    found = build(policy)
    yield found
    found.refresh(None)


def logps(policy: Policy, live: StackedAdapters, place: int, prompt: list[int], ids: list[int], by: float) -> Any:
    live.assign([place])
    with torch.no_grad():
        logits = policy.model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits / by, dim=-1).gather(1, torch.tensor(ids)[:, None])[:, 0]


@pytest.mark.vllm
@needs_vllm
def test_it_conforms(
    policy: Policy,
    build: Callable[..., VllmEngine],
    prompts: list[list[int]],
    live: StackedAdapters,
    tmp_path: Path,
) -> None:
    move(live, 9, 0.2)
    live.save(0, tmp_path / "adapter")
    check_engine(build, policy, prompts[:5], live=live)
    live.remove()
    check_engine(build, policy, prompts[:5], str(tmp_path / "adapter"))


@pytest.mark.vllm
@needs_vllm
def test_eight_adapters_mixed_say_what_the_trainers_own_model_says_after_every_refresh(
    policy: Policy, prompts: list[list[int]], live: StackedAdapters, engine: VllmEngine
) -> None:
    own = TransformersEngine(policy)
    own.refresh(live)
    rows = [(prompt, place) for prompt in prompts for place in range(8)]
    asked, places = [prompt for prompt, _ in rows], [place for _, place in rows]
    draws = [(3, row) for row in range(len(rows))]
    state, threads, before = torch.get_rng_state(), torch.get_num_threads(), []
    for version in range(4):
        engine.refresh(live)
        greedy = engine.complete(asked, GREEDY, places, draws)
        assert greedy == own.complete(asked, GREEDY, places, draws)
        assert greedy not in before
        before.append(greedy)
        sampled, found = engine.rollouts(asked, SAMPLED, places, draws)
        assert found is not None
        gaps = [
            (torch.tensor(row) - logps(policy, live, place, prompt, ids, SAMPLED.temperature)).abs().max()
            for (prompt, place), ids, row in zip(rows, sampled, found, strict=True)
        ]
        assert max(gaps) < 1e-4
        fixed = engine.log_probabilities(asked, [ids[0] for ids in sampled], places)
        for (prompt, place), ids, value in zip(rows, sampled, fixed, strict=True):
            assert abs(value - logps(policy, live, place, prompt, ids[:1], 1.0).item()) < 1e-4
        assert torch.equal(torch.get_rng_state(), state), "the trainer's random numbers are its own"
        assert torch.get_num_threads() == threads
        move(live, version + 2)
        state = torch.get_rng_state()


@pytest.mark.vllm
@needs_vllm
def test_adapters_of_other_ranks_whole_models_and_the_base_share_a_call(
    policy: Policy, prompts: list[list[int]], tmp_path: Path
) -> None:
    from peft import LoraConfig

    folders: list[str | None] = [None]
    for rank in (4, 12):
        adapters = StackedAdapters(policy.model, LoraConfig(r=rank, lora_alpha=8, target_modules=TARGETS), 1)
        move(adapters, rank, 0.2)
        folders.append(str(tmp_path / str(rank)))
        adapters.save(0, str(folders[-1]))
        adapters.remove()
    whole = load_policy(str(policy_path()), "cpu")
    with torch.no_grad():
        for parameter in whole.model.parameters():
            parameter.mul_(1.05)
    whole.model.save_pretrained(tmp_path / "whole")
    whole.tokenizer.save_pretrained(tmp_path / "whole")
    folders.append(str(tmp_path / "whole"))
    asked = [prompt for prompt in prompts for _ in folders]
    wanted = folders * len(prompts)
    draws = [(1, row) for row in range(len(asked))]
    found = VllmEngine(policy).complete(asked, GREEDY, wanted, draws)
    assert found == TransformersEngine(policy).complete(asked, GREEDY, wanted, draws)
    assert len({tuple(ids) for ids in found[:4]}) > 1


@pytest.mark.vllm
@needs_vllm
def test_what_it_cannot_serve_is_named(policy: Policy, prompts: list[list[int]], tmp_path: Path) -> None:
    from peft import LoraConfig

    adapters = StackedAdapters(policy.model, LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS), 1)
    with torch.no_grad():
        adapters.parameters()[0].fill_(float("nan"))
    adapters.save(0, tmp_path / "broken")
    adapters.remove()
    engine, draw = VllmEngine(policy), [(1, 0)]
    with pytest.raises(FloatingPointError, match="not finite"):
        engine.complete(prompts[:1], GREEDY, [str(tmp_path / "broken")], draw)
    with pytest.raises(UserError, match=r"adapter_config\.json"):
        engine.complete(prompts[:1], GREEDY, [str(tmp_path)], draw)
    whole: Any = type("Whole", (), {"count": 1, "save": lambda self, place, folder: Path(folder).mkdir(parents=True)})()
    with pytest.raises(UserError, match="LoRA adapters alone"):
        engine.refresh(whole)


@pytest.mark.vllm
@needs_vllm
def test_stop_strings_end_completions_where_transformers_ends_them(prompts: list[list[int]]) -> None:
    plain = load_policy(str(policy_path()), "cpu")
    [full] = TransformersEngine(plain).complete(prompts[:1], GREEDY, [None], [(0, 0)])
    word = plain.texts([full])[0].split()[3]
    policy = load_policy(str(policy_path()), "cpu", format=PromptFormat(stop_strings=(word,)))
    draws = [(0, row) for row in range(len(prompts))]
    found = VllmEngine(policy).complete(prompts, GREEDY, [None] * len(prompts), draws)
    assert found == TransformersEngine(policy).complete(prompts, GREEDY, [None] * len(prompts), draws)
    assert len(found[0]) < len(full)


@pytest.mark.vllm
@needs_vllm
def test_jobs_that_share_a_server_each_sample_from_their_own_adapters(
    policy: Policy, prompts: list[list[int]], live: StackedAdapters, address: str
) -> None:
    """Four jobs at once, whose adapters are other ones under the same places."""
    own, expected = TransformersEngine(policy), []
    engines = [VllmEngine(policy, server=address) for _ in range(4)]
    asked, places = [prompt for prompt in prompts for _ in range(2)], [0, 1] * len(prompts)
    draws = [(3, row) for row in range(len(asked))]
    for seed, engine in enumerate(engines):
        move(live, seed, 0.2)
        own.refresh(live)
        engine.refresh(live)
        expected.append(own.complete(asked, GREEDY, places, draws))
    with ThreadPoolExecutor(4) as jobs:
        found = list(jobs.map(lambda engine: engine.complete(asked, GREEDY, places, draws), engines))
    assert found == expected
    assert len({str(completions) for completions in found}) == 4
    held = {model["id"] for model in ServerClient(address).ask("/v1/models")["data"]}
    del engine, engines, jobs
    gc.collect()
    left = {model["id"] for model in ServerClient(address).ask("/v1/models")["data"]}
    assert len(held - left) == 8, "two of each job's"


@pytest.mark.vllm
@needs_vllm
def test_what_a_server_at_an_address_refuses_is_named(
    policy: Policy, prompts: list[list[int]], address: str, tmp_path: Path
) -> None:
    from peft import LoraConfig

    adapters = StackedAdapters(policy.model, LoraConfig(r=64, lora_alpha=8, target_modules=TARGETS), 1)
    adapters.save(0, tmp_path / "wide")
    adapters.remove()
    engine = VllmEngine(policy, server=address)
    with pytest.raises(EngineUnusable, match=r"does not take the adapter .*rank.*--max-lora-rank"):
        engine.complete(prompts[:1], GREEDY, [str(tmp_path / "wide")], [(1, 0)])
    model: Any = engine._model
    with pytest.raises(EngineUnusable, match="server and jobs need the same files under the same paths"):
        model._load("/nowhere/at/all")


@pytest.mark.vllm
@pytest.mark.slow
@needs_vllm
def test_a_job_starts_its_server_makes_it_larger_and_loses_it(
    policy: Policy, prompts: list[list[int]], live: StackedAdapters, tmp_path: Path
) -> None:
    engine = build_engine(EngineSettings(name="vllm", options={"server": "start"}), policy, 8, tmp_path)
    assert isinstance(engine, VllmEngine)
    draws = [(1, row) for row in range(len(prompts))]
    own = TransformersEngine(policy)
    assert engine.complete(prompts, GREEDY, [None] * 8, draws) == own.complete(prompts, GREEDY, [None] * 8, draws)
    first = engine._model
    engine.refresh(live)
    own.refresh(live)
    places = list(range(8))
    assert engine.complete(prompts, GREEDY, places, draws) == own.complete(prompts, GREEDY, places, draws)
    model = engine._model
    assert isinstance(first, StartedModel)
    assert isinstance(model, StartedModel)
    assert first._process.ended() == "was killed by SIGKILL"
    assert (tmp_path / LOG_FILE).stat().st_size > 0
    os.kill(model._process._process.pid, signal.SIGKILL)
    with pytest.raises(EngineLost, match=r"the vLLM server of this job was killed by SIGKILL .*vllm\.txt"):
        engine.complete(prompts, GREEDY, places, draws)
    engine.refresh(None)
    until = time.monotonic() + 60
    while session_of(model._process._process.pid):
        assert time.monotonic() < until, "what the server started outlives it"
        time.sleep(0.1)


def session_of(leader: int) -> list[int]:
    """Processes of that session that run."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.Error, ProcessLookupError):
            continue
    return found


@pytest.mark.vllm
@pytest.mark.slow
@needs_vllm
def test_the_server_of_a_job_that_is_killed_ends(policy: Policy, tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from eval.engines.vllm_process import ServerProcess
from eval.engines.vllm_server import ServerClient
process = ServerProcess({"model": sys.argv[1], "enforce_eager": True}, Path(sys.argv[2]))
while not ServerClient(process.socket).healthy():
    assert process.ended() is None
print(process._process.pid, flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", script, policy.source, str(tmp_path)]
    job = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    server = int(job.stdout.readline())
    assert len(session_of(server)) > 1, "the server, and the process of its model"
    job.kill()
    job.wait()
    until = time.monotonic() + 60
    while session_of(server):
        assert time.monotonic() < until, "the server outlives its job"
        time.sleep(0.1)
