"""How the shipped policy was made, and the command's way of making it again."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewards_generated.errors import UserError
from trainer.jobs.settings import Hardware, SftSettings
from trainer.sft.fine_tune import FreshModel, fine_tune
from trainer.testbed.corpus import corpus, vocabulary_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_RECORD = "recipe.json"
_ONE_CORE = Hardware(device="cpu")

PAD, END, SYSTEM, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "<|assistant|>{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

_PIECE = r"</?(?:thinking|solution)>| ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9<]|\s|<"
"""A tag; a word, digit or sign with the space before it; white space; a lone `<`."""


@dataclass(frozen=True, slots=True)
class Part:
    """One pass of training over text of its own, which `name` and `practice` decide."""

    name: str
    practice: bool
    training: SftSettings


@dataclass(frozen=True, slots=True)
class Recipe:
    """The shape of the model and the parts of its training, in order.

    Practice teaches every behaviour well, the last part makes the rare ones rare (see `trainer.testbed.behaviours`).
    """

    parts: tuple[Part, ...]
    hidden_size: int = 128
    intermediate_size: int = 384
    layers: int = 3
    heads: int = 4


_TRAINING = SftSettings(
    steps=4600,
    batch_size=48,
    learning_rate=3e-3,
    learning_rate_schedule="cosine",
    warmup_steps=100,
    weight_decay=0.01,
    adam_beta2=0.98,
    max_length=320,
    group_by_prompt_length=True,
    mixed_precision=True,
)


def _shorter(steps: int, learning_rate: float, warmup_steps: int) -> SftSettings:
    changes = {"steps": steps, "learning_rate": learning_rate, "warmup_steps": warmup_steps}
    return _TRAINING.model_copy(update=changes)


SHIPPED = Recipe(
    parts=(
        Part("practice", True, _TRAINING),
        Part("further_practice", True, _shorter(2000, 2e-3, 50)),
        Part("habits", False, _shorter(500, 1e-3, 20)),
    )
)
QUICK = Recipe(parts=(Part("practice", True, _shorter(3, 3e-3, 1)), Part("habits", False, _shorter(2, 1e-3, 1))))
"""Runs every part of the recipe in seconds. The policy that comes out can do nothing."""


def build_policy(
    output: Path, recipe: Recipe = SHIPPED, hardware: Hardware = _ONE_CORE, work: Path | None = None
) -> dict[str, Any]:
    """Trains a policy by the recipe and writes it to `output`: weights in half precision, tokenizer, `recipe.json`.

    `work`: folder that keeps the parts, so that a later call with the same recipe goes on after the last finished one.
    Returns the record in `recipe.json`: the recipe and SHA-256 of the texts and of the weights. Raises UserError if
    `output` exists and is not empty, or if `work` holds parts of another recipe.
    """
    import torch
    from transformers import AutoModelForCausalLM

    if output.exists() and any(output.iterdir()):
        raise UserError(f"output = '{output}' exists already; name another folder")
    tokenizer = build_tokenizer(vocabulary_texts())
    base: str | FreshModel = FreshModel(_configuration(recipe, len(tokenizer)), tokenizer)
    record: dict[str, Any] = {"parts": {}}
    with tempfile.TemporaryDirectory() as scratch:
        for part in recipe.parts:
            folder = (work or Path(scratch)) / part.name
            record["parts"][part.name] = _train_part(part, base, folder, hardware)
            base = str(folder)
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float16)
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    (output / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(output)
    _load_in_float32(output / "config.json")
    record["weights_sha256"] = hashlib.sha256((output / "model.safetensors").read_bytes()).hexdigest()
    record["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    record["versions"] = _versions()
    (output / _RECORD).write_text(json.dumps(record, indent=1) + "\n")
    return record


def _train_part(part: Part, base: str | FreshModel, folder: Path, hardware: Hardware) -> dict[str, Any]:
    """Trains one part into `folder`, unless it lies there finished, and returns its record."""
    settings = part.training
    pairs = list(corpus(settings.steps * settings.batch_size, seed=part.name, practice=part.practice))
    digest = corpus_digest(pairs)
    described = {"settings": settings.model_dump(mode="json"), "corpus_sha256": digest}
    finished = folder / "part.json"
    if finished.is_file():
        record: dict[str, Any] = json.loads(finished.read_text())
        if {name: record[name] for name in described} != described:
            raise UserError(f"'{folder}' is a part of another recipe; name another folder, or remove it")
        return record
    result = fine_tune(base, pairs, settings, folder, hardware)
    record = {**described, "final_loss": result.losses[-1][1], "seconds": round(result.seconds)}
    finished.write_text(json.dumps(record, indent=1) + "\n")
    return record


def build_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer whose vocabulary holds every piece of the texts, with and without a space before it: one token per
    word, digit and tag; anything else falls back to bytes, so it is lossless.

    It is a byte-level BPE without merges: a piece in the vocabulary is one token, any other is spelt in bytes.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)

    def spelt(piece: str) -> str:
        return "".join(token for token, _ in to_bytes.pre_tokenize_str(piece))

    pieces = {f"{space}{digit}" for digit in range(10) for space in ("", " ")}
    pieces |= {"<thinking>", "</thinking>", "<solution>", "</solution>", "\n"}
    for text in texts:
        for piece in re.findall(_PIECE, text):
            pieces.add(piece)
            if piece[-1].isalpha():
                pieces |= {f" {piece.strip()}", piece.strip()} if piece.strip()[0].isupper() else {f" {piece.strip()}"}
    names = [PAD, END, SYSTEM, USER, ASSISTANT, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    names += sorted({spelt(piece) for piece in pieces} - set(names))
    tokenizer = Tokenizer(
        models.BPE(vocab={name: index for index, name in enumerate(names)}, merges=[], ignore_merges=True)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_PIECE), behavior="isolated"), to_bytes]
    )
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


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


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", "trl", "tokenizers")}
