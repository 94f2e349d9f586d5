"""Training runs sent off together: which share a job, written down before it starts, and halved if it is too large."""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from rewards_generated.errors import UserError
from search.executors.base import Capacity, Executor
from search.executors.gpus import capacity_here
from search.jobs.descriptions import jobs_folder
from search.jobs.dispatch import ATTEMPTS, run_jobs
from search.ledger import Stage
from search.session import Run
from trainer.jobs.base import Done
from trainer.jobs.folder import CHECKPOINT, kept_result
from trainer.jobs.train import RunResult, TrainingRun, TrainJob, member_folder

MOST_ON_A_CPU = 16
"""Beyond so many members, arithmetic is all that a CPU does, and a larger pack is no faster."""
MOST_ON_A_GPU = 64
CHARACTERS_PER_TOKEN = 2
"""For the memory that a prompt takes: fewer characters make up a token of no tokenizer in use, digits apart."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of training runs that a job goes through, in steps. `start` None: from the beginning; `stop` None: to
    the end."""

    start: int | None = None
    stop: int | None = None


WHOLE = Segment()


@dataclass(frozen=True, slots=True)
class RunDone:
    """A training run that has ended, or come to the end of its segment."""

    run: TrainingRun
    result: RunResult
    folder: Path
    """Where its adapter lies."""
    together: int = 1
    """Runs of the job that it was one of, which all ended with it."""


def train_together(
    run: Run, stage: Stage, runs: Sequence[TrainingRun], segment: Segment = WHOLE
) -> Generator[RunDone, None, None]:
    """Yields every training run once, when it has ended for good, or come to the end of the segment; as many in one
    job as the configuration says.

    What is yielded has to be recorded before the next is asked for: a job is over when its members are recorded. A job
    of these runs that an interrupted search had written down runs as it was; those of other runs, which a resumed
    search has yet to come to, are left alone. Use it under `contextlib.closing`.
    """
    folder = jobs_folder(run.folder)
    # Results of whole runs are no results of a part of them.
    known = adopted(run, runs) if segment == WHOLE else []
    yield from known
    wanted = {item.digest for item in runs} - {done.run.digest for done in known}
    missing = {item.digest: item for item in runs if item.digest in wanted}
    waiting = []
    origins: dict[str, str] = {}
    for record in run.ledger.packs(stage):
        pack = record.job
        own = pack.stop == segment.stop and any(member.digest in missing for member in pack.members)
        if record.outcome is None and own:
            waiting.append(pack)
            for member in pack.members:
                missing.pop(member.digest, None)
        elif record.outcome is None and run.ledger.digests(stage, pack.stop).issuperset(m.digest for m in pack.members):
            # The search was interrupted after the last of its members was recorded.
            run.ledger.record_pack_outcome(pack, "done")
        if record.outcome != "too large" and segment.start is not None and pack.stop == segment.start:
            origins.update((member.digest, pack.digest) for member in pack.members)
    groups: dict[str, list[TrainingRun]] = {}
    for item in missing.values():
        groups.setdefault(item.shared_fields, []).append(item)
    fresh = [pack for group in groups.values() for pack in planned_packs(run, group, segment.stop, origins)]
    if fresh:
        run.ledger.record_packs(stage, fresh)
    with closing(_run_packs(run, stage, [*waiting, *fresh], folder)) as ended:
        for done in ended:
            together = sum(member.digest in wanted for member in done.job.members)
            for ended_run in runs_of(done, folder):
                if ended_run.run.digest in wanted:
                    yield replace(ended_run, together=together)
            run.ledger.record_pack_outcome(done.job, "failed" if done.result.failure else "done")


def adopted(run: Run, runs: Sequence[TrainingRun]) -> list[RunDone]:
    """Runs that another search, a cache of this one, has trained already, with their files copied here.

    A run is a pure function of its description, up to rounding where it trained beside others.
    """
    found = []
    for item in runs:
        own = jobs_folder(run.folder) / item.digest
        for cache in run.caches:
            place = jobs_folder(cache) / item.digest
            if (result := kept_result(place, item.digest, RunResult)) is not None:
                shutil.copytree(place, own, dirs_exist_ok=True)
                found.append(RunDone(item, result, own))
                break
    return found


def forget_states(run: Run, stage: Stage, subjects: Collection[str], stop: int) -> None:
    """Removes what jobs of these subjects kept at a rung, once all who went on from there have come further."""
    for record in run.ledger.packs(stage):
        if record.job.stop == stop and any(member.ensemble.name in subjects for member in record.job.members):
            shutil.rmtree(jobs_folder(run.folder) / record.job.digest / CHECKPOINT, ignore_errors=True)


def planned_packs(
    run: Run, runs: Sequence[TrainingRun], stop: int | None = None, origins: Mapping[str, str] | None = None
) -> list[TrainJob]:
    """The runs in jobs of like size, in order. `origins`: of each run, by digest, the job from which it goes on."""
    most = _most_together(run, runs)
    count = math.ceil(len(runs) / most)
    bounds = [round(index * len(runs) / count) for index in range(count + 1)]
    return [
        TrainJob.of(
            *runs[start:end],
            stop=stop,
            origins=tuple(origins[item.digest] for item in runs[start:end]) if origins else (),
        )
        for start, end in pairwise(bounds)
    ]


def halves(pack: TrainJob) -> list[TrainJob]:
    """Two jobs of the members of one."""
    middle = (len(pack.members) + 1) // 2
    return [
        TrainJob.of(
            *pack.members[part],
            label=f"{pack.label}, half {number}",
            stop=pack.stop,
            origins=pack.origins[part],
        )
        for number, part in enumerate((slice(middle), slice(middle, None)), start=1)
    ]


def _most_together(run: Run, runs: Sequence[TrainingRun]) -> int:
    """Members of a job at most: what the configuration says, or what memory holds of a share of the runs."""
    settings = run.config.executor
    if settings.pack != "auto":
        return settings.pack
    try:
        runs[0].require_packable()
    except UserError:
        return 1
    asked = getattr(run.executor, "capacity", None)
    hardware = runs[0].hardware
    capacity = asked(hardware) if asked is not None else capacity_here(settings.parallel_jobs, hardware.device)
    share = math.ceil(len(runs) / capacity.jobs)
    return min(share, _most_in_memory(run, runs[0], capacity))


def _most_in_memory(run: Run, item: TrainingRun, capacity: Capacity) -> int:
    from transformers import AutoConfig

    from eval.engines.base import engine_class
    from trainer.grpo.memory import ModelShape, members_that_fit, weight_bytes
    from trainer.policy import base_model_source

    shape = ModelShape.of(AutoConfig.from_pretrained(base_model_source(item.base_model)))
    longest = max(sum(len(turn["content"]) for turn in example.prompt) for example in run.task.examples("train"))
    weights, free = int(weight_bytes(shape, item.hardware)), capacity.memory
    free -= engine_class(item.engine).memory(item.engine.options, weights, free, capacity.device)
    fits = members_that_fit(item, shape, longest // CHARACTERS_PER_TOKEN, free)
    return min(fits, MOST_ON_A_GPU if capacity.device == "cuda" else MOST_ON_A_CPU)


def _run_packs(run: Run, stage: Stage, packs: Sequence[TrainJob], folder: Path) -> Generator[Done, None, None]:
    """Yields every job that has ended for good. One that is too large is replaced by its halves.

    A process that is killed is started again; one that is killed again may well have taken too much memory.
    """

    def parts(done: Done, losses: int) -> list[TrainJob]:
        job: TrainJob = done.job
        if len(job.members) == 1 or (done.result.owner != "memory" and losses < ATTEMPTS - 1):
            return []
        found = halves(job)
        run.ledger.record_packs(stage, found, instead_of=job)
        run.progress.note(f"{done.result.failure}; its {len(job.members)} members run again in two packs")
        return found

    return run_jobs(run.executor, packs, folder, parts=parts)


def train_runs(executor: Executor, jobs: Sequence[TrainJob], folder: Path) -> Generator[RunDone, None, None]:
    """Yields every run of the jobs when it has ended for good, without a ledger. Use it under `contextlib.closing`.

    Raises UserError for a job that is too large for the machine.
    """
    with closing(run_jobs(executor, jobs, folder)) as ended:
        for done in ended:
            if done.result.owner == "memory":
                raise UserError(f"{done.result.failure}; {_relief(done.job)}")
            yield from runs_of(done, folder)


def _relief(job: TrainJob) -> str:
    """What can be done about a job that is too large, where it cannot be halved. Its members, K and batches are part
    of what was started, so nothing goes on under others."""
    if (together := len(job.members)) > 1:
        smaller = f"with a smaller executor.pack, such as {together // 2}"
    else:
        smaller = "with a smaller screening.grpo.completions_per_forward"
    return f"free memory and try it again as it is, or start anew in another place {smaller}"


def runs_of(done: Done, folder: Path) -> Iterator[RunDone]:
    """What the runs of a training job came to, which ran in `folder`; if it failed as a whole, each failed.

    Those that trained to their end come to lie by themselves; what a job with a stop leaves is not yet their result,
    and stays where it is.
    """
    job: TrainJob = done.job
    results = done.result.members or tuple(
        RunResult(digest=member.digest, failure=done.result.failure, owner=done.result.owner) for member in job.members
    )
    for member, result in zip(job.members, results, strict=True):
        place = member_folder(done.folder, member)
        if job.stop is None:
            own = folder / member.digest
            if place.is_dir():
                shutil.rmtree(own, ignore_errors=True)
                place.rename(own)
            place = own
        yield RunDone(member, result, place, len(done.job.members))
