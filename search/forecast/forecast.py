"""What a search takes on one worker and on many: wall-clock, hours, cost, use, and where more workers stop helping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from math import fsum
from pathlib import Path
from random import Random

from rewards_generated.errors import UserError
from search.config.models import SearchConfig
from search.driver.bound import machine_named
from search.driver.calibration import language_model_cost, worst_case
from search.forecast.rehearsal import Rehearsal, rehearse
from search.forecast.schedule import Schedule, Times, asynchronous, in_rounds
from search.forecast.times import Source, adapter_bytes, bound_by, calibrated, measured
from search.session import duration

REPEATS = 40
"""Draws of the times of all jobs, over which everything is averaged."""
NEAR = 1.05
"""A number of workers is as good as any if its wall-clock is within this of one worker for every job."""
WAITS = ("proposing", "checking", "driver", "others")


@dataclass(frozen=True, slots=True)
class Estimate:
    """Means over the draws. `seconds`: of wall-clock, with their 5th and 95th percentiles."""

    workers: int
    seconds: float
    low: float
    high: float
    in_use: float
    """Share of the workers' time in which they run a job."""
    waiting: dict[str, float]
    """Shares of it in which they wait: for a proposal, checks of candidates, the driver (ranking, records), or the
    `others` of a batch of jobs, all of which have to end before the search goes on."""
    job_hours: float
    """Of all jobs together, in units of `Forecast.unit`."""
    known: float
    """Screened candidates that the author of a candidate could know of, on average."""


@dataclass(frozen=True, slots=True)
class Forecast:
    name: str
    unit: str
    assumed: tuple[str, ...]
    language_model: str
    language_model_usd: float | None
    """At most; None: it is unknown."""
    jobs: int
    widest: int
    """Most jobs that are sent off together."""
    in_rounds: tuple[Estimate, ...]
    asynchronous: tuple[Estimate, ...]
    everywhere: Estimate
    """With a worker for every job: what no further worker makes shorter."""
    enough: int | None
    """The fewest of the workers asked about that come near it; None: none of them."""
    recorded_in: float
    """Seconds that the driver takes for the results of a job."""
    keeps_up: int
    """Workers that end jobs as fast as the driver records them."""

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def forecast(
    config: SearchConfig,
    workers: Sequence[int],
    *,
    run: Path | None = None,
    machine: str | None = None,
    prompt_tokens: int | None = None,
    proposing: float | None = None,
    store: float | None = None,
    rehearsed: Callable[[SearchConfig, int], Rehearsal] = rehearse,
) -> Forecast:
    """`run`: a search whose jobs say how long they take; else `machine`, by its bound; else a calibration here.
    `proposing`: seconds in which a round is proposed. `store`: megabytes a second into the store that adapters go to,
    for all workers together; None: they are on a disk that all share, which takes no time.

    Raises UserError for numbers that are none, or for what a search cannot start with.
    """
    if not workers or min(workers) < 1:
        raise UserError(f"--workers = {','.join(map(str, workers))} must be numbers from 1 upwards, such as 1,8,64")
    if len(set(workers)) < len(workers):
        raise UserError(f"--workers = {','.join(map(str, workers))} names a number twice; name each once")
    plans = _rehearsals(config, sorted(workers), rehearsed)
    together = {job.policies for plan in plans.values() for batch in plan.batches for job in batch.jobs}
    packs = {job.policies for plan in plans.values() for batch in plan.batches for job in batch.jobs if job.steps}
    if run is not None:
        source = measured(run)
    elif machine is not None:
        source = bound_by(config, machine_named(machine, config.hardware), prompt_tokens, together)
    else:
        source = calibrated(config, packs)
    times, assumed = source.times, list(source.words)
    if proposing is not None:
        times = replace(times, proposing=proposing)
        assumed.append(f"a round is proposed in {proposing:g} s (given)")
    if store is not None:
        size = adapter_bytes(config)
        times = replace(times, storing=size / 1e6 / store)
        assumed.append(f"an adapter of {size / 1e6:.1f} MB goes to a store of {store:g} MB/s, one after the other")
    else:
        assumed.append("adapters lie on a disk that all workers share, and take no time")
    most = plans[max(workers)]
    widest = max(len(batch.jobs) for batch in most.batches)
    rounds = tuple(_estimate(in_rounds, plans[count], times, count, source, config.seed) for count in sorted(workers))
    free = tuple(_estimate(asynchronous, plans[count], times, count, source, config.seed) for count in sorted(workers))
    everywhere = _estimate(in_rounds, most, times, widest, source, config.seed)
    recording = [seconds for batch in most.batches for seconds in batch.recording]
    sizes = [job for batch in most.batches for job in batch.jobs]
    spent = fsum(map(times.of, sizes)) / len(sizes)
    recorded = fsum(recording) / len(recording) + times.storing * sum(j.policies for j in sizes if j.steps) / len(sizes)
    cost = worst_case(config)
    return Forecast(
        name=config.name,
        unit=source.unit,
        assumed=tuple(assumed),
        language_model=language_model_cost(config),
        language_model_usd=0.0 if cost is None else None if cost.unpriced_calls else cost.cost_usd,
        jobs=len(sizes),
        widest=widest,
        in_rounds=rounds,
        asynchronous=free,
        everywhere=everywhere,
        enough=next((item.workers for item in rounds if item.seconds <= NEAR * everywhere.seconds), None),
        recorded_in=recorded,
        keeps_up=max(1, int(spent / recorded)) if recorded else max(workers),
    )


def _rehearsals(
    config: SearchConfig, workers: Sequence[int], rehearsed: Callable[[SearchConfig, int], Rehearsal]
) -> dict[int, Rehearsal]:
    """One for all, unless packs are planned by how many jobs go on at once."""
    if config.executor.pack == "auto":
        return {count: rehearsed(config, count) for count in workers}
    return dict.fromkeys(workers, rehearsed(config, workers[0]))


def _estimate(
    simulated: Callable[[Rehearsal, Times, int, Sequence[float]], Schedule],
    rehearsal: Rehearsal,
    times: Times,
    workers: int,
    source: Source,
    seed: int,
) -> Estimate:
    count = sum(len(batch.jobs) for batch in rehearsal.batches)
    # The same draws for every number of workers, so that their differences are not luck.
    found = [
        simulated(rehearsal, times, workers, Random(f"{seed} {number}").choices(times.spread, k=count))
        for number in range(REPEATS)
    ]
    walls = sorted(item.wall for item in found)
    known = [number for item in found for number in item.known]
    whole = fsum(item.workers * item.wall for item in found)
    return Estimate(
        workers=workers,
        seconds=fsum(walls) / REPEATS,
        low=walls[REPEATS // 20],
        high=walls[-1 - REPEATS // 20],
        in_use=fsum(item.busy for item in found) / whole,
        waiting={reason: fsum(item.idle.get(reason, 0.0) for item in found) / whole for reason in WAITS},
        job_hours=source.per_worker * fsum(item.busy for item in found) / REPEATS / 3600,
        known=fsum(known) / max(1, len(known)),
    )


def forecast_lines(found: Forecast) -> list[str]:
    """At most 80 columns."""
    header = ("workers", "wall-clock", "5-95 %", f"{found.unit}-h", "in use", "asynchronous", "ratio")
    rows = [header]
    for item, free in zip(found.in_rounds, found.asynchronous, strict=True):
        rows.append(
            (
                str(item.workers),
                duration(item.seconds),
                f"{duration(item.low)}-{duration(item.high)}",
                f"{item.job_hours:.3g}",
                f"{item.in_use:.0%}",
                duration(free.seconds),
                f"{item.seconds / free.seconds:.2f}",
            )
        )
    waits: list[tuple[str, ...]] = [("workers", "jobs", *WAITS, "known", "known, asynchronous")]
    for item, free in zip(found.in_rounds, found.asynchronous, strict=True):
        shares = [f"{share:.0%}" for share in (item.in_use, *(item.waiting[reason] for reason in WAITS))]
        waits.append((str(item.workers), *shares, f"{item.known:.1f}", f"{free.known:.1f}"))
    limit = found.everywhere
    parts = ", ".join(f"{limit.waiting[reason]:.0%} {reason}" for reason in WAITS if limit.waiting[reason] >= 0.005)
    return [
        f"search {found.name}: {found.jobs} jobs, at most {found.widest} together",
        *_wrapped("from " + "; ".join(found.assumed)),
        *_wrapped(f"language model: {found.language_model}"),
        "",
        *_aligned(rows),
        "",
        "of the workers' time; `others`: waiting for the last of a batch, `known`:",
        "screened candidates that the author of a candidate can know of",
        *_aligned(waits),
        "",
        *_wrapped(
            (
                f"{found.enough} workers are enough: "
                if found.enough is not None
                else "None of these is enough: a worker for every job would do better; "
            )
            + f"with one for every job, at most {found.widest} at a time, it takes {duration(limit.seconds)}, and its "
            f"workers wait for {parts or 'nothing'}"
        ),
        *_wrapped(
            f"the driver takes {1000 * found.recorded_in:.0f} ms for the results of a job, and keeps up with "
            f"{found.keeps_up:,} workers"
        ),
        *_wrapped(
            "asynchronous: as if a candidate were proposed whenever a worker is free, from what has ended by then, "
            "with nothing waiting for a round to end; the search itself goes by rounds"
        ),
    ]


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, 80, subsequent_indent="  ", break_on_hyphens=False)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(size) for cell, size in zip(row, sizes, strict=True)) for row in rows]
