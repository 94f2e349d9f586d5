"""Runs with two layers on scripted completions: forced tokens, rewards by formula, float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from eval.engines.base import Rollouts
from eval.engines.policy import Policy
from eval.engines.transformers_engine import TransformersEngine
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.scorer import EnsembleScorer
from tests.trainer.grpo.packs import Formula, exact_policy, forced
from tests.trainer.tiny import Sums, training_run
from trainer.algorithms import Scoring, algorithm_of
from trainer.grpo.training import Training
from trainer.jobs.train import TrainingRun, TrainJob


def layered_run(base: Path, name: str, scale: float = 1.0, gap: int | None = None, **changes: Any) -> TrainingRun:
    """A run whose only reward is a `Formula`; `multilayer` are the options of its algorithm, `changes` replace fields
    of the run."""
    members = (Member(name=name, code=f"# {scale} {gap or 0} {name}"),)
    ensemble = Ensemble(name=name, members=members, aggregation=changes.pop("aggregation", "sum"))
    algorithm = {"name": "multilayer", "options": changes.pop("multilayer", {})}
    fields = {"ensemble": ensemble, "label": name, "failure_rate_limit": 1.0, "algorithm": algorithm, **changes}
    return training_run(base, **fields)


def scoring_of(run: TrainingRun) -> Scoring:
    def worker(code: str, settings: object) -> Formula:
        _, scale, gap, _ = code.split(" ")
        return Formula(float(scale), int(gap) or None)

    return algorithm_of(run.algorithm).scoring(run, EnsembleScorer(run.ensemble, worker=worker), Sums({}))


def pack_run(
    base: Path, folder: Path, runs: Sequence[TrainingRun], force: bool = True, dtype: str = "float64", **fields: Any
) -> Training:
    """`fields`: of the `TrainJob`, beside its members."""
    policy = doubly_exact_policy(base, dtype)
    job = TrainJob.of(*runs, label="pack", **fields)
    training = Training(job, policy, TransformersEngine(policy), Sums({}), [scoring_of(run) for run in runs], folder)
    read_prompts_once(training._trainer)
    if force:

        def rollouts(prompts: list[list[int]], members: list[int], step: int, layer: int = 1) -> Rollouts:
            found = {
                place: forced(runs[place], step + 100 * layer, members.count(place)) for place in dict.fromkeys(members)
            }
            return [completion for place in found for completion in found[place]], None

        training._trainer._rollouts = rollouts
    return training


def doubly_exact_policy(base: Path, dtype: str = "float64") -> Policy:
    """Llama takes rotations and norms in float32, whatever its type: so they depend on the padding before a prompt and
    on which rows share one. Second prompts differ in both between runs. Here the whole model has one type."""
    policy = exact_policy(base, dtype)
    rotations = policy.model.model.rotary_emb

    def rotate(x: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        angles = position_ids[..., None].double() * rotations.inv_freq.double()
        angles = torch.cat([angles, angles], dim=-1)
        return angles.cos().to(x.dtype), angles.sin().to(x.dtype)

    def exactly(norm: Any) -> Callable[[torch.Tensor], torch.Tensor]:
        def forward(x: torch.Tensor) -> torch.Tensor:
            return norm.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)

        return forward

    rotations.forward = rotate
    for module in policy.model.modules():
        if type(module).__name__ == "LlamaRMSNorm":
            module.forward = exactly(module)
    return policy


def read_prompts_once(trainer: Any) -> None:
    """As a CPU does in production. TRL's own head would round what is exact here to single precision."""
    trainer._shares_prompts = lambda *_: True
