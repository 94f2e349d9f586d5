"""Nothing that a worker sends is believed beyond what the protocol allows."""

from __future__ import annotations

import math
import struct
import sys
import time

import pytest

from rewards_generated.rollout import Sample
from rewards_generated.sandbox import RewardWorker, SandboxSettings, Seal
from rewards_generated.sandbox.protocol import (
    ERROR_BYTES,
    HEADER,
    SLOT,
    SLOTS,
    ProtocolViolation,
    clean,
    decode_reply,
    reply_length,
)

NONCE = b"12345678"


def payload(values: list[float], statuses: bytes, slots: list[tuple[int, bytes]]) -> bytes:
    filled = slots + [(0, b"")] * (SLOTS - len(slots))
    return struct.pack(f"<{len(values)}d", *values) + statuses + b"".join(SLOT.pack(*slot) for slot in filled)


@pytest.mark.parametrize(
    ("status", "nonce", "length"),
    [
        (b"K", b"87654321", 24),
        (b"K", NONCE, 23),
        (b"K", NONCE, 2**32 - 1),
        (b"P", NONCE, 24),
        (b"E", NONCE, ERROR_BYTES + 1),
        (b"D", NONCE, 16),
        (b"X", NONCE, 24),
        (b"\0", NONCE, 0),
    ],
)
def test_a_wrong_header_is_refused_before_anything_is_read(status: bytes, nonce: bytes, length: int) -> None:
    with pytest.raises(ProtocolViolation):
        reply_length(HEADER.pack(status, nonce, length), NONCE, 3)


@pytest.mark.parametrize(("status", "length"), [(b"K", 24), (b"P", 27 + SLOTS * SLOT.size), (b"E", 0), (b"E", 2000)])
def test_a_right_header_is_accepted(status: bytes, length: int) -> None:
    assert reply_length(HEADER.pack(status, NONCE, length), NONCE, 3) == length


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, 1000000.1, -1000000.1])
def test_forged_values_are_refused_by_the_parent(value: float) -> None:
    reply = decode_reply(b"K", struct.pack("<2d", 0.5, value), 2)
    assert reply.scores is not None
    assert reply.scores[0].value == 0.5
    assert reply.scores[1].value is None
    assert reply.scores[1].error


def test_failed_samples_have_no_value_whatever_the_number_says() -> None:
    data = payload([1.0, 2.0, math.nan], b"\0\x01\x02", [(1, b"raised X: \x1b[2Jy\n"), (7000, b"lost")])
    reply = decode_reply(b"P", data, 3)
    assert reply.scores is not None
    assert [score.value for score in reply.scores] == [1.0, None, None]
    assert reply.scores[1].error == "raised X: [2Jy"
    assert reply.scores[2].error == "returned something else than a finite float"


def test_an_unscored_sample_is_never_passed_off_as_scored() -> None:
    reply = decode_reply(b"P", payload([math.nan], b"\0", []), 1)
    assert reply.scores is not None
    assert reply.scores[0].value is None


def test_cleaned_text_is_one_printable_line() -> None:
    text = clean("a\x1b[31m\r\n\0b\u202e" + "x" * 5000)
    assert text.isprintable()
    assert len(text) <= 2000


@pytest.mark.skipif(sys.platform != "linux", reason="the seal exists on Linux only")
@pytest.mark.parametrize("frame", ["b'K' + bytes(8) + struct.pack('<Id', 8, 777.0)", "b'x'", "bytes(100000)"])
def test_bytes_between_calls_kill_a_fast_worker(frame: str) -> None:
    """A timer of the reward's writes a reply before it is asked."""
    code = f"""
import os, signal, struct
def write(*_):
    for fd in range(3, 64):
        try:
            os.set_blocking(fd, False)
        except OSError:
            pass
        try:
            os.write(fd, {frame})
        except OSError:
            pass
signal.signal(signal.SIGALRM, write)
def reward(prompt, completion, answer):
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    return 0.5
"""
    settings = SandboxSettings(mode="fast", batch_seconds=2.0)
    with RewardWorker(code, settings, seal=Seal(extra_modules=("signal",))) as worker:
        assert worker.score([Sample("", "", "")])[0].value == 0.5
        time.sleep(0.4)
        score = worker.score([Sample("", "", "")])[0]
        assert score.value is None
        assert score.error
        assert worker.counts.violations + worker.counts.timeouts == 1
        assert worker.score([Sample("", "", "")])[0].value == 0.5
