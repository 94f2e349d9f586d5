"""What this machine has for a search besides the sandbox, and for each gap what to do. No secret is read out."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from packaging.requirements import Requirement

from search.config.models import SearchConfig

State = Literal["ok", "gap", "unused"]
"""`unused`: not there, and only needed by who wants it."""

LEAST_DISK = 5 * 2**30
"""Bytes: what a search with adapters and completions of a small model can need."""
HUB = "https://huggingface.co"
SECONDS = 3.0
"""After which a host counts as out of reach."""
OPTIONAL = {
    "vllm": "generation on a GPU, unless engine.options.server names the address of one",
    "bitsandbytes": "8-bit AdamW and quantised base weights",
    "ray": "jobs on a cluster, executor.name = ray: pip install 'reward-search[ray]'",
    "submitit": "jobs under Slurm, executor.name = slurm: pip install 'reward-search[slurm]'",
    "s3fs": "executor.options.store = s3://...: pip install 'reward-search[store]' s3fs",
    "gcsfs": "executor.options.store = gs://...: pip install 'reward-search[store]' gcsfs",
    **{name: f"logging to it: pip install 'reward-search[{name}]'" for name in ("tensorboard", "trackio", "wandb")},
    "mlflow-skinny": "logging to MLflow: pip install 'reward-search[mlflow]'",
    "mcp": "models that answer by the responses API alone: pip install 'reward-search[responses]'",
}


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    state: State
    found: str
    advice: str = ""
    """What to do about a gap."""


def findings(config: SearchConfig | None = None) -> Iterator[Finding]:
    """Of this machine; with a configuration also whether its task and base policy are there."""
    yield Finding("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield from _packages()
    yield _gpu()
    for name, use in OPTIONAL.items():
        yield _optional(name, use)
    yield _keys()
    yield _disk(Path.cwd())
    yield _hub()
    if config is not None:
        yield from _inputs(config)


def _packages() -> Iterator[Finding]:
    """Those that the distribution demands, against what is installed."""
    wrong = []
    needed = [Requirement(line) for line in requires("reward-search") or ()]
    needed = [item for item in needed if item.marker is None or item.marker.evaluate({"extra": ""})]
    for item in needed:
        try:
            found = version(item.name)
        except PackageNotFoundError:
            wrong.append(f"{item.name} is missing")
            continue
        if not item.specifier.contains(found, prereleases=True):
            wrong.append(f"{item.name} {found} is not {item.specifier}")
    if wrong:
        advice = "install what was tried: pip install -c constraints.txt -e ."
        yield Finding("packages", "gap", "; ".join(wrong), advice)
    else:
        named = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "trl", "peft"))
        yield Finding("packages", "ok", f"all {len(needed)} as demanded; {named}")


def _gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_properties(place) for place in range(torch.cuda.device_count())]
        said = "; ".join(f"{item.name}, {item.total_memory / 2**30:.0f} GiB" for item in names)
        return Finding("GPU", "ok", said)
    if Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi"):
        advice = "install the CUDA build of torch, and check the driver with nvidia-smi"
        return Finding("GPU", "gap", f"a driver is there, and torch {torch.__version__} sees no GPU", advice)
    return Finding("GPU", "unused", f"none; training uses {os.cpu_count()} CPU cores")


def _optional(name: str, use: str) -> Finding:
    try:
        return Finding(name, "ok", version(name))
    except PackageNotFoundError:
        return Finding(name, "unused", f"not installed; for {use}")


def _keys() -> Finding:
    """Names of variables alone."""
    ends = ("_API_KEY", "_ACCESS_KEY", "_TOKEN")
    names = sorted(name for name, value in os.environ.items() if name.upper().endswith(ends) and value.strip())
    if names:
        return Finding("keys", "ok", f"set (values are not shown): {', '.join(names)}")
    return Finding("keys", "unused", "none set; a language model of a provider needs one, such as OPENAI_API_KEY")


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    said = f"{free / 2**30:.0f} GiB free where runs/ would be"
    if free < LEAST_DISK:
        return Finding("disk", "gap", said, "free some, or keep the run elsewhere with --run-dir")
    return Finding("disk", "ok", said)


def _hub() -> Finding:
    address = urlsplit(os.environ.get("HF_ENDPOINT") or HUB)
    host, port = address.hostname or "", address.port or (80 if address.scheme == "http" else 443)
    local = "name folders for base_model and files for the task"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return Finding("hub", "unused", f"HF_HUB_OFFLINE is set: {local}")
    try:
        socket.create_connection((host, port), SECONDS).close()
    except OSError as error:
        return Finding("hub", "unused", f"{host} cannot be reached ({error}); {local}")
    return Finding("hub", "ok", f"{host} can be reached")


def _inputs(config: SearchConfig) -> Iterator[Finding]:
    from rewards_generated.errors import UserError
    from search.config.checks import base_model_fingerprint
    from search.driver.launch import checked

    try:
        base_model_fingerprint(config.base_model)
        yield Finding("base policy", "ok", config.base_model)
    except UserError as error:
        yield Finding("base policy", "gap", config.base_model, str(error))
        return
    try:
        checked(config)
        yield Finding("search", "ok", f"{config.name}: task {config.task.name!r}, proposer and executor are ready")
    except UserError as error:
        yield Finding("search", "gap", config.name, str(error))
