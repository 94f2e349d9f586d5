"""A base policy: a causal language model with its tokenizer, loaded from a folder or from the hub."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from eval.engines.prompting import PromptFormat, with_bos
from eval.tasks.base import Message
from rewards_generated.errors import UserError

Quantization = Literal["none", "8bit", "4bit"]
"""How the weights of a base policy's linear layers are held."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`model` is a transformers causal language model in evaluation mode, `tokenizer` pads on the left."""

    model: Any
    tokenizer: Any
    source: str = ""
    """Folder or hub id that it was loaded from, for an engine that loads it itself."""
    format: PromptFormat = field(default_factory=PromptFormat)
    """Of its prompts; the tokenizer has the chat template already."""

    @property
    def stop_tokens(self) -> list[int]:
        """Every token that ends a completion: the tokenizer's end token and those that the model declares."""
        declared = self.model.generation_config.eos_token_id
        declared = [] if declared is None else [declared] if isinstance(declared, int) else list(declared)
        return list(dict.fromkeys([self.tokenizer.eos_token_id, *declared]))

    def prompt_tokens(self, prompts: Sequence[Sequence[Message]]) -> list[list[int]]:
        """Token ids of each chat, up to where the assistant's answer begins."""
        if not prompts:
            return []
        chats = [list(prompt) for prompt in prompts]
        encoded = self.tokenizer.apply_chat_template(chats, add_generation_prompt=True, tokenize=True, return_dict=True)
        return [list(ids) for ids in encoded["input_ids"]]

    def texts(self, completions: Sequence[Sequence[int]]) -> list[str]:
        """The text of each completion, without special tokens and from a stop string on."""
        decoded: list[str] = self.tokenizer.batch_decode(completions, skip_special_tokens=True)
        return [self.format.cut(text) for text in decoded]

    def stopped(self, completions: Sequence[Sequence[int]]) -> list[bool]:
        """Whether a stop string is complete with the last token of each completion, none having been before it."""
        longest = max(map(len, self.format.stop_strings), default=0)
        # A token is a character at least, but for parts of one: some more are looked at, so that none is cut in two.
        tails = [list(ids[-(longest + 8) :]) for ids in completions]
        return [self.format.ended(text) for text in self.tokenizer.batch_decode(tails, skip_special_tokens=True)]

    def ended(self, completions: Sequence[Sequence[int]]) -> list[bool]:
        """Whether each completion came to an end by itself: by a stop token or a stop string."""
        stops = set(self.stop_tokens)
        found = [bool(ids) and ids[-1] in stops for ids in completions]
        if not self.format.stop_strings:
            return found
        return [over or stopped for over, stopped in zip(found, self.stopped(completions), strict=True)]


def device_name(device: Literal["auto", "cpu", "cuda"]) -> str:
    """`auto` is the GPU where there is one. Raises UserError for `cuda` without one."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("hardware.device = 'cuda': this machine has no usable CUDA device; use 'auto' or 'cpu'")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def require_bitsandbytes(setting: str, otherwise: str) -> None:
    """Raises UserError where the package is missing that `setting` needs; without it `otherwise` would do."""
    if find_spec("bitsandbytes") is None:
        raise UserError(
            f"{setting} needs the package bitsandbytes; install 'reward-search[bitsandbytes]', or use {otherwise!r}"
        )


def _quantised(quantization: Quantization, dtype: str, device: Literal["auto", "cpu", "cuda"]) -> dict[str, Any]:
    """What transformers is told for it: quantised weights are put on their device as they are loaded."""
    if quantization == "none":
        return {}
    import torch
    from transformers import BitsAndBytesConfig

    require_bitsandbytes(f"hardware.quantization = {quantization!r}", "none")
    # It says once a call that inputs are cast, which they always are.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    config = (
        BitsAndBytesConfig(load_in_8bit=True)
        if quantization == "8bit"
        else BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=getattr(torch, dtype)
        )
    )
    return {"quantization_config": config, "device_map": {"": device_name(device)}}


def load_policy(
    base_model: str,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    dtype: Literal["float32", "bfloat16"] = "float32",
    format: PromptFormat | None = None,
    quantization: Quantization = "none",
) -> Policy:
    """Loads model and tokenizer from a local folder or a hub id; the tokenizer gets the chat template of the format.

    Raises UserError if it is neither, or has no end token, or no chat template and is given none, or is to be quantised
    without the package for it.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    format = format or PromptFormat()
    transformers_logging.disable_progress_bar()
    if base_model.startswith((".", "/", "~")) and not Path(base_model).expanduser().is_dir():
        raise UserError(f"base_model = {base_model!r}: there is no such folder")
    source = str(Path(base_model).expanduser()) if Path(base_model).expanduser().is_dir() else base_model
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left", truncation_side="left")
        model = AutoModelForCausalLM.from_pretrained(
            source, dtype=getattr(torch, dtype), **_quantised(quantization, dtype, device)
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"base_model = {base_model!r} cannot be loaded as a language model: {reason}") from error
    if format.chat_template is not None:
        tokenizer.chat_template = with_bos(format.chat_template, tokenizer)
    if tokenizer.chat_template is None:
        raise UserError(
            f"base_model = {base_model!r} has no chat template; set prompting.template to plain, few-shot or a Jinja "
            "file, or use an instruction-tuned model"
        )
    if tokenizer.eos_token_id is None:
        raise UserError(f"base_model = {base_model!r} has no end token in its tokenizer")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if quantization == "none":
        model.to(device_name(device))
    model.eval()
    return Policy(model, tokenizer, source, format)
