"""What macOS offers instead of the Linux seal: `sandbox-exec`, and memory watched from outside. Untested there.

It is reported as level `reduced`, below `basic`, and refused unless the settings allow a weak sandbox.
"""

from __future__ import annotations

import subprocess
import sys

RUNNING = sys.platform == "darwin"

_PROFILE = """(version 1)
(deny default)
(allow process-exec*)
(allow process-fork)
(allow file-read*)
(allow sysctl-read)
(allow mach-lookup)
"""


def confined(command: list[str]) -> list[str]:
    """The command under `sandbox-exec`: no network, no writing. Reading stays possible: the interpreter reads late."""
    return ["/usr/bin/sandbox-exec", "-p", _PROFILE, *command]


def resident_mib(pid: int) -> float:
    """Resident memory of a process group in MiB, for RLIMIT_AS does not work there."""
    listing = subprocess.run(
        ["/bin/ps", "-A", "-o", "pgid=,rss="], capture_output=True, text=True, check=False, timeout=5
    )
    pairs = (line.split() for line in listing.stdout.splitlines())
    return sum(int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == str(pid)) / 1024
