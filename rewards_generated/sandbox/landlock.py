"""The Landlock rule set of a worker: every right handled, none granted.

Numbers from the kernel's `include/uapi/linux/landlock.h`; the calls have the same numbers on all architectures.
"""

from __future__ import annotations

import ctypes
import struct
import sys

CREATE_RULESET = 444
_VERSION_FLAG = 1
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Number of file rights known to each version of the interface."""
_NETWORK_RIGHTS = 0b11
_SCOPES = 0b11


def landlock_version() -> int:
    """The version of the interface that the running kernel offers; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG))))


def ruleset(version: int) -> bytes:
    """`struct landlock_ruleset_attr` handling every right of this version; empty for version 0.

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
