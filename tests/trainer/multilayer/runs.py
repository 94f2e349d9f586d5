"""Runs with two layers on scripted completions: forced tokens, rewards by formula, float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from eval.engines.policy import Policy
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.scorer import EnsembleScorer
from tests.trainer.grpo.packs import Formula, exact_policy, forced
from tests.trainer.tiny import Sums, train_job
from trainer.grpo.rewards import RolloutScoring
from trainer.grpo.run import PackRun
from trainer.grpo.single import GrpoRun
from trainer.jobs.pack import PackJob
from trainer.jobs.train import TrainJob
from trainer.multilayer.scoring import LayeredScoring, scoring_for


def layered_job(base: Path, name: str, scale: float = 1.0, gap: int | None = None, **changes: Any) -> TrainJob:
    """A job whose only reward is a `Formula`; `changes` replace fields of the job, such as `multilayer`."""
    members = (Member(name=name, code=f"# {scale} {gap or 0} {name}"),)
    ensemble = Ensemble(name=name, members=members, aggregation=changes.pop("aggregation", "sum"))
    fields = {"ensemble": ensemble, "label": name, "failure_rate_limit": 1.0, "algorithm": "multilayer", **changes}
    return train_job(base, **fields)


def scoring_of(job: TrainJob) -> RolloutScoring | LayeredScoring:
    def worker(code: str, settings: object) -> Formula:
        _, scale, gap, _ = code.split(" ")
        return Formula(float(scale), int(gap) or None)

    return scoring_for(job, EnsembleScorer(job.ensemble, worker=worker), Sums({}))


def single_run(base: Path, folder: Path, job: TrainJob, force: bool = True, dtype: str = "float64") -> GrpoRun:
    run = GrpoRun(job, doubly_exact_policy(base, dtype), Sums({}), scoring_of(job), folder)
    read_prompts_once(run._trainer)
    if force:

        def rollouts(model: Any, prompts: list[list[int]], step: int, layer: int = 1) -> list[list[int]]:
            return forced(job, step + 100 * layer, len(prompts))

        run._trainer._rollouts = rollouts
    return run


def pack_run(
    base: Path, folder: Path, jobs: Sequence[TrainJob], force: bool = True, dtype: str = "float64", **fields: Any
) -> PackRun:
    """`fields`: of the `PackJob`, beside its members."""
    pack = PackJob(label="pack", members=tuple(jobs), **fields)
    run = PackRun(pack, doubly_exact_policy(base, dtype), Sums({}), [scoring_of(job) for job in jobs], folder)
    read_prompts_once(run._trainer)
    if force:

        def rollouts(
            model: Any, prompts: list[list[int]], members: list[int], step: int, layer: int = 1
        ) -> list[list[int]]:
            found = {
                place: forced(jobs[place], step + 100 * layer, members.count(place)) for place in dict.fromkeys(members)
            }
            return [completion for place in found for completion in found[place]]

        run._trainer._pack_rollouts = rollouts
    return run


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


def weights_of(run: GrpoRun) -> dict[str, Any]:
    return {
        name.replace(".default.weight", ".weight"): parameter.detach().clone()
        for name, parameter in run._trainer.model.named_parameters()
        if parameter.requires_grad
    }
