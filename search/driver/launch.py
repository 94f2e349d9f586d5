"""Starting, resuming and forking a search: what must be in order before anything is written or spent."""

from __future__ import annotations

import glob
import os
import platform
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from eval.engines.base import engine_class
from eval.tasks.base import Task
from rewards_generated.errors import UserError
from rewards_generated.files import sweep
from rewards_generated.sandbox import SandboxStrength, require_strength
from search.config.checks import checked_task
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY, SECRET
from search.config.source import parse_config
from search.driver.mending import mended, record_mending
from search.driver.origin import origin_facts, start_folder
from search.executors.base import Executor, build_executor, executor_class
from search.executors.endings import name_search, public_name
from search.executors.gpus import jobs_at_once
from search.jobs.descriptions import jobs_folder, screening_run
from search.ledger import Ledger, driver_lock
from search.ledger.salvage import require_unaltered
from search.proposers.base import Proposer
from search.proposers.registry import build_proposer, prepare
from search.results.earlier import earlier_luck_facts
from search.rounds.inputs import WORKING_FOLDER, input_facts, require_same_inputs
from search.session import Progress, Run
from search.trackers.base import require_trackers
from search.trackers.companions import tracked
from trainer.algorithms import permit

PACKAGES = ("reward-search", "torch", "transformers", "trl", "peft", "datasets", "libcst", "litellm", "numpy", "scipy")


def new_run_folder(config: SearchConfig) -> Path:
    """The default: a folder of its own for every start."""
    return Path("runs") / f"{config.name}-{datetime.now():%Y%m%d-%H%M%S}"


def require_free(folder: Path) -> None:
    """Raises UserError if the folder holds anything: a search never overwrites."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        hint = "resume it, or " if folder.is_dir() and Ledger.exists(folder) else ""
        raise UserError(f"the run directory {folder} exists already; {hint}choose another run directory")


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """An empty folder to be filled, which becomes `folder` by one rename when the block ends: that exists whole or not
    at all. Raises UserError if the folder is not free."""
    require_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent, glob.escape(folder.name), below=False)
    prepared = folder.parent / f".{folder.name}.{os.getpid()}"
    prepared.mkdir()
    try:
        yield prepared
        try:
            prepared.rename(folder)
        except OSError:
            require_free(folder)
            raise
    finally:
        shutil.rmtree(prepared, ignore_errors=True)


def recorded_config(folder: Path) -> SearchConfig:
    """The configuration of a run, with what was changed in it since it was started."""
    with closing(Ledger.open(folder)) as ledger:
        return parse_config(ledger.fact("config"))


@contextmanager
def opened_run(
    folder: Path,
    config: SearchConfig,
    progress: Progress,
    *,
    resume: bool,
    trust: bool = False,
    caches: tuple[Path, ...] = (),
) -> Iterator[Run]:
    """The run, ready to be searched, driven by this process alone.

    Whatever a user can have got wrong is checked first: a new run directory appears only when everything is there.
    A resumed run may differ from the recorded one where that mixes no results (`search.driver.mending`), which is
    written down; in the block, the working folder of the process is then that of the start. Code that it names is
    imported only if this user started it here, or with `trust`. Raises UserError.
    """
    place, caches = folder.absolute(), tuple(cache.absolute() for cache in caches)
    ready = None if resume else checked(config)
    if ready is not None:
        _create(folder, config, ready.sandbox)
    with (
        driver_lock(folder),
        closing(Ledger.open(place, write=True)) as ledger,
        start_folder(ledger, folder, trust=trust or not resume),
    ):
        sweep(place)
        jobs_folder(place).mkdir(exist_ok=True)
        if ready is None:
            require_unaltered(ledger)
            asked, (config, changes) = config, mended(ledger, folder, config)
            if not changes and asked.plain() != config.plain():
                progress.note("the search is finished: what changed in its configuration has no effect")
            require_same_inputs(config, ledger, folder)
            ready = checked(config)
            for change in record_mending(ledger, config, changes):
                progress.note(f"changed since it was started: {change}")
        if "store" in config.executor.options:
            name_search(jobs_folder(place), public_name(ledger.fact(SECRET) or ""))
        ledger.back_up()
        try:
            with tracked(config.trackers, place, progress.note):
                yield Run(place, config, ledger, ready.task, ready.proposer, ready.executor, progress, caches)
        finally:
            ledger.back_up()


class Ready(NamedTuple):
    task: Task
    proposer: Proposer
    executor: Executor
    sandbox: SandboxStrength


def checked(config: SearchConfig) -> Ready:
    """What a search needs. Raises UserError for whatever a user can have got wrong."""
    permit(config.screening.algorithm)
    config = parse_config(config.plain())  # what the algorithm itself has to say of it
    task = checked_task(config)
    proposer = build_proposer(config.proposer.name, config.proposer.options)
    prepare(proposer)
    executor = configured_executor(config)
    engine_class(config.engine)
    require_trackers(config.trackers)
    if config.executor.pack not in (1, "auto"):
        screening_run(config, BASE_ONLY, None, config.seed).require_packable()
    return Ready(task, proposer, executor, require_strength(config.sandbox))


def _create(folder: Path, config: SearchConfig, strength: SandboxStrength) -> None:
    """The run directory with its ledger."""
    facts = {
        "config": config.plain(),
        "config_digest": config.digest,
        "seed": config.seed,
        SECRET: secrets.token_hex(16),
        **input_facts(config),
        **earlier_luck_facts(config),
        "sandbox": strength.as_dict(),
        **surroundings(),
    }
    facts |= origin_facts(facts["config"], facts[WORKING_FOLDER])
    with written_whole(folder) as prepared:
        Ledger.create(prepared, facts).close()


def fork(source: Path, target: Path, config: SearchConfig) -> None:
    """Copies the search in `source`, which nobody drives, to the new folder `target`, to be resumed under `config`.

    The caller sees to it that `config` differs in nothing that what is recorded so far depends on. Results and
    completions are copied, the files of jobs are not: nothing that is recorded is trained again. Raises UserError if
    the target is not free.
    """
    with written_whole(target) as prepared:
        with closing(Ledger.open(source)) as ledger:
            ledger.copy_to(prepared)
        if (source / "files").is_dir():
            shutil.copytree(source / "files", prepared / "files")
        with closing(Ledger.open(prepared, write=True)) as ledger:
            ledger.record_fact("config", config.plain())
            ledger.record_fact("config_digest", config.digest)
            ledger.record_fact("forked_from", str(source))
            for name, value in origin_facts(config.plain(), ledger.fact(WORKING_FOLDER) or "").items():
                ledger.record_fact(name, value)


def configured_executor(config: SearchConfig) -> Executor:
    settings = config.executor
    for name in ("parallel_jobs", "job_timeout_seconds"):
        if name in settings.options:
            raise UserError(f"`executor.options.{name}` stands above the options: set `executor.{name}` instead")
    elsewhere = settings.parallel_jobs == "auto" and getattr(executor_class(settings.name), "elsewhere", False)
    return build_executor(
        settings.name,
        parallel_jobs=None if elsewhere else jobs_at_once(settings.parallel_jobs, config.hardware.device),
        job_timeout_seconds=settings.job_timeout_seconds,
        **settings.options,
    )


def surroundings() -> dict[str, Any]:
    """Versions and hardware that results come from."""
    return {
        "versions": {name: version(name) for name in PACKAGES},
        "hardware": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores",
    }
