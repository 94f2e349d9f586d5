"""The testbed's tokenizer: one token per word, digit and tag; anything else falls back to bytes, so it is lossless."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

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


def build_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer whose vocabulary holds every piece of the texts, with and without a space before it.

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
