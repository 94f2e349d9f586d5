"""GRPO of several candidates at once, on one base policy: the trainer, the curves and the adapters of a pack."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.engines.decoding import decode, uniform_draws
from eval.engines.policy import Policy
from eval.engines.stacked_adapters import StackedAdapters
from eval.tasks.base import Task
from trainer.grpo.checkpoint import checkpoint_of
from trainer.grpo.rewards import RolloutScoring, RunUnscored
from trainer.grpo.saving import CHECKPOINT_SECONDS, saving_callback
from trainer.grpo.scoring import PackScoring
from trainer.grpo.single import (
    LoggedFigures,
    check,
    dataset_row,
    grpo_arguments,
    lora_config,
    prompt_batches,
    rollout_seed,
    scale_of,
)
from trainer.jobs.pack import PackJob
from trainer.multilayer.scoring import LayeredScoring, has_second_layer

"""So often at most, at the end of a step, a pack writes down where it is."""


class PackRun:
    """The runs of all members of a pack, each as it would be by itself.

    A member that fails leaves the batch and the others go on. `folder` receives nothing until `save`.
    """

    def __init__(
        self,
        job: PackJob,
        policy: Policy,
        task: Task,
        scorings: Sequence[RolloutScoring | LayeredScoring],
        folder: Path,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        """`scorings`: of each member. Goes on from a checkpoint in `folder`, if there is one, else from the members'
        origins, whose folders lie beside it.

        Raises UserError for settings that do not fit together.
        """
        check(job.shared)
        self.job = job
        self.policy = policy
        self.scoring = PackScoring(scorings, [member.label for member in job.members])
        self.seconds = {"train": 0.0, "generate": 0.0}
        self.figures = [LoggedFigures(member.grpo.steps, member.label) for member in job.members]
        self.adapters = StackedAdapters(policy.model, lora_config(job.shared), len(job.members))
        for place, member in enumerate(job.members):
            self.adapters.initialise(place, member.seed)
        self._checkpoint = checkpoint_of(folder)
        origins = [checkpoint_of(folder.parent / origin) for origin in job.origins]
        if origins and not self._checkpoint.exists:
            self._checkpoint.gather([member.digest for member in job.members], origins)
        self._start = origins[0].step if origins else 0
        self._checkpoint_seconds = checkpoint_seconds
        self._trainer = self._build(task, folder)

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
                self._trainer.take_adapters()
            else:
                self._trainer.train(resume_from_checkpoint=str(self._checkpoint.folder))
        except RunUnscored:
            if self.scoring.alive:
                raise
        finally:
            self.seconds["train"] = self._trained_seconds()
            self.seconds["score"] = self.scoring.seconds
            self.scoring.close()
            shutil.rmtree(self._trainer.args.output_dir, ignore_errors=True)

    def curves(self, member: int) -> tuple[dict[str, Any], ...]:
        """One entry per step, as `TrainResult.curves` describes."""
        return self.figures[member].curves(self.scoring.scorings[member].curve)

    def save(self, member: int, folder: Path) -> None:
        """Writes the member's PEFT adapter in place of whatever lies there."""
        shutil.rmtree(folder, ignore_errors=True)
        self.adapters.save(member, folder)
        (folder / "README.md").unlink(missing_ok=True)

    def release(self) -> Policy:
        """The base policy again; the run is over."""
        self.adapters.remove()
        self.policy.model.eval()
        return self.policy

    def forget(self) -> None:
        """Removes the checkpoint, where no other pack goes on from it: the results are written."""
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
        for member, finite in enumerate(self.adapters.finite()):
            if not finite:
                self.scoring.fail(member, "the adapter holds values that are not finite")
        if not self.scoring.alive:
            raise RunUnscored("no member of the pack is left")
        return self.scoring.alive

    def rollouts(
        self, model: Any, prompts: list[list[int]], members: list[int], step: int, layer: int = 1
    ) -> list[list[int]]:
        """Token ids of one sampled completion per prompt, each member's with the draws that a run of its own sees."""
        import torch

        settings = self.job.shared.grpo
        tokens = settings.max_completion_tokens
        started = time.perf_counter()
        rows = {member: members.count(member) for member in dict.fromkeys(members)}
        drawn = {}
        for member, count in rows.items():
            seed = self.job.members[member].seed
            if seed not in drawn:
                drawn[seed] = uniform_draws(count, tokens, rollout_seed(seed, step, layer))
        model.eval()
        try:
            return decode(
                model,
                prompts,
                stop_tokens=self.policy.stop_tokens,
                pad_token=self.policy.tokenizer.pad_token_id,
                max_completion_tokens=tokens,
                temperature=settings.temperature,
                draws=torch.cat([drawn[self.job.members[member].seed] for member in rows]),
                adapters=self.adapters,
                adapter_of_prompt=members,
            )
        finally:
            model.train()
            self.seconds["generate"] += time.perf_counter() - started

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

        from trainer.grpo.pack_trainer import PackTrainer
        from trainer.grpo.rollout_trainer import StepsCallback

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
        per_member = settings.completions_per_forward or settings.prompts_per_step * settings.generations
        kind: type[PackTrainer] = PackTrainer
        layered: dict[str, Any] = {}
        if has_second_layer(self.job.shared):
            from trainer.multilayer.trl_trainer import MultilayerPackTrainer

            kind = MultilayerPackTrainer
            layered = {"scorings": self.scoring.scorings, "settings": self.job.shared.multilayer}
        trainer = kind(
            **layered,
            adapters=self.adapters,
            alive=self.alive,
            rollouts=self.rollouts,
            beta=settings.beta,
            record=self.record,
            checkpoint=self._checkpoint,
            kept=self._kept,
            callbacks=[
                StepsCallback(folder, self._start),
                saving_callback(self._checkpoint_seconds, self.job.stop),
            ],
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
