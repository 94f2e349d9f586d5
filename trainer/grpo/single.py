"""GRPO (Shao et al. 2024, arXiv 2402.03300) of one policy against one ensemble, on TRL's trainer."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.engines.adapters import merged
from eval.engines.decoding import decode, uniform_draws
from eval.engines.policy import Policy
from eval.tasks.base import Example, Task
from rewards_generated.errors import UserError
from trainer.determinism import derived_seed, prompt_order
from trainer.grpo.rewards import RolloutScoring, RunUnscored
from trainer.grpo.saving import CHECKPOINT_SECONDS, saving_callback
from trainer.grpo.single_checkpoint import has_room, keeping_callback, last_checkpoint, read_kept
from trainer.jobs.train import TrainJob
from trainer.multilayer.scoring import LayeredScoring

logger = logging.getLogger(__name__)

_SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}
_OPTIMIZERS = {"adamw_torch": "adamw_torch", "adamw_8bit": "adamw_8bit"}
_LOGGED = {
    "loss": "loss",
    "grad_norm": "gradient_norm",
    "learning_rate": "learning_rate",
    "entropy": "entropy",
    "kl": "kl",
    "completions/clipped_ratio": "truncated",
    "frac_reward_zero_std": "groups_without_spread",
}
"""TRL's name of a logged figure -> ours."""


class LoggedFigures:
    """What TRL logs of each step of one run, in our names, beside the figures that come from the rollouts."""

    def __init__(self, steps: int, label: str = "") -> None:
        """`label`: said before each line in the log, where there are several runs in one."""
        self.by_step: dict[int, dict[str, Any]] = {}
        self._steps = steps
        self._label = f"{label}: " if label else ""

    def record(self, step: int, logs: dict[str, Any], curve: Mapping[int, dict[str, Any]]) -> None:
        """Takes over a step's figures. Raises RunUnscored if the weights stopped being finite."""
        entry = {ours: logs[theirs] for theirs, ours in _LOGGED.items() if theirs in logs}
        if not entry:
            return
        self.by_step[step] = {
            name: value if value is not None and math.isfinite(value) else None for name, value in entry.items()
        }
        for figure in ("loss", "gradient_norm"):
            if not math.isfinite(entry.get(figure, 0.0)):
                raise RunUnscored(f"training diverged at step {step}: {figure} is {entry[figure]}")
        if step == 1 or step % 10 == 0 or step == self._steps:
            rollouts = curve[step]
            logger.info(
                "%sstep %d/%d  reward %s  accuracy %.3f  tokens %.1f  entropy %.3f",
                self._label,
                step,
                self._steps,
                "none" if rollouts["reward_mean"] is None else f"{rollouts['reward_mean']:.3f}",
                rollouts["accuracy"],
                rollouts["completion_tokens"],
                entry.get("entropy") or math.nan,
            )

    def curves(self, curve: Mapping[int, dict[str, Any]]) -> tuple[dict[str, Any], ...]:
        """One entry per step, as `TrainResult.curves` describes."""
        return tuple({**entry, **self.by_step.get(step, {})} for step, entry in sorted(curve.items()))


class GrpoRun:
    """One GRPO run: the trainer, its curves, and the policy that it leaves behind.

    Trains `policy` in place. `folder` receives nothing until `save`.
    """

    def __init__(
        self,
        job: TrainJob,
        policy: Policy,
        task: Task,
        scoring: RolloutScoring | LayeredScoring,
        folder: Path,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        """Goes on from a checkpoint of the same job in `folder`, if there is one.

        Raises UserError for settings that do not fit together.
        """
        check(job)
        self.job = job
        self.policy = policy
        self.scoring = scoring
        self.seconds = {"train": 0.0, "generate": 0.0}
        self.figures = LoggedFigures(job.grpo.steps)
        self._checkpoint_seconds = checkpoint_seconds
        self._trainer = self._build(task, folder)

    def train(self) -> None:
        """Raises RunUnscored if a reward failed too often or the weights stopped being finite."""
        checkpoints = Path(self._trainer.args.output_dir)
        checkpoint = last_checkpoint(checkpoints, self.job.digest)
        self._started = time.perf_counter()
        if checkpoint is not None:
            self._restore(read_kept(checkpoint)[1])
        try:
            self._trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except (RunUnscored, FloatingPointError):
            shutil.rmtree(checkpoints, ignore_errors=True)
            raise
        finally:
            self.seconds["train"] = self._trained_seconds()
            self.seconds["score"] = self.scoring.seconds
        shutil.rmtree(checkpoints, ignore_errors=True)

    @property
    def curves(self) -> tuple[dict[str, Any], ...]:
        """One entry per step, as `TrainResult.curves` describes."""
        return self.figures.curves(self.scoring.curve)

    def save(self, folder: Path) -> None:
        """Writes the PEFT adapter, or the whole model with its tokenizer, in place of whatever lies there."""
        shutil.rmtree(folder, ignore_errors=True)
        self._trainer.model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        if self.job.tuning == "full":
            self.policy.tokenizer.save_pretrained(folder)

    def release(self) -> Policy:
        """The base policy again (tuning `lora`), or the tuned one (`full`); the run is over."""
        model = self._trainer.model
        base = model.unload() if self.job.tuning == "lora" else model
        base.eval()
        return Policy(base, self.policy.tokenizer)

    def record(self, step: int, logs: dict[str, Any]) -> None:
        """Takes over what TRL logged for a step. Raises RunUnscored if the weights stopped being finite."""
        self.figures.record(step, logs, self.scoring.curve)

    def _kept(self) -> dict[str, Any]:
        """What a checkpoint holds of the rollouts and figures so far, as plain JSON values."""
        return {
            "scoring": self.scoring.state(),
            "figures": {str(step): figures for step, figures in self.figures.by_step.items()},
            "seconds": {**self.seconds, "train": self._trained_seconds()},
        }

    def _restore(self, kept: dict[str, Any]) -> None:
        self.scoring.restore(kept["scoring"])
        self.figures.by_step = {int(step): figures for step, figures in kept["figures"].items()}
        self.seconds.update(kept["seconds"])

    def _trained_seconds(self) -> float:
        return self.seconds["train"] + time.perf_counter() - self._started

    def rollouts(self, model: Any, prompts: list[list[int]], step: int, layer: int = 1) -> list[list[int]]:
        """Token ids of one sampled completion per prompt, with the draws that every run of this seed sees."""
        settings = self.job.grpo
        started = time.perf_counter()
        model.eval()
        try:
            with merged(model) as faster:
                return decode(
                    faster,
                    prompts,
                    stop_tokens=self.policy.stop_tokens,
                    pad_token=self.policy.tokenizer.pad_token_id,
                    max_completion_tokens=settings.max_completion_tokens,
                    temperature=settings.temperature,
                    draws=uniform_draws(
                        len(prompts), settings.max_completion_tokens, rollout_seed(self.job.seed, step, layer)
                    ),
                )
        finally:
            model.train()
            self.seconds["generate"] += time.perf_counter() - started

    def _build(self, task: Task, folder: Path) -> Any:
        from datasets import Dataset
        from transformers import PrinterCallback

        from trainer.grpo.rollout_trainer import CurveCallback, RolloutTrainer, StepsCallback

        job = self.job
        dataset = Dataset.from_list(
            [dataset_row(example) for batch in prompt_batches(job, task.examples("train")) for example in batch]
        )
        kind: type[RolloutTrainer] = RolloutTrainer
        layered: dict[str, Any] = {}
        if isinstance(self.scoring, LayeredScoring):
            from trainer.multilayer.trl_trainer import MultilayerTrainer

            kind, layered = MultilayerTrainer, {"scoring": self.scoring, "settings": job.multilayer}
        trainer = kind(
            **layered,
            rollouts=self.rollouts,
            model=self.policy.model,
            processing_class=self.policy.tokenizer,
            reward_funcs=self.scoring.reward,
            args=grpo_arguments(self.job, folder, self.policy.model.device.type),
            train_dataset=dataset,
            peft_config=lora_config(self.job) if self.job.tuning == "lora" else None,
            callbacks=[CurveCallback(self.record), StepsCallback(folder)],
        )
        if has_room(folder, sum(weight.numel() for weight in trainer.model.parameters() if weight.requires_grad)):
            trainer.add_callback(saving_callback(self._checkpoint_seconds))
            trainer.add_callback(keeping_callback(self.job.digest, self._kept))
        else:
            logger.warning("the disk has no room for checkpoints: an interrupted run will begin again")
        trainer.remove_callback(PrinterCallback)
        return trainer


def rollout_seed(seed: int, step: int, layer: int = 1) -> int:
    """Of the draws of a step's rollouts."""
    return derived_seed(seed, "rollouts" if layer == 1 else "corrections", step)


def prompt_batches(job: TrainJob, examples: Sequence[Example]) -> list[list[Example]]:
    """The questions of every step of the job."""
    steps, size = job.grpo.steps, job.grpo.prompts_per_step
    numbers = job.multilayer.prompt_batches(steps) if job.multilayer else list(range(steps))
    order = prompt_order(examples, (numbers[-1] + 1) * size, job.seed)
    return [order[number * size :][:size] for number in numbers]


def dataset_row(example: Example) -> dict[str, Any]:
    """What TRL needs of a question, and what the rewards need."""
    return {"prompt": list(example.prompt), "question": example.question, "answer": example.answer}


def lora_config(job: TrainJob) -> Any:
    """The `peft.LoraConfig` of the job."""
    from peft import LoraConfig

    lora = job.lora
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules),
    )


def scale_of(job: TrainJob) -> str:
    """What the job's advantages are divided by, in TRL's words."""
    if job.grpo.scale_advantages == "none":
        return "none"
    # The last step of TRL's normalize_then_sum scales by the whole batch.
    return "batch" if job.ensemble.aggregation == "group_normalised" else "group"


def grpo_arguments(job: TrainJob, folder: Path, device: str, **changes: Any) -> Any:
    """The `trl.GRPOConfig` of the job on a kind of device; `changes` replace fields of it."""
    from trl import GRPOConfig

    settings = job.grpo
    completions = settings.prompts_per_step * settings.generations
    per_forward = settings.completions_per_forward or completions
    reduced = job.hardware.dtype == "bfloat16"
    on_cpu = device == "cpu"
    arguments: dict[str, Any] = {
        "output_dir": str(folder / "trainer"),
        "seed": job.seed,
        "max_steps": settings.steps,
        "per_device_train_batch_size": per_forward,
        "gradient_accumulation_steps": completions // per_forward,
        "num_generations": settings.generations,
        "max_completion_length": settings.max_completion_tokens,
        "temperature": settings.temperature,
        "beta": settings.beta,
        "loss_type": settings.loss,
        "scale_rewards": scale_of(job),
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": _SCHEDULES[settings.learning_rate_schedule],
        "warmup_steps": round(settings.warmup_fraction * settings.steps),
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_gradient_norm,
        "optim": _OPTIMIZERS[settings.optimizer],
        "shuffle_dataset": False,
        "bf16": reduced,
        "gradient_checkpointing": reduced,
        "use_cpu": on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        # The newest checkpoint, and the one before it until the newest is whole.
        "save_total_limit": 2,
        "report_to": [],
        "disable_tqdm": True,
    }
    return GRPOConfig(**{**arguments, **changes})


def check(job: TrainJob) -> None:
    """Raises UserError for settings that TRL would refuse less clearly."""
    from importlib.util import find_spec

    settings = job.grpo
    completions = settings.prompts_per_step * settings.generations
    if settings.completions_per_forward and completions % settings.completions_per_forward:
        raise UserError(
            f"grpo.completions_per_forward = {settings.completions_per_forward} must divide the {completions} "
            "completions of a step (prompts_per_step x generations)"
        )
    if job.multilayer:
        parts = completions // (settings.completions_per_forward or completions)
        job.multilayer.check(settings.prompts_per_step, settings.generations, parts)
    if settings.optimizer == "adamw_8bit" and find_spec("bitsandbytes") is None:
        raise UserError("grpo.optimizer = 'adamw_8bit' needs the package bitsandbytes; install it or use 'adamw_torch'")
