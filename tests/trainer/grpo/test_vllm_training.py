"""Training with rollouts from vLLM: the gap in the curves, a stale adapter or cache that ends the run, a search."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import load_peft_weights

from eval.engines import vllm_process
from eval.engines.base import Adapter, EngineLost, LiveAdapters, Rollouts, Sampling
from eval.engines.policy import Policy, load_policy
from eval.engines.vllm_engine import VllmEngine
from eval.engines.vllm_model import ModelInProcess
from eval.engines.vllm_process import server_environment
from eval.engines.vllm_served import ServedModel
from eval.engines.vllm_server import StartedModel
from eval.tasks.base import TaskReference
from eval.tasks.registry import build_task
from rewards_generated.base import ANSWER_CHECK
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.scorer import EnsembleScorer
from tests.eval.engines.test_vllm_engine import needs_vllm
from tests.examples.test_executor import TINY
from tests.search.searches import run_search
from tests.trainer.tiny import training_run
from trainer.algorithms import algorithm_of
from trainer.grpo.training import Training
from trainer.jobs.base import Done, Job
from trainer.jobs.process import run_here
from trainer.jobs.train import TrainJob
from trainer.testbed import policy_path

pytestmark = [pytest.mark.vllm, needs_vllm]

TASK = TaskReference(name="testbed", options={"train": 24, "validation": 4, "test": 4})
GRPO = {"steps": 4, "prompts_per_step": 2, "generations": 4, "max_completion_tokens": 48, "learning_rate": 3e-3}


def train(engine: Callable[[Policy], VllmEngine], folder: Path, **changes: Any) -> Training:
    """A pack of four whose rewards differ in their weights."""
    members = [
        training_run(
            policy_path(),
            task=TASK,
            label=str(seed),
            ensemble=Ensemble(name=str(seed), members=(Member(name="format_approximate"), Member(name=ANSWER_CHECK))),
            grpo={**GRPO, **changes.get("grpo", {})},
            seed=seed,
            algorithm=changes.get("algorithm", "grpo"),
        )
        for seed in range(4)
    ]
    job, policy, task = TrainJob.of(*members), load_policy(str(policy_path()), "cpu"), build_task(TASK)
    scorings = [
        algorithm_of(member.algorithm).scoring(
            member, EnsembleScorer(member.ensemble, member.sandbox, answers=task), task
        )
        for member in members
    ]
    run = Training(job, policy, engine(policy), task, scorings, folder, checkpoint_seconds=0.0)
    run.train()
    return run


@pytest.mark.parametrize("algorithm", ["grpo", "multilayer"])
def test_a_pack_of_four_trains_on_its_rollouts(tmp_path: Path, algorithm: str) -> None:
    run = train(VllmEngine, tmp_path, algorithm=algorithm)
    assert run.failures == {}
    for member in range(4):
        curve = run.curves(member)
        assert len(curve) == 4
        assert all(0 <= entry["sampling_gap_mean"] <= entry["sampling_gap_max"] < 1e-4 for entry in curve)
        assert all(entry["entropy"] > 0 for entry in curve)


def sent_to_sleep(server: str | None) -> Callable[[Policy], VllmEngine]:
    """As on a GPU: on a CPU vLLM keeps its memory then, but takes no work until it is woken, and forgets its cache."""

    def build(policy: Policy) -> VllmEngine:
        engine = VllmEngine(policy, server=server)
        engine._sleep = True
        return engine

    return build


@pytest.mark.parametrize(("server", "model"), [(None, ModelInProcess), ("start", StartedModel)])
def test_a_pack_trains_alike_where_vllm_sleeps_between_rollouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str | None, model: type[ServedModel]
) -> None:
    monkeypatch.setattr(
        vllm_process, "server_environment", lambda eager, sleeps: server_environment(eager=eager, sleeps=True)
    )
    awake = train(partial(VllmEngine, server=server), tmp_path / "awake", grpo={"steps": 3})
    states = list[str]()
    for name in ("_fall_asleep", "_wake_up"):
        real = getattr(model, name)
        monkeypatch.setattr(model, name, lambda served, n=name, r=real: (states.append(n), r(served)))
    asleep = train(sent_to_sleep(server), tmp_path / "asleep", grpo={"steps": 3})
    assert states == ["_fall_asleep", "_wake_up"] * 3
    assert [asleep.curves(member) for member in range(4)] == [awake.curves(member) for member in range(4)]


class Stale(VllmEngine):
    """Takes over the adapters once."""

    def refresh(self, adapters: LiveAdapters | None) -> None:
        if adapters is None or not self._live:
            super().refresh(adapters)


class SameNames(VllmEngine):
    """Gives every version of an adapter the name of the first, as whoever loads in place does, and keeps the cache."""

    def refresh(self, adapters: LiveAdapters | None) -> None:
        if self._model is not None:
            self._model._count = 0
        super().refresh(adapters)


def test_a_stale_adapter_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not sample from the adapters in training"):
        train(Stale, tmp_path)


def test_a_stale_prefix_cache_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not sample from the adapters in training"):
        train(SameNames, tmp_path)


class OnServer(VllmEngine):
    def __init__(self, policy: Policy) -> None:
        super().__init__(policy, server="start")


class Killed(OnServer):
    """Its server is killed before the rollouts of the third step."""

    def rollouts(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        adapters: Sequence[Adapter],
        draws: Sequence[tuple[int, int]],
    ) -> Rollouts:
        if self._version == 3:
            model: Any = self._model
            os.kill(model._process._process.pid, signal.SIGKILL)
        return super().rollouts(prompts, sampling, adapters, draws)


@pytest.mark.slow
def test_a_run_whose_server_is_killed_goes_on_from_its_checkpoint_to_the_same_end(tmp_path: Path) -> None:
    whole = train(OnServer, tmp_path / "whole")
    with pytest.raises(EngineLost, match="was killed by SIGKILL"):
        train(Killed, tmp_path / "killed")
    again = train(OnServer, tmp_path / "killed")
    for member in range(4):
        assert again.curves(member) == whole.curves(member)
        assert again.scoring.scorings[member].samples == whole.scoring.scorings[member].samples
        for run in (whole, again):
            run.save(member, tmp_path / f"{member}-{run is whole}")
        one, other = (load_peft_weights(str(tmp_path / f"{member}-{which}"), device="cpu") for which in (True, False))
        assert all(torch.equal(weight, other[name]) for name, weight in one.items())


class InThisProcess:
    """Runs jobs one after the other, so that vLLM is imported once."""

    name = "here"

    def __init__(self, parallel_jobs: int = 1, job_timeout_seconds: float | None = None) -> None: ...

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        return run_here(jobs, folder)


def test_a_search_with_packs_of_four_comes_to_its_leaderboard(tmp_path: Path) -> None:
    search = {**TINY["search"], "candidates_per_round": 3, "base_rollouts": {"questions": 24, "per_question": 2}}
    screening = {**TINY["screening"], "control_seeds": 1}
    screening["grpo"] = {**screening["grpo"], "steps": 3, "learning_rate": 3e-3, "warmup_fraction": 0.0}
    changes = {**TINY, "search": search, "screening": screening}
    executor = {"name": f"{__name__}:InThisProcess", "pack": 4}
    code, run = run_search(tmp_path, engine={"name": "vllm"}, executor=executor, **changes)
    assert code == 0
    names = [entry["name"] for entry in json.loads((run / "leaderboard.json").read_text(encoding="utf-8"))]
    assert "top-2" in names
    jobs = [json.loads(path.read_text(encoding="utf-8")) for path in (run / "jobs").glob("*/job.json")]
    packs = [job for job in jobs if job["kind"] == "train"]
    assert max(len(pack["members"]) for pack in packs) == 4
    for pack in packs:
        for member in pack["members"]:
            assert member["engine"] == {"name": "vllm", "options": {}, "version": VllmEngine.version({})}
    results = [json.loads(path.read_text(encoding="utf-8")) for path in (run / "jobs").glob("*/result.json")]
    gaps = [entry["sampling_gap_max"] for result in results for entry in result.get("curves", ())]
    assert len(gaps) >= 12
    assert max(gaps) < 1e-4
