"""TRL's GRPO trainer with this project's decoding. Importing this module imports torch and TRL."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback
from trl import GRPOTrainer

CPU_ROWS_PER_FORWARD = 16
"""On a CPU the loss is computed for so many rows of similar length at a time, without their common padding."""

LOGITS_IN_MEMORY = 2**26
"""So many logits at once may lie in memory (256 MiB); beyond that TRL's head computes them in tiles."""

Rollouts = Callable[[Any, list[list[int]], int], list[list[int]]]
"""(model, prompt token ids, step counted from 1) -> completion token ids."""


class RolloutTrainer(GRPOTrainer):  # type: ignore[misc]
    """Takes completions from `rollouts` instead of `model.generate`; all else is TRL's."""

    def __init__(self, *, rollouts: Rollouts, **arguments: Any) -> None:
        # A row that no reward could score is counted and reported by the scoring; TRL would print it whole.
        logging.getLogger("trl").setLevel(logging.ERROR)
        super().__init__(**arguments)
        self._rollouts = rollouts

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], *arguments: Any, **options: Any
    ) -> tuple[list[list[int]], None]:
        with self.accelerator.autocast():
            return self._rollouts(self.model, prompt_ids, self.state.global_step + 1), None

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        *arguments: Any,
        compute_aux_loss: bool = False,
        **options: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """TRL's log-probabilities and entropies, each of shape (rows, logits_to_keep), with less padding computed.

        Rows go through the model sorted by length, in chunks that are cut to their own width. Where a CPU is
        bound by arithmetic that is most of what padding costs; the figures differ by rounding alone.
        """
        compute = self._logps_and_entropies
        rows = input_ids.size(0)
        if input_ids.device.type != "cpu" or compute_aux_loss or rows <= CPU_ROWS_PER_FORWARD:
            return compute(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                *arguments,
                compute_aux_loss=compute_aux_loss,
                **options,
            )
        prompt_width = input_ids.size(1) - logits_to_keep
        prompts = attention_mask[:, :prompt_width].sum(1)
        completions = attention_mask[:, prompt_width:].sum(1)
        order = completions.argsort(stable=True)
        logps, entropies = [], []
        for chunk in order.split(CPU_ROWS_PER_FORWARD):
            kept = max(1, int(completions[chunk].max()))
            columns = slice(prompt_width - int(prompts[chunk].max()), prompt_width + kept)
            chunk_logps, chunk_entropies, _ = compute(
                model, input_ids[chunk, columns], attention_mask[chunk, columns], kept, *arguments, **options
            )
            missing = (0, logits_to_keep - kept)
            logps.append(torch.nn.functional.pad(chunk_logps, missing))
            if chunk_entropies is not None:
                entropies.append(torch.nn.functional.pad(chunk_entropies, missing))
        back = order.argsort()
        return torch.cat(logps)[back], torch.cat(entropies)[back] if entropies else None, None

    def _logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        *arguments: Any,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **options: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """TRL's figures of all rows at once; on a CPU with a small vocabulary without TRL's head.

        That head spares memory: it scores the prompt's positions too, in tiles, and does it again in the backward
        pass. With the logits of a small vocabulary in memory the same figures take a third of the time.
        """
        size = input_ids.size(0) * logits_to_keep * model.config.get_text_config().vocab_size
        plain = input_ids.device.type == "cpu" and model.dtype == torch.float32 and size <= LOGITS_IN_MEMORY
        if not plain or compute_aux_loss or self.args.bf16:
            return super()._get_per_token_logps_and_entropies(  # type: ignore[no-any-return]
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                *arguments,
                compute_entropy=compute_entropy,
                compute_aux_loss=compute_aux_loss,
                **options,
            )
        logits = model(
            input_ids=input_ids, attention_mask=attention_mask, logits_to_keep=logits_to_keep + 1, use_cache=False
        ).logits[:, :-1]
        present = attention_mask[:, -logits_to_keep:] != 0
        logps = torch.log_softmax(logits[present] / self.temperature, dim=-1)
        chosen = logps.gather(1, input_ids[:, -logits_to_keep:][present][:, None])[:, 0]
        entropies = None
        if compute_entropy:
            with torch.no_grad():
                entropies = logps.new_zeros(present.shape).masked_scatter(present, -(logps.exp() * logps).sum(-1))
        return logps.new_zeros(present.shape).masked_scatter(present, chosen), entropies, None


class CurveCallback(TrainerCallback):  # type: ignore[misc]
    """Hands on what the trainer logs for each step."""

    def __init__(self, record: Callable[[int, dict[str, Any]], None]) -> None:
        self._record = record

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        self._record(state.global_step, logs or {})
