"""Resource limits of a worker."""

from __future__ import annotations

import math
import resource

MIB = 2**20
STACK = 16 * MIB


def worker_limits(memory_mib: int) -> list[list[int]]:
    """[resource, soft and hard value] of each limit, in the units of getrlimit(2); set once, before the seal.

    RLIMIT_NPROC is left to the children of the zygote (it would stop the zygote itself from forking).
    """
    limits = {
        "RLIMIT_AS": memory_mib * MIB,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_STACK": STACK,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    return [[getattr(resource, name), value] for name, value in limits.items() if hasattr(resource, name)]


def cpu_seconds(batch_seconds: float) -> int:
    """CPU limit of one batch: a backstop to the wall clock, which must always strike first."""
    return math.ceil(batch_seconds) + 2
