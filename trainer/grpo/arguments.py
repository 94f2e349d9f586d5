"""What TRL's trainer is told of a run: its arguments, its adapter, its questions in their order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.engines.policy import require_bitsandbytes
from eval.tasks.base import Example, Task
from rewards_generated.contract import WORKED_SOLUTION
from rewards_generated.errors import UserError
from trainer.algorithms import algorithm_of
from trainer.determinism import derived_seed, prompt_order
from trainer.jobs.settings import GrpoSettings, Hardware
from trainer.jobs.train import TrainingRun

_SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}


def rollout_seed(seed: int, step: int, layer: int = 1) -> int:
    """Of the draws of a step's rollouts."""
    return derived_seed(seed, "rollouts" if layer == 1 else "corrections", step)


def prompt_batches(run: TrainingRun, examples: Sequence[Example]) -> list[list[Example]]:
    """The questions of every step of the run."""
    steps, size = run.grpo.steps, run.grpo.prompts_per_step
    numbers = algorithm_of(run.algorithm).prompt_batches(steps)
    order = prompt_order(examples, (numbers[-1] + 1) * size, run.seed)
    return [order[number * size :][:size] for number in numbers]


def dataset_row(example: Example) -> dict[str, Any]:
    """What TRL needs of a question, and what the rewards need."""
    return {
        "prompt": list(example.prompt),
        "question": example.question,
        "answer": example.answer,
        WORKED_SOLUTION: example.worked_solution,
    }


def scale_of(run: TrainingRun) -> str:
    """What the run's advantages are divided by, in TRL's words."""
    if run.grpo.scale_advantages == "none":
        return "none"
    # The last step of TRL's normalize_then_sum scales by the whole batch.
    return "batch" if run.ensemble.aggregation == "group_normalised" else "group"


def grpo_arguments(run: TrainingRun, folder: Path, device: str, **changes: Any) -> Any:
    """The `trl.GRPOConfig` of the run on a kind of device; `changes` replace fields of it."""
    from trl import GRPOConfig

    settings = run.grpo
    completions = settings.completions
    per_forward = settings.completions_per_forward or completions
    reduced = run.hardware.dtype == "bfloat16"
    on_cpu = device == "cpu"
    arguments: dict[str, Any] = {
        "output_dir": str(folder / "trainer"),
        "seed": run.seed,
        "max_steps": settings.steps,
        "per_device_train_batch_size": per_forward,
        "gradient_accumulation_steps": completions // per_forward,
        "num_generations": settings.generations,
        "max_completion_length": settings.max_completion_tokens,
        "temperature": settings.temperature,
        "beta": settings.beta,
        "loss_type": settings.loss,
        "scale_rewards": scale_of(run),
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": _SCHEDULES[settings.learning_rate_schedule],
        "warmup_steps": round(settings.warmup_fraction * settings.steps),
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_gradient_norm,
        "optim": settings.optimizer,
        "shuffle_dataset": False,
        "bf16": reduced,
        "gradient_checkpointing": reduced,
        "use_cpu": on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
    }
    return GRPOConfig(**{**arguments, **changes})


def check(run: TrainingRun, task: Task | None = None) -> None:
    """Raises UserError for settings that TRL would refuse less clearly, and rewards that the task, the run's own where
    none is given, has nothing for."""
    from eval.tasks.registry import build_task

    settings = run.grpo
    completions = settings.completions
    if settings.completions_per_forward and completions % settings.completions_per_forward:
        raise UserError(
            f"grpo.completions_per_forward = {settings.completions_per_forward} must divide the {completions} "
            "completions of a step (prompts_per_step x generations)"
        )
    algorithm_of(run.algorithm).check(settings)
    if any(member.asks_worked_solution for member in run.ensemble.members):
        questions = (task or build_task(run.task)).examples("train")
        if not any(question.worked_solution for question in questions):
            run.ensemble.require_worked_solutions(f"the task {run.task.name!r} has none")
    if names := ", ".join(map(repr, run.ensemble.seeing_groups)):
        algorithm_of(run.algorithm).require_one_prompt(f"reward {names} sees")
        if (processes := int(os.environ.get("WORLD_SIZE", "1"))) > 1:
            raise UserError(
                f"reward {names} sees whole groups, which the {processes} processes of this run (WORLD_SIZE) would "
                "divide among them; train in one process"
            )
    require_packages(settings, run.hardware)
    require_weights(run.hardware, run.tuning)


def require_weights(hardware: Hardware, tuning: str) -> None:
    """Raises UserError where every weight is to be trained, and the weights are quantised."""
    if hardware.quantization != "none" and tuning == "full":
        raise UserError(
            f"hardware.quantization = {hardware.quantization!r} leaves no weights to train in full; use LoRA, or "
            "set it to none"
        )


def require_packages(grpo: GrpoSettings, hardware: Hardware) -> None:
    """Raises UserError for what a run needs and is not installed."""
    if hardware.quantization != "none":
        require_bitsandbytes(f"hardware.quantization = {hardware.quantization!r}", "none")
    if grpo.optimizer == "adamw_8bit":
        require_bitsandbytes("grpo.optimizer = 'adamw_8bit'", "adamw_torch")
