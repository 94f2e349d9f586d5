"""Starting and resuming a search: what must be in order before anything is written or spent."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from eval.engines.base import engine_class
from rewards_generated.errors import UserError
from rewards_generated.sandbox import SandboxStrength, require_strength
from search.config.checks import base_model_fingerprint, checked_task
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY
from search.config.source import parse_config
from search.executors.base import Executor, build_executor
from search.executors.gpus import jobs_at_once
from search.jobs.descriptions import jobs_folder, screening_run
from search.ledger import DriverLock, Ledger
from search.proposers.registry import build_proposer, prepare
from search.session import Progress, Run

PACKAGES = ("reward-search", "torch", "transformers", "trl", "peft", "datasets", "libcst", "litellm", "numpy", "scipy")


def new_run_folder(config: SearchConfig) -> Path:
    """The default: a folder of its own for every start."""
    return Path("runs") / f"{config.name}-{datetime.now():%Y%m%d-%H%M%S}"


def require_free(folder: Path) -> None:
    """Raises UserError if the folder holds anything: a search never overwrites."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        hint = "resume it, or " if folder.is_dir() and Ledger.exists(folder) else ""
        raise UserError(f"the run directory {folder} exists already; {hint}choose another run directory")


def recorded_config(folder: Path) -> SearchConfig:
    """The configuration that a run was started with."""
    ledger = Ledger.open(folder)
    try:
        return parse_config(ledger.fact("config"))
    finally:
        ledger.close()


@contextmanager
def opened_run(
    folder: Path, config: SearchConfig, progress: Progress, *, resume: bool, caches: tuple[Path, ...] = ()
) -> Iterator[Run]:
    """The run, ready to be searched, driven by this process alone.

    Whatever a user can have got wrong is checked first: a new run directory appears only when everything is there.
    Raises UserError.
    """
    task = checked_task(config)
    proposer = build_proposer(config.proposer.name, config.proposer.options)
    prepare(proposer)
    executor = configured_executor(config)
    engine_class(config.engine)
    require_packable(config)
    strength = require_strength(config.sandbox)
    if not resume:
        _create(folder, config, strength)
    with DriverLock(folder):
        ledger = Ledger.open(folder, write=True)
        try:
            jobs_folder(folder).mkdir(exist_ok=True)
            yield Run(folder, config, ledger, task, proposer, executor, progress, caches)
        finally:
            ledger.close()


def _create(folder: Path, config: SearchConfig, strength: SandboxStrength) -> None:
    """The run directory with its ledger, by one rename: it exists whole or not at all."""
    require_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "config": config.plain(),
        "config_digest": config.digest,
        "seed": config.seed,
        "base_model": base_model_fingerprint(config.base_model),
        "versions": {name: version(name) for name in PACKAGES},
        "sandbox": strength.as_dict(),
        "hardware": _hardware(),
    }
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        prepared = Path(temporary) / "run"
        Ledger.create(prepared, facts).close()
        try:
            prepared.rename(folder)
        except OSError:
            require_free(folder)
            raise


def configured_executor(config: SearchConfig) -> Executor:
    settings = config.executor
    for name in ("parallel_jobs", "job_timeout_seconds"):
        if name in settings.options:
            raise UserError(f"`executor.options.{name}` stands above the options: set `executor.{name}` instead")
    return build_executor(
        settings.name,
        parallel_jobs=jobs_at_once(settings.parallel_jobs, config.hardware.device),
        job_timeout_seconds=settings.job_timeout_seconds,
        **settings.options,
    )


def require_packable(config: SearchConfig) -> None:
    """Raises UserError where so many runs in a job are wanted as cannot train independently of each other."""
    if config.executor.pack not in (1, "auto"):
        screening_run(config, BASE_ONLY, None, config.seed).require_packable()


def _hardware() -> str:
    import platform

    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores"
