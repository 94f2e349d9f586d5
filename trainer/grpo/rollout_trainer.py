"""TRL's GRPO trainer with this project's decoding. Importing this module imports torch and TRL."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback
from trl import GRPOTrainer

from trainer.grpo.shared_prompts import can_share_prompts, logps_and_entropies
from trainer.jobs.folder import STEPS_FILE

CPU_ROWS_PER_FORWARD = 16
"""On a CPU the loss is computed for so many rows of similar length at a time, without their common padding."""

LOGITS_IN_MEMORY = 2**26
"""So many logits at once may lie in memory (256 MiB); beyond that TRL's head computes them in tiles."""

Rollouts = Callable[..., list[list[int]]]
"""(model, prompt token ids, step counted from 1) -> completion token ids; with the keyword `layer` where a run has
two."""


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
        """TRL's log-probabilities and entropies, each of shape (rows, logits_to_keep), with less to compute for them.

        On a CPU, which is bound by arithmetic, rows go through the model sorted by length, in chunks that are cut to
        their own width, and their prompts are read once. The figures differ by rounding alone.
        """
        compute = super()._get_per_token_logps_and_entropies
        if input_ids.device.type != "cpu" or compute_aux_loss:
            return compute(  # type: ignore[no-any-return]
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
        chunks = completions.argsort(stable=True).split(CPU_ROWS_PER_FORWARD)
        if self._shares_prompts(model, logits_to_keep):
            shared = logps_and_entropies(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                temperature=self.temperature,
                compute_entropy=options.get("compute_entropy", False),
                chunks=chunks,
            )
            return *shared, None
        logps, entropies = [], []
        for chunk in chunks:
            kept = max(1, int(completions[chunk].max()))
            columns = slice(prompt_width - int(prompts[chunk].max()), prompt_width + kept)
            chunk_logps, chunk_entropies, _ = compute(
                model, input_ids[chunk, columns], attention_mask[chunk, columns], kept, *arguments, **options
            )
            missing = (0, logits_to_keep - kept)
            logps.append(torch.nn.functional.pad(chunk_logps, missing))
            if chunk_entropies is not None:
                entropies.append(torch.nn.functional.pad(chunk_entropies, missing))
        back = torch.cat(chunks).argsort()
        return torch.cat(logps)[back], torch.cat(entropies)[back] if entropies else None, None

    def _shares_prompts(self, model: Any, logits_to_keep: int) -> bool:
        """Whether log-probabilities are computed with prompts read once and the logits of a chunk in memory.

        TRL's head instead spares memory: it computes logits in tiles, of the prompts too, and again in the backward
        pass. Models in half precision keep it, and those in double precision, since it rounds to single.
        """
        size = CPU_ROWS_PER_FORWARD * logits_to_keep * model.config.get_text_config().vocab_size
        plain = model.dtype == torch.float32 and not self.args.bf16 and not self.args.gradient_checkpointing
        return plain and size <= LOGITS_IN_MEMORY and can_share_prompts(model)


class StepsCallback(TrainerCallback):  # type: ignore[misc]
    """Writes down how far the training has come, for those who watch it. `start`: steps done before this job."""

    def __init__(self, folder: Path, start: int = 0) -> None:
        self._start = start
        self._file = folder / STEPS_FILE

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._file.write_text(str(state.global_step - self._start), encoding="ascii")


class CurveCallback(TrainerCallback):  # type: ignore[misc]
    """Hands on what the trainer logs for each step."""

    def __init__(self, record: Callable[[int, dict[str, Any]], None]) -> None:
        self._record = record

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        self._record(state.global_step, logs or {})
