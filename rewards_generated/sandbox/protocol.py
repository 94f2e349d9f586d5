"""The frames between a parent and its worker, little-endian, on private pipes.

Set-up, once, to the worker: length (4 bytes), JSON. Request: nonce (8 bytes), number of samples (4), bytes of the
lengths (4), bytes of the body (8); body = the lengths in bytes of all prompts, then all completions, then all answers,
then, for a reward that asks for them, all worked solutions, then, for one that sees whole groups, all names of groups
(4 bytes each), then their texts in UTF-8. Samples of a group stand together. The parent is trusted, so the request may
be of any form.

Reply: status byte, nonce, length (4), payload. Nothing in a payload is parsed but numbers and capped text:
- `K`: exactly 8 n bytes, the scores as float64;
- `P`: some samples failed: 8 n bytes of scores, n bytes (0 scored, 1 raised, 2 refused), then eight slots of 204 bytes:
  the index of a failed sample (4) and its error text, zero-padded;
- `E`: the batch failed; at most 2,000 bytes of error text;
- `R`: ready; five float64 flags saying which parts of the seal are on. Sent once, before any reward code runs.

In `default` the fork that scores writes the reply itself. On two further pipes, which it does not have, the zygote says
how it ended, and is told to make the next one. Status: what wait(2) gives (4), whether a part of the request was left
unread (4), which ends the worker. Turn: one byte.
"""

from __future__ import annotations

import json
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rewards_generated.rollout import Sample
from rewards_generated.score import Score

HEADER = struct.Struct("<c8sI")
REQUEST = struct.Struct("<8sIIQ")
SLOT = struct.Struct("<I200s")
STATUS = struct.Struct("<iI")
SLOTS = 8
ERROR_BYTES = 2000
READY_FLAGS = 5
REPEATED = 2**32 - 1
"""Length that stands for: the same text as the one before in this column."""
MISSING = 2**32 - 2
"""Length that stands for: there is no text."""
LARGEST_SCORE = 1e6
LARGEST_REQUEST = 64 * 2**20
"""Bytes; a larger batch is split before it is sent."""

_GENERIC_ERRORS = {1: "raised an exception", 2: "returned something else than a finite float"}


class ProtocolViolation(Exception):
    """The worker sent what the protocol does not allow, so nothing that it says is believed."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`scores` per sample, or None with `error`; `exit_code` is set if the process that scored died."""

    scores: list[Score] | None = None
    error: str | None = None
    exit_code: int | None = None


def encode_setup(setup: Mapping[str, Any]) -> bytes:
    text = json.dumps(setup).encode("utf-8")
    return struct.pack("<I", len(text)) + text


def encode_request(
    nonce: bytes, samples: Sequence[Sample], groups: Sequence[int] | None = None, *, worked_solutions: bool = False
) -> bytes:
    """One request frame; lone surrogates survive. `groups`: a number per sample, for a reward that sees whole groups.
    `worked_solutions`: they are sent too.

    Each text is encoded alone, because Python encodes ASCII by copying; a text that equals the one before it in its
    column (the prompts of a group) is sent as REPEATED.
    """
    lengths = array("I")
    parts: list[bytes] = []
    columns: list[Sequence[str | None]] = [
        [sample.prompt for sample in samples],
        [sample.completion for sample in samples],
        [sample.answer for sample in samples],
    ]
    if worked_solutions:
        columns.append([sample.worked_solution for sample in samples])
    if groups is not None:
        columns.append([str(group) for group in groups])
    for column in columns:
        previous = None
        for text in column:
            if text is None:
                lengths.append(MISSING)
                previous = None
                continue
            if text == previous:
                lengths.append(REPEATED)
                continue
            previous = text
            encoded = text.encode("utf-8", "surrogatepass")
            lengths.append(len(encoded))
            parts.append(encoded)
    if sys.byteorder == "big":
        lengths.byteswap()
    packed = lengths.tobytes()
    size = len(packed) + sum(map(len, parts))
    return b"".join((REQUEST.pack(nonce, len(samples), len(packed), size), packed, *parts))


def reply_length(header: bytes, nonce: bytes, count: int) -> int:
    """Bytes of payload that follow a reply's header; raises ProtocolViolation before anything is read."""
    status, echoed, length = HEADER.unpack(header)
    if echoed != nonce:
        raise ProtocolViolation("sent a reply that nobody had asked for")
    exact = {b"K": 8 * count, b"P": 9 * count + SLOTS * SLOT.size, b"R": 8 * READY_FLAGS}.get(status)
    if length != exact and not (status == b"E" and length <= ERROR_BYTES):
        raise ProtocolViolation("sent a reply of a wrong kind or length")
    return int(length)


def clean(text: str, limit: int = ERROR_BYTES) -> str:
    """Untrusted text on one line: control and other unprintable characters become spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:limit]).split())


def decode_reply(status: bytes, payload: bytes, count: int) -> Reply:
    """What a reply says. These checks bind; those of the worker only make good messages."""
    if status == b"E":
        return Reply(error=clean(payload.decode("utf-8", "replace")) or "failed without saying why")
    if status not in (b"K", b"P"):
        raise ProtocolViolation("sent a reply of a wrong kind or length")
    values = struct.unpack_from(f"<{count}d", payload)
    if status == b"K" and all(-LARGEST_SCORE <= value <= LARGEST_SCORE for value in values):
        return Reply(scores=[Score(value) for value in values])
    statuses = payload[8 * count : 9 * count] if status == b"P" else bytes(count)
    texts: dict[int, str] = {}
    if status == b"P":
        for index, text in SLOT.iter_unpack(payload[9 * count :]):
            texts.setdefault(index, clean(text.rstrip(b"\0").decode("utf-8", "replace")))
    scores = []
    for index, value in enumerate(values):
        if statuses[index]:
            generic = _GENERIC_ERRORS.get(statuses[index], "failed")
            scores.append(Score(None, texts.get(index) or generic))
        elif -LARGEST_SCORE <= value <= LARGEST_SCORE:
            scores.append(Score(value))
        else:
            scores.append(Score(None, f"returned {value!r}, not a finite number within 1e6"))
    return Reply(scores=scores)
