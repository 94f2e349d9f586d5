"""The most memory that this process has held."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_memory() -> dict[str, int]:
    """Bytes: `resident`, the largest resident set of this process since it began; `cuda`, where it used a GPU, the most
    that PyTorch had allocated there. Processes that it started are not counted."""
    peaks = {"resident": _resident_peak()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        peaks["cuda"] = torch.cuda.max_memory_allocated()
    return peaks


def _resident_peak() -> int:
    # The kernel hands ru_maxrss on from the parent through fork and exec; VmHWM begins anew with the program.
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        status = ""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
