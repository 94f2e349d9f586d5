"""Supervised fine-tuning on pairs of prompt and completion, from a policy's folder or from a fresh configuration."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from eval.engines.policy import device_name, load_policy
from eval.engines.prompting import PromptFormat
from rewards_generated.errors import UserError
from rewards_generated.files import write_whole
from trainer.determinism import make_deterministic
from trainer.jobs.settings import Hardware, SftSettings
from trainer.policy import lora_config

_CHECKPOINTS = "checkpoints"
_SETTINGS = "sft.json"
_DEFAULT_HARDWARE = Hardware()


@dataclass(frozen=True, slots=True)
class FreshModel:
    """A model to be trained from scratch: a transformers configuration and the tokenizer that goes with it."""

    config: Any
    tokenizer: Any


@dataclass(frozen=True, slots=True)
class SftResult:
    """`path`: folder of the full model with its tokenizer, or of the PEFT adapter. `losses`: (step, loss) as logged."""

    path: Path
    losses: tuple[tuple[int, float], ...]
    seconds: float
    trained_parameters: int


def fine_tune(
    base: str | FreshModel,
    pairs: Iterable[Mapping[str, Any]],
    settings: SftSettings,
    output: Path,
    hardware: Hardware = _DEFAULT_HARDWARE,
    format: PromptFormat | None = None,
    resume: bool = False,
) -> SftResult:
    """Trains with TRL's SFTTrainer and writes the result to `output`.

    `base`: a folder, a hub id, or a fresh model; `format`: its chat template, where it is to have another, which goes
    to `output` with the tokenizer. `pairs`: conversational prompt-completion pairs, `{"prompt":
    [messages], "completion": [messages]}`. `resume`: go on from the last checkpoint in `output` (from the start, if
    there is none yet); the run is then the same, bit for bit, as one that was never interrupted.
    Raises UserError for no pairs, an `output` that exists (without `resume`), a resume under other settings, or a
    base that cannot be loaded.
    """
    from datasets import Dataset
    from transformers import set_seed
    from trl import SFTTrainer

    _prepare(output, settings, resume)
    rows = list(pairs)
    if not rows:
        raise UserError("pairs: supervised fine-tuning needs at least one pair of prompt and completion")
    if any(not {"prompt", "completion"} <= row.keys() for row in rows):
        raise UserError("pairs: each needs the keys 'prompt' and 'completion'")
    started = perf_counter()
    make_deterministic(hardware)
    set_seed(settings.seed)
    model, tokenizer = _model(base, hardware, format)
    if settings.mixed_precision and device_name(hardware.device) == "cpu":
        _use_float32_attention(model)
    trainer = SFTTrainer(
        model=model,
        args=_arguments(settings, output, hardware),
        train_dataset=Dataset.from_list(_ordered(_tokenised(rows, tokenizer), settings)),
        processing_class=tokenizer,
        peft_config=lora_config(settings.lora) if settings.tuning == "lora" else None,
    )
    checkpoint = _last_checkpoint(output / _CHECKPOINTS) if resume else None
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.save_model(str(output))
    tokenizer.save_pretrained(output)
    shutil.rmtree(output / _CHECKPOINTS, ignore_errors=True)
    losses = tuple((entry["step"], entry["loss"]) for entry in trainer.state.log_history if "loss" in entry)
    trained = sum(parameter.numel() for parameter in trainer.model.parameters() if parameter.requires_grad)
    return SftResult(output, losses, perf_counter() - started, trained)


def _use_float32_attention(model: Any) -> None:
    """Makes a transformers model compute its attention in float32, whatever autocast says. Linear layers stay.

    Under bfloat16 autocast the backward pass of attention is many times slower on CPUs.
    """
    import torch
    from transformers import AttentionInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    name = "float32_sdpa"

    def attention(module: Any, query: Any, key: Any, value: Any, mask: Any, **options: Any) -> Any:
        with torch.autocast(query.device.type, enabled=False):
            output, weights = sdpa_attention_forward(module, query.float(), key.float(), value.float(), mask, **options)
        return output, weights

    AttentionInterface.register(name, attention)
    AttentionMaskInterface.register(name, sdpa_mask)
    model.set_attn_implementation(name)


def _tokenised(pairs: list[Mapping[str, Any]], tokenizer: Any) -> list[dict[str, list[int]]]:
    """Token ids and labels (-100 on the prompt) of each pair. In one batch, which is many times faster than TRL's way.

    Raises UserError if a chat template writes a prompt differently once the completion follows it.
    """
    prompts = [list(pair["prompt"]) for pair in pairs]
    wholes = [prompt + list(pair["completion"]) for prompt, pair in zip(prompts, pairs, strict=True)]
    before = tokenizer.apply_chat_template(prompts, add_generation_prompt=True, return_dict=True)["input_ids"]
    whole = tokenizer.apply_chat_template(wholes, return_dict=True)["input_ids"]
    rows = []
    for prompt_ids, ids in zip(before, whole, strict=True):
        if ids[: len(prompt_ids)] != prompt_ids:
            raise UserError("base: its chat template writes a prompt differently once the completion follows it")
        rows.append({"input_ids": ids, "labels": [-100] * len(prompt_ids) + ids[len(prompt_ids) :]})
    return rows


def _ordered(rows: list[dict[str, list[int]]], settings: SftSettings) -> list[dict[str, list[int]]]:
    """The rows in the order in which they are trained on, as often as the steps need them.

    TRL's own grouping by length goes from the longest to the shortest over and over, so that what a model learns
    from one kind of row is undone by the next; here the order of the batches is random.
    """
    import random

    draws = random.Random(settings.seed)
    size, needed = settings.batch_size, settings.steps * settings.batch_size
    order: list[dict[str, list[int]]] = []
    while len(order) < needed:
        epoch = draws.sample(rows, len(rows))
        if settings.group_by_prompt_length:
            epoch = [
                row
                for start in range(0, len(epoch), 50 * size)
                for row in _grouped(epoch[start:][: 50 * size], size, draws)
            ]
        order += epoch
    return order[:needed]


def _grouped(rows: list[dict[str, list[int]]], size: int, draws: Any) -> list[dict[str, list[int]]]:
    """The rows in batches of `size` with prompts of like length, the batches in random order, a short one last."""
    rows = sorted(rows, key=lambda row: row["labels"].count(-100))
    batches = [rows[start : start + size] for start in range(0, len(rows) - len(rows) % size, size)]
    draws.shuffle(batches)
    return [row for batch in batches for row in batch] + rows[len(batches) * size :]


def _prepare(output: Path, settings: SftSettings, resume: bool) -> None:
    described = settings.model_dump_json(indent=1)
    record = output / _SETTINGS
    if output.exists() and any(item.name[0] != "." for item in output.iterdir()):
        if not resume:
            raise UserError(f"output = '{output}' exists already; resume it, or name another folder")
        if not record.is_file() or json.loads(record.read_text()) != json.loads(described):
            raise UserError(f"output = '{output}' was made with other settings; it cannot be resumed with these")
    output.mkdir(parents=True, exist_ok=True)
    write_whole(record, described + "\n")


def _model(base: str | FreshModel, hardware: Hardware, format: PromptFormat | None) -> tuple[Any, Any]:
    import torch

    if isinstance(base, str):
        policy = load_policy(base, hardware.device, hardware.dtype, format, hardware.quantization)
        return policy.model, policy.tokenizer
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(base.config, dtype=getattr(torch, hardware.dtype))
    return model.to(device_name(hardware.device)), base.tokenizer


def _arguments(settings: SftSettings, output: Path, hardware: Hardware) -> Any:
    from trl import SFTConfig

    return SFTConfig(
        output_dir=str(output / _CHECKPOINTS),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.learning_rate_schedule,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        adam_beta2=settings.adam_beta2,
        max_grad_norm=settings.max_gradient_norm,
        max_length=settings.max_length,
        pad_to_multiple_of=8,
        completion_only_loss=True,
        train_sampling_strategy="sequential",
        bf16=settings.mixed_precision,
        gradient_checkpointing=False,
        use_cpu=device_name(hardware.device) == "cpu",
        save_strategy="steps" if settings.checkpoint_steps else "no",
        save_steps=settings.checkpoint_steps or settings.steps,
        save_total_limit=1,
        logging_steps=max(1, settings.steps // 100),
        report_to="none",
        disable_tqdm=True,
        seed=settings.seed,
        data_seed=settings.seed,
        dataloader_pin_memory=False,
    )


def _last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end; the state file is written last."""
    complete = [state.parent for state in folder.glob("checkpoint-*/trainer_state.json")]
    return max(complete, key=lambda path: int(path.name.split("-")[1]), default=None)
