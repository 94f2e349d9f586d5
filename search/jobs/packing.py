"""Training jobs sent off in packs: which train together, written down before they start, and halved if too large."""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rewards_generated.errors import UserError
from search.executors.base import JobDone, PackDone, PackExecutor
from search.executors.gpus import jobs_at_once, visible_gpus
from search.executors.local import whole_result
from search.jobs.descriptions import jobs_folder
from search.jobs.dispatch import ATTEMPTS, stopped, train
from search.ledger import Stage
from search.session import Run
from trainer.jobs.folder import CHECKPOINT, MEMBERS
from trainer.jobs.pack import PackJob, require_packable, shared_fields
from trainer.jobs.train import TrainJob, TrainResult

MOST_ON_A_CPU = 16
"""Beyond so many members, arithmetic is all that a CPU does, and a larger pack is no faster."""
MOST_ON_A_GPU = 64
CHARACTERS_PER_TOKEN = 2
"""For the memory that a prompt takes: fewer characters make up a token of no tokenizer in use, digits apart."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of training runs that packs go through, in steps. `start` None: from the beginning; `stop` None: to the
    end."""

    start: int | None = None
    stop: int | None = None


WHOLE = Segment()


def train_together(
    run: Run, stage: Stage, jobs: Sequence[TrainJob], segment: Segment = WHOLE
) -> Generator[JobDone, None, None]:
    """Yields every job once, when it has ended for good, or come to the end of the segment; in packs, if the
    configuration says so. A segment other than the whole needs them.

    What is yielded has to be recorded before the next is asked for: a pack is over when its members are recorded. A
    pack of these jobs that an interrupted search had written down runs as it was; those of other jobs, which a resumed
    search has yet to come to, are left alone. Use it under `contextlib.closing`.
    """
    folder = jobs_folder(run.folder)
    # Results of whole runs are no results of a part of them.
    known = adopted(run, jobs) if segment == WHOLE else []
    yield from known
    done_elsewhere = {done.job.digest for done in known}
    jobs = [job for job in jobs if job.digest not in done_elsewhere]
    if run.config.executor.pack == 1:
        yield from train(run.executor, jobs, folder)
        return
    if not isinstance(run.executor, PackExecutor):
        raise UserError(f"executor {run.config.executor.name!r} cannot run packs; set executor.pack to 1")
    missing = {job.digest: job for job in jobs}
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
    groups = _groups(list(missing.values()))
    fresh = [pack for group in groups for pack in planned_packs(run, group, segment.stop, origins)]
    if fresh:
        run.ledger.record_packs(stage, fresh)
    wanted = {job.digest for job in jobs}
    with closing(_run_packs(run, run.executor, stage, [*waiting, *fresh], folder)) as ended:
        for done in ended:
            yield from (member for member in _members(done, folder) if member.job.digest in wanted)
            run.ledger.record_pack_outcome(done.job, "failed" if done.result.failure else "done")


def adopted(run: Run, jobs: Sequence[TrainJob]) -> list[JobDone]:
    """Jobs that a sibling search has trained already, with its results and their files copied here.

    A job is a pure function of its description, up to rounding where another pack trained it.
    """
    found = []
    for job in jobs:
        own = jobs_folder(run.folder) / job.digest
        for cache in run.caches:
            place = jobs_folder(cache) / job.digest
            if (result := whole_result(place, job.digest, TrainResult)) is not None:
                shutil.copytree(place, own, dirs_exist_ok=True)
                found.append(JobDone(job, result, own))
                break
    return found


def forget_states(run: Run, stage: Stage, subjects: Collection[str], stop: int) -> None:
    """Removes what packs of these subjects kept at a rung, once all who went on from there have come further."""
    for record in run.ledger.packs(stage):
        if record.job.stop == stop and any(member.ensemble.name in subjects for member in record.job.members):
            shutil.rmtree(jobs_folder(run.folder) / record.job.digest / CHECKPOINT, ignore_errors=True)


def planned_packs(
    run: Run, jobs: Sequence[TrainJob], stop: int | None = None, origins: Mapping[str, str] | None = None
) -> list[PackJob]:
    """The jobs in packs of like size, in order. `origins`: of each job, by digest, the pack from which it goes on.

    Raises UserError for settings that cannot be packed.
    """
    require_packable(jobs[0])
    most = _most_together(run, jobs)
    count = math.ceil(len(jobs) / most)
    bounds = [round(index * len(jobs) / count) for index in range(count + 1)]
    return [
        PackJob(
            label=f"{jobs[start].label} and {end - start - 1} more" if end - start > 1 else jobs[start].label,
            members=tuple(jobs[start:end]),
            stop=stop,
            origins=tuple(origins[job.digest] for job in jobs[start:end]) if origins else (),
        )
        for start, end in pairwise(bounds)
    ]


def halves(pack: PackJob) -> list[PackJob]:
    """Two packs of the members of one."""
    middle = (len(pack.members) + 1) // 2
    return [
        PackJob(
            label=f"{pack.label}, half {number}",
            members=pack.members[part],
            stop=pack.stop,
            origins=pack.origins[part],
        )
        for number, part in enumerate((slice(middle), slice(middle, None)), start=1)
    ]


def _groups(jobs: Sequence[TrainJob]) -> list[list[TrainJob]]:
    """Jobs that differ in nothing but reward, seed and label, together."""
    groups: dict[str, list[TrainJob]] = {}
    for job in jobs:
        groups.setdefault(shared_fields(job), []).append(job)
    return list(groups.values())


def _most_together(run: Run, jobs: Sequence[TrainJob]) -> int:
    """Members of a pack at most: what the configuration says, or what memory holds of a share of the jobs."""
    settings = run.config.executor
    if settings.pack != "auto":
        return settings.pack
    at_once = jobs_at_once(settings.parallel_jobs, jobs[0].hardware.device)
    share = math.ceil(len(jobs) / at_once)
    return min(share, _most_in_memory(run, jobs[0], at_once))


def _most_in_memory(run: Run, job: TrainJob, at_once: int) -> int:
    from transformers import AutoConfig

    from eval.engines.policy import device_name
    from trainer.grpo.memory import ModelShape, free_memory, members_that_fit
    from trainer.policy import base_model_source

    device = device_name(job.hardware.device)
    shape = ModelShape.of(AutoConfig.from_pretrained(base_model_source(job.base_model)))
    longest = max(sum(len(turn["content"]) for turn in example.prompt) for example in run.task.examples("train"))
    gpus = visible_gpus(job.hardware.device)
    free = free_memory(gpus) // math.ceil(at_once / max(1, len(gpus)))
    fits = members_that_fit(job, shape, longest // CHARACTERS_PER_TOKEN, free)
    return min(fits, MOST_ON_A_GPU if device == "cuda" else MOST_ON_A_CPU)


def _run_packs(
    run: Run, executor: PackExecutor, stage: Stage, packs: Sequence[PackJob], folder: Path
) -> Generator[PackDone, None, None]:
    """Yields every pack that has ended for good. One that is too large is replaced by its halves.

    A process that is killed is started again; one that is killed again may well have taken too much memory.
    """
    waiting = list(packs)
    lost: dict[str, int] = {}
    while waiting:
        again: list[PackJob] = []
        with stopped(executor.run_packs(waiting, folder)) as ended:
            for done in ended:
                size, digest = len(done.job.members), done.job.digest
                lost[digest] = lost.get(digest, 0) + done.result.lost
                if size > 1 and (done.result.too_large or lost[digest] == ATTEMPTS - 1):
                    parts = halves(done.job)
                    run.ledger.record_packs(stage, parts, instead_of=done.job)
                    run.progress.note(f"{done.result.failure}; its {size} members run again in two packs")
                    again += parts
                elif done.result.lost and lost[digest] < ATTEMPTS:
                    again.append(done.job)
                else:
                    yield done
        waiting = again


def _members(done: PackDone, folder: Path) -> list[JobDone]:
    """What the members came to; if the pack failed as a whole, each failed."""
    results = done.result.members or tuple(
        TrainResult(digest=member.digest, failure=done.result.failure, lost=done.result.lost, versions={})
        for member in done.job.members
    )
    place = folder if done.job.stop is None else done.folder / MEMBERS
    return [
        JobDone(member, result, place / member.digest) for member, result in zip(done.job.members, results, strict=True)
    ]
