"""The GPUs of this machine, and which of them a job gets."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from search.executors.base import Capacity


def visible_gpus(device: Literal["auto", "cpu", "cuda"]) -> tuple[str, ...]:
    """The GPUs that jobs on `device` may use, each as CUDA_VISIBLE_DEVICES names it; none for `cpu`."""
    if device == "cpu":
        return ()
    import torch

    if not torch.cuda.is_available():
        return ()
    count = torch.cuda.device_count()
    named = [part.strip() for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]
    return tuple(named[:count]) if named else tuple(str(index) for index in range(count))


def jobs_at_once(wanted: Literal["auto"] | int, device: Literal["auto", "cpu", "cuda"]) -> int:
    """`auto` is one per GPU, and one where there is none: a CPU is best used by one job with all its threads."""
    return max(1, len(visible_gpus(device))) if wanted == "auto" else wanted


def capacity_here(wanted: Literal["auto"] | int, device: Literal["auto", "cpu", "cuda"]) -> Capacity:
    """Of this machine, for so many jobs side by side."""
    from eval.engines.policy import device_name
    from trainer.grpo.memory import free_memory

    gpus, jobs = visible_gpus(device), jobs_at_once(wanted, device)
    free = free_memory(gpus) // math.ceil(jobs / max(1, len(gpus)))
    return Capacity(jobs, "cuda" if device_name(device).startswith("cuda") else "cpu", free)


def least_busy(gpus: Sequence[str], busy: Iterable[str | None]) -> str | None:
    """The first of the GPUs with the fewest running jobs; None if there are no GPUs."""
    jobs = Counter(busy)
    return min(gpus, key=lambda gpu: jobs[gpu], default=None)
