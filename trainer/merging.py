"""A LoRA adapter merged into its base policy: one ordinary model folder, for whatever comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from eval.engines.policy import load_policy
from rewards_generated.files import partial_of, replace_folder
from trainer.policy import base_model_source


def merge_adapter(
    base_model: str, adapter: Path, output: Path, dtype: Literal["float32", "bfloat16"] = "float32"
) -> Path:
    """Writes the base with the PEFT adapter merged into its weights, and its tokenizer, to `output`; returns it.

    The sum is made in float32 on the CPU and rounded once to `dtype`. Replaces what lies at `output`, whole.
    Raises UserError if the base cannot be loaded, FloatingPointError if the adapter is not finite.
    """
    import torch
    from peft import PeftModel

    policy = load_policy(base_model_source(base_model), "cpu", "float32")
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
