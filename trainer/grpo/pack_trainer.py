"""TRL's GRPO trainer for several runs in one batch, each trained as if alone. Importing this imports torch and TRL."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from trl import GRPOTrainer
from trl.trainer.utils import add_fused_lm_head, nanstd

from eval.engines.base import ImportanceWeights, Rollouts
from trainer.grpo.checkpoint import Checkpoint
from trainer.grpo.shared_prompts import can_share_prompts, logps_and_entropies
from trainer.grpo.tuned import Tuned

SCALE_EPSILON = 1e-4
"""What TRL adds to a standard deviation that it divides by."""
CPU_ROWS_PER_FORWARD = 16
"""On a CPU the loss is computed for so many rows of similar length at a time, without their common padding."""

LOGITS_IN_MEMORY = 2**26
"""So many logits at once may lie in memory (256 MiB); beyond that they are computed in tiles."""

Sample = Callable[..., Rollouts]
"""(prompt token ids, member of each, step counted from 1) -> completions and, where the engine gives them, their
log-probabilities; with `layer=2` for the second layer of runs that have one."""


class _BasePolicy:
    """Stands where TRL keeps a reference model: the base without any adapter, which needs no second copy."""


class PackTrainer(GRPOTrainer):  # type: ignore[misc]
    """Every member's loss is TRL's own, computed on its rows alone; only the model's passes are shared.

    Completions come from `rollouts` instead of `model.generate`. The gradient of the sum of the members' losses is,
    adapter by adapter, that of each, because no row depends on another member's adapter. Gradients are clipped per
    adapter, and AdamW is elementwise.
    """

    _buffered_inputs: list[dict[str, Any]] | None
    _metrics: dict[str, Any]

    def __init__(
        self,
        *,
        tuned: Tuned,
        alive: Callable[[], list[int]],
        rollouts: Sample,
        ended: Callable[[Sequence[Sequence[int]]], list[bool]],
        beta: float,
        record: Callable[[int, dict[str, Any]], None],
        checkpoint: Checkpoint,
        kept: Callable[[], dict[str, Any]],
        batch_scaled: Collection[int] = (),
        importance_weights: ImportanceWeights = "none",
        **arguments: Any,
    ) -> None:
        """`alive`: the members that still train, asked before every step. `ended`: which completions came to an end by
        themselves. `record`: takes a member's figures when a
        step ends. `batch_scaled`: members whose advantages are divided by the standard deviation of all their rewards
        of the step (TRL's "batch"), whatever the arguments say of the others. `kept`: what a
        checkpoint has to hold beside the trainer's own state. `importance_weights`: of rollouts that come with
        log-probabilities."""
        # A row that no reward could score is counted and reported by the scoring; TRL would print it whole.
        logging.getLogger("trl").setLevel(logging.ERROR)
        super().__init__(**arguments)
        self._batch_scaled = batch_scaled
        self._importance_weights = importance_weights
        self._checkpoint = checkpoint
        self._kept = kept
        self._tuned = tuned
        self._alive = alive
        self._rollouts = rollouts
        self._ended = ended
        self._record_member = record
        self._members: list[int] = []
        self._row_members: list[int] = []
        self._precomputed: tuple[torch.Tensor, torch.Tensor | None] | None = None
        self._figures: dict[int, dict[str, list[float]]] = {}
        self._item_counts: dict[int, torch.Tensor] = {}
        # With beta > 0 from the start, TRL would load a second copy of a model that is no PEFT model.
        self.beta = beta
        if beta > 0 and tuned.reference is None:
            self.ref_model: Any = _BasePolicy()
        elif beta > 0:
            self.ref_model = tuned.reference
            add_fused_lm_head(self.ref_model, temperature=self.temperature)

    def _generate_single_turn(self, prompt_ids: list[list[int]], *arguments: Any, **options: Any) -> Rollouts:
        step = self.state.global_step + 1
        with self.accelerator.autocast():
            completions, sampled = self._sample(prompt_ids, step)
        ended = self._ended(completions)
        for member in self._members:
            own = [over for over, owner in zip(ended, self._row_members, strict=True) if owner == member]
            self._figures[member]["truncated"].append(own.count(False) / len(own))
        return completions, sampled

    def _sample(self, prompt_ids: list[list[int]], step: int) -> Rollouts:
        return self._rollouts(prompt_ids, self._row_members, step)

    def _calculate_rewards(self, *arguments: Any) -> torch.Tensor:
        self._rewards: torch.Tensor = super()._calculate_rewards(*arguments)
        return self._rewards

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._members = self._alive()
        self._figures = {member: defaultdict(list) for member in self._members}
        inputs = [row for row in inputs if row["member"] in self._figures]
        self._row_members = [row["member"] for row in inputs]
        self._tuned.assign(self._row_members)
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        output["member"] = torch.tensor(self._row_members, device=output["advantages"].device)
        for member in self._members:
            own = output["member"] == member
            rewards = self._rewards[own].view(-1, self.num_generations)
            spread = nanstd(rewards, dim=1)
            if member in self._batch_scaled:
                spread = nanstd(rewards.flatten())
                centred = rewards - rewards.nanmean(dim=1, keepdim=True)
                output["advantages"][own] = torch.nan_to_num(centred / (spread + SCALE_EPSILON), nan=0.0).flatten()
            still = torch.isclose(spread, torch.zeros_like(spread)).float().mean()
            self._figures[member]["groups_without_spread"].append(still.item())
            self._item_counts[member] = output["completion_mask"][own].sum()
        return output

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        """TRL's, but every micro-batch holds as many rows of each member, which stand together."""
        parts = self.args.steps_per_generation
        if self._step % parts == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            places = torch.arange(len(self._row_members)).view(len(self._members), parts, -1)
            self._buffered_inputs = [rows_of(batch, places[:, part].flatten()) for part in range(parts)]
        return self._buffered_inputs[self._step % parts]  # type: ignore[no-any-return]

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """The sum of the members' losses."""
        members = self._members
        share = len(inputs["member"]) // len(members)
        input_ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        attention_mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        self._row_members = inputs["member"].tolist()
        logps, entropies, _ = self._get_per_token_logps_and_entropies(
            model, input_ids, attention_mask, inputs["completion_ids"].size(1), compute_entropy=True
        )
        losses = []
        metrics = self._metrics
        try:
            for place, member in enumerate(members):
                own = slice(place * share, (place + 1) * share)
                self._precomputed = logps[own], entropies[own] if entropies is not None else None
                self._metrics = {"train": self._figures[member], "eval": defaultdict(list)}
                part = rows_of(inputs, own)
                part["num_items_in_batch"] = self._item_counts[member]
                self._weigh(part, logps[own].detach(), self._figures[member])
                losses.append(super()._compute_loss(model, part))
                self._figures[member]["loss"].append(losses[-1].detach())
        finally:
            self._metrics = metrics
            self._precomputed = None
            self.use_vllm = False
        return torch.stack(losses).sum()

    def _weigh(self, part: dict[str, Any], logps: torch.Tensor, figures: dict[str, list[Any]]) -> None:
        """Notes how far the log-probabilities that a member's rollouts were drawn with lie from the trainer's, and
        gives TRL's loss the weights that make up for it: truncated importance sampling (Yao et al. 2025, "Your
        efficient RL framework secretly brings you off-policy RL training"). Nothing where the engine gave none."""
        if "sampling_per_token_logps" not in part:
            return
        mask = part["completion_mask"].bool()
        gaps = torch.where(mask, logps - part["sampling_per_token_logps"], 0.0)
        figures["gaps"].append(gaps[mask].abs())
        if self._importance_weights != "none":
            if self._importance_weights == "sequence_truncate":
                gaps = gaps.sum(dim=1, keepdim=True)
            part["importance_sampling_ratio"] = gaps.exp().clamp(max=self.vllm_importance_sampling_clip_max)
            self.use_vllm = True  # as TRL's loss asks, which then multiplies by the ratio

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **options: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Log-probabilities and entropies, (rows, logits_to_keep), of rows that stand together by member.

        They go through the model in chunks of as many rows of each member, those of similar length together, so
        that a chunk has little padding and every adapter's rows stand side by side.
        """
        if self._precomputed is not None:
            return *self._precomputed, None
        adapter_of_row = None if isinstance(model, _BasePolicy) else self._row_members
        model = self.model if isinstance(model, _BasePolicy) else model
        rows, members = input_ids.size(0), len(self._members)
        share = rows // members
        per_chunk = self._rows_per_chunk(share, members, batch_size)
        width = input_ids.size(1) - logits_to_keep
        prompts, completions = attention_mask[:, :width].sum(1), attention_mask[:, width:].sum(1)
        order = completions.view(members, share).argsort(dim=1, stable=True)
        order = order + share * torch.arange(members, device=order.device)[:, None]
        chunks = [order[:, start : start + per_chunk].flatten() for start in range(0, share, per_chunk)]
        if input_ids.device.type == "cpu" and self._shares_prompts(model, input_ids.size(1)):
            if adapter_of_row is None:
                self._tuned.assign(None)
            shared = logps_and_entropies(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                temperature=self.temperature,
                compute_entropy=compute_entropy,
                chunks=chunks,
                adapter_of_row=None if adapter_of_row is None else torch.tensor(adapter_of_row),
                assign=self._tuned.assign,
                tiled=len(chunks[0]) * logits_to_keep * model.config.get_text_config().vocab_size > LOGITS_IN_MEMORY,
            )
            return *shared, None
        logps, entropies = [], []
        for chunk in chunks:
            self._tuned.assign(None if adapter_of_row is None else [adapter_of_row[row] for row in chunk.tolist()])
            kept = max(1, int(completions[chunk].max()))
            columns = slice(width - int(prompts[chunk].max()), width + kept)
            found, spread, _ = super()._get_per_token_logps_and_entropies(
                model, input_ids[chunk, columns], attention_mask[chunk, columns], kept, compute_entropy=compute_entropy
            )
            missing = (0, logits_to_keep - kept)
            logps.append(torch.nn.functional.pad(found, missing))
            if spread is not None:
                entropies.append(torch.nn.functional.pad(spread, missing))
        back = torch.cat(chunks).argsort()
        return torch.cat(logps)[back], torch.cat(entropies)[back] if entropies else None, None

    def _rows_per_chunk(self, share: int, members: int, batch_size: int | None) -> int:
        """Rows of each member that go through the model at once."""
        if batch_size is not None:
            share = min(share, max(1, batch_size // members))
        # Under checkpointing a chunk is computed again in the backward pass, when the adapters of another are assigned.
        if self.args.device.type == "cpu" and not self.args.gradient_checkpointing:
            share = min(share, max(1, CPU_ROWS_PER_FORWARD // members))
        return share

    def _shares_prompts(self, model: Any, width: int) -> bool:
        """Whether log-probabilities are computed with prompts read once; `width`: of whole rows, in tokens.

        TRL's own pass computes the logits of prompts too where no Triton is. Models in half precision keep it, and
        those in double precision, since it rounds to single.
        """
        plain = model.dtype == torch.float32 and not self.args.bf16 and not self.args.gradient_checkpointing
        return plain and can_share_prompts(model, width)

    def _clip_grad_norm(self, model: Any) -> torch.Tensor:
        """Clips each member's gradients to the norm by itself. Returns the largest of the norms before."""
        norms = self._tuned.clip_gradients(self.args.max_grad_norm)
        for member in self._members:
            self._figures[member]["gradient_norm"].append(norms[member])
        return torch.tensor(max(norms))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Whatever the coming steps depend on, and what was kept so far; an earlier checkpoint goes."""
        import random

        import numpy

        state = {
            "adapters": [parameter.detach().cpu() for parameter in self._tuned.parameters()],
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.lr_scheduler.state_dict(),
            "random": {
                "python": random.getstate(),
                "numpy": numpy.random.get_state(legacy=False),
                "torch": torch.get_rng_state(),
            },
            "kept": self._kept(),
        }
        self._checkpoint.write(self.state, state)

    def take_weights(self) -> None:
        """Takes over the trained weights of the checkpoint."""
        state = self._checkpoint.read()
        with torch.no_grad():
            for parameter, value in zip(self._tuned.parameters(), state["adapters"], strict=True):
                parameter.copy_(value)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self.take_weights()

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            state = self._checkpoint.read()
            self.optimizer.load_state_dict(state["optimizer"])
            self.lr_scheduler.load_state_dict(state["schedule"])

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            import random

            import numpy

            kept = self._checkpoint.read()["random"]
            random.setstate(kept["python"])
            numpy.random.set_state(kept["numpy"])
            torch.set_rng_state(kept["torch"])

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            for member, figures in self._figures.items():
                self._record_member(member, _step_figures(figures, logs))
        super().log(logs, start_time)


def rows_of(batch: dict[str, Any], rows: Any) -> dict[str, Any]:
    """The batch with these of its rows alone, as an index says."""
    return {
        name: value[rows] if isinstance(value, torch.Tensor) and value.ndim > 0 else value
        for name, value in batch.items()
    }


def _step_figures(figures: dict[str, list[Any]], logs: dict[str, Any]) -> dict[str, Any]:
    """A member's figures of one step under the names that TRL logs a single run's under."""
    entry: dict[str, Any] = {"learning_rate": logs["learning_rate"]} if "learning_rate" in logs else {}
    entry["loss"] = torch.stack(figures["loss"]).sum().item()
    entry["grad_norm"] = figures["gradient_norm"][-1]
    for name, theirs in (("truncated", "completions/clipped_ratio"), ("groups_without_spread", "frac_reward_zero_std")):
        if figures[name]:
            entry[theirs] = figures[name][-1]
    if figures["gaps"]:
        gaps = torch.cat(figures["gaps"])
        entry["sampling/sampling_logp_difference/mean"] = gaps.mean().item() if len(gaps) else 0.0
        entry["sampling/sampling_logp_difference/max"] = gaps.max().item() if len(gaps) else 0.0
    for name in ("entropy", "kl"):
        values: Sequence[float] = figures.get(name, [])
        if values:
            entry[name] = sum(values) / len(values)
    return entry
