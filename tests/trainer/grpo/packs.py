"""Packs and the single runs that they must equal: scripted rewards, forced completions, float64."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from eval.engines.base import Rollouts
from eval.engines.policy import Policy, load_policy
from eval.engines.transformers_engine import TransformersEngine
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.rollout import Sample
from rewards_generated.score import Score
from rewards_generated.scorer import EnsembleScorer
from tests.trainer.tiny import Sums, training_run
from trainer.grpo.callbacks import CHECKPOINT_SECONDS
from trainer.grpo.rewards import RolloutScoring
from trainer.grpo.training import Training
from trainer.jobs.train import TrainingRun, TrainJob

VOCABULARY = range(5, 33)
END = 1


class Formula:
    """A reward whose value depends on the completion; about one sample in `gap` cannot be scored."""

    def __init__(self, scale: float, gap: int | None) -> None:
        self.scale, self.gap = scale, gap

    def score(self, samples: Sequence[Sample], groups: object = None) -> list[Score]:
        return [self._score(sample.completion) for sample in samples]

    def _score(self, completion: str) -> Score:
        if self.gap and sum(map(ord, completion)) % self.gap == 0:
            return Score(None, "scripted failure")
        return Score(self.scale * (len(completion) % 7 + completion.count("1")))

    def close(self) -> None: ...


def member_run(base: Path, name: str, scale: float = 1.0, gap: int | None = None, **changes: Any) -> TrainingRun:
    """A job whose only reward is a `Formula`, its weight with a `schedule` or without."""
    aggregation = changes.pop("aggregation", "sum")
    frozen = {"mean": 3.0, "std": 2.5} if aggregation == "zscore" else {}
    member = Member(name=name, code=f"# {scale} {gap or 0} {name}", schedule=changes.pop("schedule", None), **frozen)
    ensemble = Ensemble(name=name, members=(member,), aggregation=aggregation)
    fields = {"ensemble": ensemble, "label": name, "failure_rate_limit": 1.0, **changes}
    return training_run(base, **fields)


def scoring_of(job: TrainingRun) -> RolloutScoring:
    def worker(code: str, settings: object) -> Formula:
        _, scale, gap, _ = code.split(" ")
        return Formula(float(scale), int(gap) or None)

    return RolloutScoring(
        EnsembleScorer(job.ensemble, worker=worker),
        Sums({}),
        generations=job.grpo.generations,
        steps=job.grpo.steps,
        failure_rate_limit=job.failure_rate_limit,
    )


def exact_policy(base: Path, dtype: str = "float64") -> Policy:
    torch.set_num_threads(1)
    policy = load_policy(str(base), "cpu")
    policy.model.to(getattr(torch, dtype))
    return policy


def forced(job: TrainingRun, step: int, rows: int) -> list[list[int]]:
    """Completions that are a function of the job's name and the step, of various lengths, some without an end."""
    draws = torch.Generator().manual_seed(sum(map(ord, job.label)) * 1000 + step)
    limit = job.grpo.max_completion_tokens
    completions = []
    for _ in range(rows):
        length = int(torch.randint(1, limit + 1, (1,), generator=draws))
        ids = torch.randint(VOCABULARY.start, VOCABULARY.stop, (length,), generator=draws).tolist()
        completions.append([*ids[:-1], END] if length < limit else ids)
    return completions


def pack_run(
    base: Path,
    folder: Path,
    jobs: Sequence[TrainingRun],
    force: bool = True,
    dtype: str = "float64",
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    **fields: Any,
) -> Training:
    """`fields`: of the `TrainJob`, beside its members."""
    policy = exact_policy(base, dtype)
    job = TrainJob.of(*jobs, label="pack", **fields)
    run = Training(
        job, policy, TransformersEngine(policy), Sums({}), [scoring_of(job) for job in jobs], folder, checkpoint_seconds
    )
    if force:

        def rollouts(prompts: list[list[int]], members: list[int], step: int) -> Rollouts:
            found = {place: forced(jobs[place], step, members.count(place)) for place in dict.fromkeys(members)}
            return [completion for place in found for completion in found[place]], None

        run._trainer._rollouts = rollouts
    return run


def plain_trl(
    base: Path, folder: Path, job: TrainingRun, dtype: str = "float64"
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The trained weights and the logs of TRL's own trainer on the same forced completions."""
    from datasets import Dataset
    from peft import get_peft_model_state_dict
    from transformers import PrinterCallback
    from trl import GRPOTrainer

    from trainer.determinism import prompt_order
    from trainer.grpo.arguments import dataset_row, grpo_arguments
    from trainer.policy import lora_config

    class Forced(GRPOTrainer):  # type: ignore[misc]
        def _generate_single_turn(self, prompt_ids: Any, *arguments: Any, **options: Any) -> Any:
            return forced(job, self.state.global_step + 1, len(prompt_ids)), None

    policy = exact_policy(base, dtype)
    examples = prompt_order(Sums({}).examples("train"), job.grpo.steps * job.grpo.prompts_per_step, job.seed)
    trainer = Forced(
        model=policy.model,
        processing_class=policy.tokenizer,
        reward_funcs=scoring_of(job).reward,
        args=grpo_arguments(job, folder, "cpu"),
        train_dataset=Dataset.from_list([dataset_row(example) for example in examples]),
        peft_config=lora_config(job.lora) if job.tuning == "lora" else None,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    weights = get_peft_model_state_dict(trainer.model) if job.tuning == "lora" else trainer.model.state_dict()
    return weights, logs
