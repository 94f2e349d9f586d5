"""The environment of a job's process: what it needs, and no key or secret of the driver's."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import gettempdir

from rewards_generated.children import PASSED_ON
from trainer.jobs.settings import Hardware


def job_environment(hardware: Hardware, gpu: str | None = None) -> dict[str, str]:
    """Variables for a process that runs a job with this hardware, on that GPU alone if one is given."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    if gpu is not None:
        passed["CUDA_VISIBLE_DEVICES"] = gpu
    threads = str(hardware.threads)
    return {
        **passed,
        "HOME": gettempdir(),
        "HF_HOME": os.environ.get("HF_HOME", str(Path.home() / ".cache" / "huggingface")),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
