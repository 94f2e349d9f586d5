"""What a worker is given before it is sealed: modules, resource limits, the Landlock rule set, the filters."""

from __future__ import annotations

import ctypes
import math
import resource
import struct
import sys
from typing import Any

from rewards_generated.sandbox import seccomp
from rewards_generated.sandbox.packages import preloaded_for
from rewards_generated.sandbox.settings import EntryPoint, SandboxSettings, Seal

PRELOADED: tuple[str, ...] = (
    "__future__",
    "abc",
    "array",
    "bisect",
    "cmath",
    "collections",
    "collections.abc",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "html",
    "itertools",
    "json",
    "logging",
    "math",
    "numbers",
    "operator",
    "random",
    "re",
    "statistics",
    "string",
    "struct",
    "textwrap",
    "types",
    "typing",
    "unicodedata",
    "warnings",
    "zlib",
    "encodings.ascii",
    "encodings.latin_1",
    "encodings.raw_unicode_escape",
    "encodings.unicode_escape",
    "encodings.utf_16",
    "encodings.utf_8_sig",
)
"""The standard library that a worker imports before it is sealed; nothing can be imported afterwards. What the static
policy allows is a subset of these; the rest is what those modules import late."""

MIB = 2**20
STACK = 16 * MIB

# Of Landlock, from the kernel's `include/uapi/linux/landlock.h`; its calls have the same numbers on all architectures.
CREATE_RULESET = 444
_VERSION_FLAG = 1
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Number of file rights known to each version of the interface."""
_NETWORK_RIGHTS = 0b11
_SCOPES = 0b11


def worker_setup(code: str, entry: EntryPoint, settings: SandboxSettings, seal: Seal, nonce: bytes) -> dict[str, Any]:
    """The set-up frame of a worker, as `boot.py` reads it."""
    preload, paths = preloaded_for(code)
    filtered = seal.seccomp and sys.platform == "linux" and seccomp.supported()
    return {
        "code": code,
        "entry": entry.name,
        "kind": entry.kind,
        "columns": list(entry.answer_columns),
        "conversational": entry.conversational,
        "worked_solution": entry.worked_solution,
        "mode": settings.mode,
        "modules": [*PRELOADED, *seal.extra_modules],
        "preload": preload,
        "paths": paths,
        "limits": _limits(settings.memory_mib),
        "cpu_seconds": cpu_seconds(settings.batch_seconds),
        "isolation": seal.isolation,
        "ruleset": ruleset(landlock_version()).hex() if seal.landlock else "",
        "seccomp": seccomp.system_call_number("seccomp") if filtered else 0,
        "filter": seccomp.filter_program(zygote=settings.mode == "default").hex() if filtered else "",
        "child_filter": seccomp.filter_program(zygote=False).hex() if filtered else "",
        "nonce": nonce.hex(),
    }


def _limits(memory_mib: int) -> list[list[int]]:
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


def landlock_version() -> int:
    """The version of Landlock's interface that the running kernel offers; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG))))


def ruleset(version: int) -> bytes:
    """`struct landlock_ruleset_attr` of Landlock, handling every right of this version and granting none; empty for
    version 0.

    Version 4 adds TCP bind and connect, version 6 abstract unix sockets and signals to processes outside.
    """
    if version < 1:
        return b""
    fields = [2 ** _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))] - 1]
    if version >= 4:
        fields.append(_NETWORK_RIGHTS)
    if version >= 6:
        fields.append(_SCOPES)
    return struct.pack(f"<{len(fields)}Q", *fields)
