"""A job's base policy: what `base_model` stands for, the policy loaded from it, adapters for it and merged into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from eval.engines.policy import Policy, load_policy
from eval.engines.prompting import PromptFormat
from rewards_generated.files import partial_of, replace_folder
from trainer.jobs.settings import Hardware, LoraSettings


def base_model_source(base_model: str) -> str:
    """`testbed` is the shipped policy's folder; everything else stands for itself."""
    if base_model == "testbed":
        from trainer.testbed import policy_path

        return str(policy_path())
    return base_model


def load_base_policy(
    base_model: str, hardware: Hardware, format: PromptFormat | None = None, called: str | None = None
) -> Policy:
    """Loads the policy in the job's precision on its device. `called`: its name in adapters of it, where that is not
    from where it is loaded. Raises UserError if it cannot be."""
    source = base_model_source(base_model)
    policy = load_policy(source, hardware.device, hardware.dtype, format, hardware.quantization)
    if called not in (None, base_model):
        policy.model.config.name_or_path = called
    return policy


def lora_config(lora: LoraSettings) -> Any:
    """The `peft.LoraConfig` of the settings."""
    from peft import LoraConfig

    return LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules),
    )


def merge_adapter(
    base_model: str,
    adapter: Path,
    output: Path,
    dtype: Literal["float32", "bfloat16"] = "float32",
    format: PromptFormat | None = None,
) -> Path:
    """Writes the base with the PEFT adapter merged into its weights, and its tokenizer, to `output`; returns it.

    The sum is made in float32 on the CPU and rounded once to `dtype`. Replaces what lies at `output`, whole.
    Raises UserError if the base cannot be loaded, FloatingPointError if the adapter is not finite.
    """
    import torch
    from peft import PeftModel

    policy = load_policy(base_model_source(base_model), "cpu", "float32", format)
    try:
        model = PeftModel.from_pretrained(policy.model, str(adapter)).merge_and_unload(safe_merge=True)
    except ValueError as error:
        if "NaN" not in str(error):
            raise
        raise FloatingPointError(f"the adapter {str(adapter)!r} holds values that are not finite") from error
    return write_policy(model.to(getattr(torch, dtype)), policy.tokenizer, output)


def write_policy(model: Any, tokenizer: Any, output: Path) -> Path:
    """Writes model and tokenizer to `output`, in place of whatever lies there, whole; returns it."""
    partial = partial_of(output)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    replace_folder(partial, output)
    return output
