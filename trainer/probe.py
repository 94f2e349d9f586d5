"""What this machine can do, for the roofline: bandwidth, arithmetic, and what starting an operation costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from eval.engines.policy import device_name
from trainer.jobs.settings import Hardware
from trainer.roofline import LAUNCHES_PER_LAYER, Machine

HERE = "here"
LARGE = {"cpu": 2**26, "cuda": 2**30}
"""Numbers of a matrix that no cache holds."""
PRODUCT = {"cpu": 1024, "cuda": 8192}
"""Rows and columns of the matrices whose product shows the rate."""
REPEATS = 7
_LAYERS, _TOKENS = 8, 24


def probe(hardware: Hardware) -> Machine:
    """This machine by the name `here`, with the threads and the precision of the jobs.

    Bandwidth: of a large matrix times one row, which is what decoding does most; rate: of the product of two square
    matrices; launch: of an operation in a decoder whose layers have next to nothing to compute. Medians of several.
    Raises UserError where a GPU is asked for that is not there.
    """
    import torch

    device, dtype, before = device_name(hardware.device), getattr(torch, hardware.dtype), torch.get_num_threads()
    torch.set_num_threads(hardware.threads)
    try:
        with torch.inference_mode():
            bandwidth = LARGE[device] * hardware.width / _product(LARGE[device] // 4096, 4096, 1, device, dtype)
            size = PRODUCT[device]
            rate = 2 * size**3 / _product(size, size, size, device, dtype)
            launch = _seconds(_tiny_decoder(device, dtype), device) / (_TOKENS * _LAYERS * LAUNCHES_PER_LAYER)
    finally:
        torch.set_num_threads(before)
    return Machine(HERE, bandwidth, rate, launch)


def _product(rows: int, inner: int, columns: int, device: str, dtype: Any) -> float:
    """Seconds of the product of two matrices."""
    import torch

    first = torch.ones(rows, inner, device=device, dtype=dtype)
    second = torch.ones(inner, columns, device=device, dtype=dtype)
    return _seconds(lambda: first @ second, device)


def _seconds(work: Callable[[], Any], device: str) -> float:
    import torch

    taken = []
    for _ in range(REPEATS + 1):  # the first warms up
        began = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return median(taken[1:])


def _tiny_decoder(device: str, dtype: Any) -> Callable[[], None]:
    """Decodes some tokens."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=32,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    with torch.random.fork_rng():
        model = LlamaForCausalLM(config).to(device=device, dtype=dtype).eval()
    token = torch.zeros(1, 1, dtype=torch.long, device=device)

    def decode() -> None:
        cache = None
        for _ in range(_TOKENS):
            cache = model(token, past_key_values=cache, use_cache=True).past_key_values

    return decode
