"""Where and of what a figure was measured."""

from __future__ import annotations

import platform
import subprocess
from datetime import date
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Date, commit, versions and processor, for the JSON of a benchmark that runs on one thread."""
    from trainer.jobs.folder import versions

    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "date": date.today().isoformat(),
        "commit": commit,
        "versions": versions(),
        "platform": platform.platform(),
        "processor": processor(),
        "threads": 1,
    }


def processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
