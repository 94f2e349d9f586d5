"""How the shipped policy was made, and the command's way of making it again."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards_generated.errors import UserError
from trainer.job import Hardware
from trainer.sft import FreshModel, SftSettings, fine_tune
from trainer.testbed.corpus import corpus, vocabulary_texts
from trainer.testbed.tokenizer import END, PAD, build_tokenizer

_RECORD = "recipe.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The corpus, the shape of the model and the training of a testbed policy."""

    corpus_size: int
    training: SftSettings
    corpus_seed: str = "corpus"
    hidden_size: int = 128
    intermediate_size: int = 384
    layers: int = 3
    heads: int = 4


SHIPPED = Recipe(
    corpus_size=144_000,
    training=SftSettings(
        steps=3000,
        batch_size=48,
        learning_rate=3e-3,
        learning_rate_schedule="cosine",
        warmup_steps=100,
        weight_decay=0.01,
        adam_beta2=0.98,
        max_length=320,
        group_by_length=True,
        mixed_precision=True,
    ),
)
QUICK = Recipe(
    corpus_size=96,
    training=SHIPPED.training.model_copy(update={"steps": 3, "batch_size": 32, "warmup_steps": 1}),
)
"""Runs every part of the recipe in seconds. The policy that comes out can do nothing."""


def build_policy(output: Path, recipe: Recipe = SHIPPED, hardware: Hardware = Hardware(device="cpu")) -> dict[str, Any]:
    """Trains a policy by the recipe and writes it to `output`: weights in half precision, tokenizer, `recipe.json`.

    Returns the record in `recipe.json`: the recipe and SHA-256 of corpus and weights. Raises UserError if `output`
    exists and is not empty.
    """
    import torch
    from transformers import AutoModelForCausalLM

    if output.exists() and any(output.iterdir()):
        raise UserError(f"output = '{output}' exists already; name another folder")
    pairs = list(corpus(recipe.corpus_size, recipe.corpus_seed))
    tokenizer = build_tokenizer(vocabulary_texts())
    with tempfile.TemporaryDirectory() as scratch:
        result = fine_tune(
            FreshModel(_configuration(recipe, len(tokenizer)), tokenizer),
            pairs,
            recipe.training,
            Path(scratch) / "run",
            hardware,
        )
        model = AutoModelForCausalLM.from_pretrained(result.path, dtype=torch.float16)
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    _load_in_float32(output / "config.json")
    record = {
        "recipe": _as_data(recipe),
        "corpus_sha256": corpus_digest(pairs),
        "weights_sha256": hashlib.sha256((output / "model.safetensors").read_bytes()).hexdigest(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "final_loss": result.losses[-1][1],
        "seconds": round(result.seconds),
        "versions": _versions(),
    }
    (output / _RECORD).write_text(json.dumps(record, indent=1) + "\n")
    return record


def corpus_digest(pairs: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 over the pairs in order, hex."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(json.dumps(pair, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def _configuration(recipe: Recipe, vocabulary: int) -> Any:
    from transformers import LlamaConfig

    tokens = [PAD, END]
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=recipe.hidden_size,
        intermediate_size=recipe.intermediate_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        pad_token_id=tokens.index(PAD),
        eos_token_id=tokens.index(END),
    )


def _load_in_float32(path: Path) -> None:
    """The weights are stored in half precision for size; every loader is told to compute in single precision."""
    configuration = json.loads(path.read_text())
    configuration["dtype"] = "float32"
    path.write_text(json.dumps(configuration, indent=2, sort_keys=True) + "\n")


def _as_data(recipe: Recipe) -> dict[str, Any]:
    fields = {name: getattr(recipe, name) for name in Recipe.__slots__}
    return fields | {"training": recipe.training.model_dump(mode="json")}


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", "trl", "tokenizers")}
