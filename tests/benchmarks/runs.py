"""Training runs for benchmarks: by themselves on this project's trainer, on TRL's own loop, and read from folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from eval.engines.policy import Policy
from eval.engines.transformers_engine import TransformersEngine
from eval.tasks.base import Task
from trainer.algorithms import Scoring
from trainer.grpo.arguments import dataset_row, grpo_arguments, prompt_batches
from trainer.grpo.training import Training
from trainer.jobs.folder import JOB_FILE, RESULT_FILE
from trainer.jobs.train import RunResult, TrainingRun, TrainJob, TrainResult
from trainer.policy import lora_config


def training(
    runs: Sequence[TrainingRun], policy: Policy, task: Task, scorings: Sequence[Scoring], folder: Path
) -> Training:
    """The runs together, one by itself as a pack of one."""
    return Training(TrainJob.of(*runs), policy, TransformersEngine(policy), task, scorings, folder)


def plain_trl(run: TrainingRun, policy: Policy, task: Task, scoring: Scoring, folder: Path) -> Any:
    """TRL's own trainer for the run: its generation, its passes. It leaves PEFT's layers on the model: `unload`."""
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import GRPOTrainer

    examples = [example for batch in prompt_batches(run, task.examples("train")) for example in batch]
    trainer = GRPOTrainer(
        model=policy.model,
        processing_class=policy.tokenizer,
        reward_funcs=scoring.reward,
        args=grpo_arguments(run, folder, policy.model.device.type),
        train_dataset=Dataset.from_list([dataset_row(example) for example in examples]),
        peft_config=lora_config(run.lora),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def recorded_runs(folders: Sequence[Path]) -> Iterator[tuple[TrainingRun, RunResult]]:
    """Every training run of a whole job that ended, whose folder lies below one of these. (A search moves what its runs
    leave out of their jobs' folders; what the jobs' results say of them stays.)"""
    for path in sorted(path for folder in folders for path in folder.glob(f"*/{RESULT_FILE}")):
        described = path.with_name(JOB_FILE)
        if not described.is_file() or '"kind":"train"' not in described.read_text()[:40]:
            continue
        job = TrainJob.model_validate_json(described.read_text())
        if job.stop is None:
            yield from zip(job.members, TrainResult.model_validate_json(path.read_text()).members, strict=False)
