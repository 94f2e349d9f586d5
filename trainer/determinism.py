"""What makes a job a pure function of its description: threads, seeds, algorithms, the order of prompts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import TypeVar

from trainer.jobs.settings import Hardware

Item = TypeVar("Item")


def derived_seed(seed: int, *purpose: object, bits: int = 63) -> int:
    """A seed of its own for each named use of randomness, in [0, 2**bits): the first bits of a SHA-256."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> (64 - bits)


def make_deterministic(hardware: Hardware) -> None:
    """Fixes the number of CPU threads and, on CUDA, demands deterministic kernels where they exist."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(hardware.threads)
    if hardware.device != "cpu" and torch.cuda.is_available():
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False


def prompt_order(items: Sequence[Item], count: int, seed: int) -> list[Item]:
    """`count` items in an order that only `seed` decides: one permutation of all after the other."""
    import random

    order: list[Item] = []
    epoch = 0
    while len(order) < count:
        permutation = list(items)
        random.Random(derived_seed(seed, "prompts", epoch)).shuffle(permutation)
        order.extend(permutation)
        epoch += 1
    return order[:count]
