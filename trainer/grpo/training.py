"""GRPO of one or several candidates at once, on one base policy: the trainer, the curves and what is trained."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.engines.base import GenerationEngine, Rollouts, Sampling
from eval.engines.policy import Policy
from eval.tasks.base import Task
from trainer.algorithms import Scoring, algorithm_of
from trainer.grpo.arguments import check, dataset_row, grpo_arguments, prompt_batches, rollout_seed, scale_of
from trainer.grpo.callbacks import CHECKPOINT_SECONDS, step_end_callback
from trainer.grpo.canary import Canary
from trainer.grpo.checkpoint import Checkpoint, has_room
from trainer.grpo.rewards import RunUnscored
from trainer.grpo.scoring import PackScoring
from trainer.grpo.tuned import tuned
from trainer.jobs.folder import CHECKPOINT
from trainer.jobs.train import TrainJob

logger = logging.getLogger(__name__)

_LOGGED = {
    "loss": "loss",
    "grad_norm": "gradient_norm",
    "learning_rate": "learning_rate",
    "entropy": "entropy",
    "kl": "kl",
    "completions/clipped_ratio": "truncated",
    "sampling/sampling_logp_difference/mean": "sampling_gap_mean",
    "sampling/sampling_logp_difference/max": "sampling_gap_max",
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
        """One entry per step, as `RunResult.curves` describes."""
        return tuple({**entry, **self.by_step.get(step, {})} for step, entry in sorted(curve.items()))


class Training:
    """The runs of a job, each as it would be by itself.

    A member that fails leaves the batch and the others go on. `folder` receives nothing until `save`.
    """

    def __init__(
        self,
        job: TrainJob,
        policy: Policy,
        engine: GenerationEngine,
        task: Task,
        scorings: Sequence[Scoring],
        folder: Path,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        """`engine`: samples the rollouts, of `policy`. `scorings`: of each member. Goes on from a checkpoint in
        `folder`, if there is one, else from the members' origins, whose folders lie beside it.

        Raises UserError for settings that do not fit together.
        """
        for member in job.members:
            check(member, task)
        self.job = job
        self.policy = policy
        self.engine = engine
        self.scoring = PackScoring(scorings, [member.label for member in job.members], job.shared.prompt_format.cut)
        self.seconds = {"train": 0.0, "generate": 0.0}
        several = len(job.members) > 1
        self.figures = [LoggedFigures(member.grpo.steps, member.label if several else "") for member in job.members]
        self.tuned = tuned(job, policy)
        self._checkpoint = Checkpoint(folder / CHECKPOINT)
        origins = [Checkpoint(folder.parent / origin / CHECKPOINT) for origin in job.origins]
        if origins and not self._checkpoint.exists:
            self._checkpoint.gather([member.digest for member in job.members], origins)
        self._start = origins[0].step if origins else 0
        self._checkpoint_seconds = checkpoint_seconds
        self._trainer = self._build(task, folder)
        self._canary = Canary(engine, job.shared.engine.name, policy.model, self.tuned, self._trainer.accelerator)

    @property
    def failures(self) -> dict[int, str]:
        """Member -> the sentence saying why it is unscored."""
        return self.scoring.failures

    def train(self) -> None:
        """Trains until the last step or the job's stop, or until no member is left."""
        self._started = time.perf_counter()
        try:
            if not self._checkpoint.exists:
                self._trainer.train()
                return
            self._restore(self._checkpoint.read()["kept"])
            if self._checkpoint.step == self.job.stop:
                self._trainer.take_weights()
            else:
                self._trainer.train(resume_from_checkpoint=str(self._checkpoint.folder))
        except RunUnscored:
            if self.scoring.alive:
                raise
        finally:
            self.seconds["train"] = self._trained_seconds()
            self.seconds["score"] = self.scoring.seconds
            self.scoring.close()
            self.engine.refresh(None)
            shutil.rmtree(self._trainer.args.output_dir, ignore_errors=True)

    def curves(self, member: int) -> tuple[dict[str, Any], ...]:
        """One entry per step, as `RunResult.curves` describes."""
        return self.figures[member].curves(self.scoring.scorings[member].curve)

    def save(self, member: int, folder: Path) -> None:
        """Writes the member's PEFT adapter, or the whole model, in place of whatever lies there."""
        shutil.rmtree(folder, ignore_errors=True)
        self.tuned.save(member, folder)
        (folder / "README.md").unlink(missing_ok=True)

    def release(self) -> None:
        """The policy is the base again (after tuning `full`, the tuned one); the training is over."""
        self.tuned.remove()
        self.policy.model.eval()

    def forget(self) -> None:
        """Removes the checkpoint, where no other job goes on from it: the results are written."""
        if self.job.stop is None or not self.scoring.alive:
            self._checkpoint.remove()

    def record(self, member: int, logs: dict[str, Any]) -> None:
        """Takes over a member's figures of a step; a member whose weights stopped being finite has failed."""
        step = self._trainer.state.global_step
        try:
            self.figures[member].record(step, logs, self.scoring.scorings[member].curve)
        except RunUnscored as error:
            self.scoring.fail(member, str(error))

    def alive(self) -> list[int]:
        """Members that train in the coming step. Raises RunUnscored if none is left."""
        for member, finite in enumerate(self.tuned.finite()):
            if not finite:
                what = "adapter" if self.job.shared.tuning == "lora" else "policy"
                self.scoring.fail(member, f"the {what} holds values that are not finite")
        if not self.scoring.alive:
            raise RunUnscored("no run is left")
        return self.scoring.alive

    def rollouts(self, prompts: list[list[int]], members: list[int], step: int, layer: int = 1) -> Rollouts:
        """One sampled completion per prompt, each member's with the draws that a run of its own sees."""
        settings = self.job.shared.grpo
        started = time.perf_counter()
        drawn = dict.fromkeys(members, 0)
        draws = []
        for member in members:
            draws.append((rollout_seed(self.job.members[member].seed, step, layer), drawn[member]))
            drawn[member] += 1
        try:
            sampling = Sampling(settings.max_completion_tokens, settings.temperature)
            found = self.engine.rollouts(prompts, sampling, members, draws)
            self._canary.watch(prompts, found[0], members)
            self.engine.rest()
            return found
        finally:
            self.seconds["generate"] += time.perf_counter() - started

    def _refresh(self) -> None:
        self.engine.refresh(self.tuned)
        self._canary.check(self._trainer.state.global_step, self.scoring.alive)

    def _kept(self) -> dict[str, Any]:
        """What a checkpoint holds of the rollouts and figures so far."""
        return {
            "members": [member.digest for member in self.job.members],
            "scorings": [scoring.state() for scoring in self.scoring.scorings],
            "figures": [figures.by_step for figures in self.figures],
            "failures": dict(self.scoring.failures),
            "seconds": {**self.seconds, "score": self.scoring.seconds, "train": self._trained_seconds()},
        }

    def _restore(self, kept: dict[str, Any]) -> None:
        for scoring, state in zip(self.scoring.scorings, kept["scorings"], strict=True):
            scoring.restore(state)
        for figures, by_step in zip(self.figures, kept["figures"], strict=True):
            figures.by_step = by_step
        self.scoring.failures = kept["failures"]
        self.scoring.seconds = kept["seconds"]["score"]
        self.seconds = {"train": kept["seconds"]["train"], "generate": kept["seconds"]["generate"]}

    def _trained_seconds(self) -> float:
        return self.seconds["train"] + time.perf_counter() - self._started

    def _build(self, task: Task, folder: Path) -> Any:
        from datasets import Dataset
        from transformers import PrinterCallback

        settings, members = self.job.shared.grpo, self.job.members
        train = task.examples("train")
        batches = {member.seed: prompt_batches(member, train) for member in members}
        # Rows of a step stand together by member, and each member's in the order of a run of its own.
        rows = [
            {**dataset_row(example), "member": place}
            for step in range(settings.steps)
            for place, member in enumerate(members)
            for example in batches[member.seed][step]
        ]
        per_member = settings.completions_per_forward or settings.completions
        kind, own = algorithm_of(self.job.shared.algorithm).trainer(self.scoring.scorings)
        trainer = kind(
            **own,
            tuned=self.tuned,
            alive=self.alive,
            rollouts=self.rollouts,
            ended=self.policy.ended,
            beta=settings.beta,
            record=self.record,
            checkpoint=self._checkpoint,
            kept=self._kept,
            callbacks=[
                step_end_callback(
                    folder,
                    self._refresh,
                    start=self._start,
                    stop=self.job.stop,
                    every_seconds=self._seconds_between_checkpoints(folder),
                )
            ],
            importance_weights=self.engine.importance_weights,
            batch_scaled={place for place, member in enumerate(members) if scale_of(member) == "batch"},
            model=self.policy.model,
            processing_class=self.policy.tokenizer,
            reward_funcs=self.scoring.reward,
            args=grpo_arguments(
                self.job.shared,
                folder,
                self.policy.model.device.type,
                beta=0.0,
                scale_rewards="none" if settings.scale_advantages == "none" else "group",
                per_device_train_batch_size=per_member * len(members),
            ),
            train_dataset=Dataset.from_list(rows),
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _seconds_between_checkpoints(self, folder: Path) -> float:
        if has_room(folder, sum(weight.numel() for weight in self.tuned.parameters())):
            return self._checkpoint_seconds
        logger.warning("the disk has no room for checkpoints: an interrupted run will begin again")
        return float("inf")
