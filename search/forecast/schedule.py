"""How long a rehearsed search takes on so many workers, by an event queue: in rounds as it is searched, and without."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from search.config.names import BASE_ONLY
from search.forecast.rehearsal import Alone, Batch, Event, JobSize, Rehearsal


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. `step`, `question`: of as many policies together as the key says, a step or an answer of each."""

    start: float
    """Of a job before its first step: process, imports, the base policy."""
    step: Mapping[int, float]
    question: Mapping[int, float]
    proposing: float
    """Of a round."""
    checking: float
    """Of a candidate: gate and pre-screen."""
    spread: tuple[float, ...]
    """Factors by which jobs of one description differ, one drawn for each job; their mean is 1."""
    storing: float = 0.0
    """Until the adapter of a run is in the store; one after the other."""

    def of(self, job: JobSize) -> float:
        together = job.policies
        return self.start + job.steps * _at(self.step, together) + job.questions * _at(self.question, together)


def _at(measured: Mapping[int, float], together: int) -> float:
    """Straight lines between what was measured; beyond it in proportion, as if packing saved nothing there."""
    sizes = sorted(measured)
    if together <= sizes[0] or together >= sizes[-1]:
        nearest = sizes[0] if together <= sizes[0] else sizes[-1]
        return measured[nearest] * together / nearest
    above = next(size for size in sizes if size >= together)
    below = sizes[sizes.index(above) - 1] if above > together else above
    share = 0.0 if above == below else (together - below) / (above - below)
    return measured[below] + share * (measured[above] - measured[below])


@dataclass(slots=True)
class Schedule:
    """`wall`: seconds from start to end. `busy`: seconds of all workers together in which they run a job. `idle`: those
    in which they do not, by what they wait for."""

    workers: int
    wall: float = 0.0
    busy: float = 0.0
    idle: dict[str, float] = field(default_factory=dict)
    known: list[int] = field(default_factory=list)
    """How many screened candidates each candidate's author could know of, in the order of proposal."""

    def wait(self, reason: str, seconds: float) -> None:
        """All workers wait."""
        self.wall += seconds
        self.idle[reason] = self.idle.get(reason, 0.0) + self.workers * seconds

    @property
    def in_use(self) -> float:
        """Share of the workers' time in which they run a job."""
        return self.busy / (self.workers * self.wall)


def in_rounds(rehearsal: Rehearsal, times: Times, workers: int, factors: Sequence[float]) -> Schedule:
    """As the driver goes: each batch of jobs waits for the one before. `factors`: of the jobs, in order."""
    schedule, drawn = Schedule(workers), iter(factors)
    asked = max(1.0, _asked(rehearsal))
    for event in rehearsal.events:
        _follow(schedule, event, times, drawn, asked)
        if isinstance(event, Alone) and event.what == "proposing":
            before = len(schedule.known)
            schedule.known += [before] * round(event.count)
    return schedule


def _asked(rehearsal: Rehearsal) -> float:
    """Candidates asked for in a round."""
    return max(
        (event.count for event in rehearsal.events if isinstance(event, Alone) and event.what == "proposing"),
        default=1.0,
    )


def _follow(schedule: Schedule, event: Event, times: Times, factors: Iterator[float], asked: float) -> None:
    if isinstance(event, Alone):
        each = {"proposing": times.proposing / asked, "checking": times.checking, "driver": 1.0}[event.what]
        schedule.wait(event.what, event.count * each)
        return
    lengths = [times.of(job) * next(factors) for job in event.jobs]
    waiting, running, now = deque(range(len(lengths))), list[tuple[float, int]](), 0.0
    while waiting or running:
        while waiting and len(running) < schedule.workers:
            job = waiting.popleft()
            heapq.heappush(running, (now + lengths[job], job))
        end, job = heapq.heappop(running)
        # The driver records one result after the other, and starts no job meanwhile.
        now = max(now, end) + _recorded(event, job, times)
    schedule.wall += now
    schedule.busy += sum(lengths)
    rest = schedule.workers * now - sum(lengths)
    schedule.idle["others"] = schedule.idle.get("others", 0.0) + rest


def _recorded(batch: Batch, job: int, times: Times) -> float:
    size = batch.jobs[job]
    return batch.recording[job] + (times.storing * size.policies if size.steps else 0.0)


@dataclass(slots=True)
class _Job:
    length: float
    recording: float
    proposes: list[str]
    """Candidates that are proposed for it, when a worker is free."""
    subjects: frozenset[str]
    first: bool
    """A screening from the beginning, by which a candidate is known."""
    needs: int = 0
    after_proposal: list[int] = field(default_factory=list)
    after_end: list[int] = field(default_factory=list)


def asynchronous(rehearsal: Rehearsal, times: Times, workers: int, factors: Sequence[float]) -> Schedule:
    """The same jobs without waiting for rounds: whenever a worker is free and no started candidate has a job for it,
    the next candidate is proposed from what has ended by then, checked and screened. Later jobs of a candidate (after
    rungs, in races) wait for its own earlier ones alone. What stands before the rounds and after them is as it is.

    A candidate by itself is proposed in its share of a round's time. Proposals go on side by side; the driver checks
    and records one at a time.
    """
    schedule, drawn = Schedule(workers), iter(factors)
    asked = max(1.0, _asked(rehearsal))
    for event in rehearsal.before:
        _follow(schedule, event, times, drawn, asked)
    jobs = _chained(rehearsal, times, drawn)
    names = {name for job in jobs for name in job.proposes}
    own = sum(e.count for part in rehearsal.rounds for e in part if isinstance(e, Alone) and e.what == "driver")
    each = times.checking + own / max(1, len(names))
    screenings = {name: sum(job.first and name in job.subjects for job in jobs) for name in names}
    fresh = deque(number for number, job in enumerate(jobs) if not job.needs)
    ready: deque[int] = deque()
    events: list[tuple[float, int, str, int]] = []
    order, free, now, driver = count(), workers, 0.0, 0.0

    def release(numbers: Sequence[int]) -> None:
        for number in numbers:
            jobs[number].needs -= 1
            if not jobs[number].needs:
                ready.append(number)

    def later(at: float, what: str, job: int) -> None:
        heapq.heappush(events, (at, next(order), what, job))

    while True:
        while free and (ready or fresh):
            number = ready.popleft() if ready else fresh.popleft()
            job, free = jobs[number], free - 1
            if job.proposes:
                known = sum(left == 0 for left in screenings.values())
                schedule.known += [known] * len(job.proposes)
                later(now + times.proposing * len(job.proposes) / asked, "proposed", number)
            else:
                later(now + job.length, "ended", number)
        if not events:
            break
        now, _, what, number = heapq.heappop(events)
        job = jobs[number]
        if what == "proposed":
            driver = max(driver, now) + each * len(job.proposes)
            release(job.after_proposal)
            later(driver + job.length, "ended", number)
        elif what == "ended":
            driver = max(driver, now) + job.recording
            later(driver, "recorded", number)
        else:
            free += 1
            for name in job.subjects & screenings.keys() if job.first else ():
                screenings[name] -= 1
            release(job.after_end)
    busy = sum(job.length for job in jobs)
    schedule.wall, schedule.busy = schedule.wall + now, schedule.busy + busy
    schedule.idle["others"] = schedule.idle.get("others", 0.0) + workers * now - busy
    for event in rehearsal.finals:
        _follow(schedule, event, times, drawn, asked)
    return schedule


def _chained(rehearsal: Rehearsal, times: Times, factors: Iterator[float]) -> list[_Job]:
    """The jobs of all rounds; each after those of earlier batches of its round that trained one of its candidates."""
    jobs: list[_Job] = []
    proposed_for: dict[str, int] = {}
    for part in rehearsal.rounds:
        last: dict[str, list[int]] = {}
        for position, batch in enumerate(event for event in part if isinstance(event, Batch)):
            batched: dict[str, list[int]] = {}
            for place, size in enumerate(batch.jobs):
                number = len(jobs)
                new = sorted(size.subjects - proposed_for.keys() - {BASE_ONLY})
                length, recording = times.of(size) * next(factors), _recorded(batch, place, times)
                job = _Job(length, recording, new, size.subjects, first=position == 0)
                jobs.append(job)
                proposals = {proposed_for[name] for name in size.subjects & proposed_for.keys()} if job.first else set()
                earlier = {index for name in size.subjects for index in last.get(name, ())}
                for index in proposals:
                    jobs[index].after_proposal.append(number)
                for index in earlier:
                    jobs[index].after_end.append(number)
                job.needs = len(proposals) + len(earlier)
                proposed_for |= dict.fromkeys(new, number)
                for name in size.subjects:
                    batched.setdefault(name, []).append(number)
            last |= batched
    return jobs
