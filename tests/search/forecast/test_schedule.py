"""The event queue of `reward-search plan --workers`, against schedules worked out by hand."""

from __future__ import annotations

from itertools import repeat

import pytest

from search.config.names import BASE_ONLY
from search.forecast.rehearsal import Alone, Batch, Event, JobSize, Rehearsal
from search.forecast.schedule import Schedule, Times, asynchronous, in_rounds

TIMES = Times(start=0, step={1: 1.0}, question={1: 0.0}, proposing=10, checking=0, spread=(1.0,))


def batch(*jobs: tuple[int, str], recording: float = 0.0) -> Batch:
    """Jobs of so many steps, each of the candidates that the letters name; `-` is the base rewards alone."""
    sizes = [JobSize(1, steps, 0, frozenset({BASE_ONLY} if names == "-" else names)) for steps, names in jobs]
    return Batch(tuple(sizes), tuple(repeat(recording, len(sizes))))


def rounds(*events: list[Event], finals: tuple[Event, ...] = ()) -> Rehearsal:
    return Rehearsal((), tuple(map(tuple, events)), finals)


TWO = rounds(
    [Alone("proposing", 3), Alone("driver", 1), batch((5, "-"), (4, "a"), (8, "b"), (3, "c"))],
    [Alone("proposing", 3), batch((4, "d"), (6, "e"), (2, "f"))],
    finals=(Alone("driver", 2), batch((7, "top"))),
)


def simulated(workers: int, rehearsal: Rehearsal = TWO, times: Times = TIMES) -> Schedule:
    return in_rounds(rehearsal, times, workers, [1.0] * 200)


def test_one_worker_does_everything_one_after_the_other() -> None:
    found = simulated(1)
    assert found.wall == 10 + 1 + 20 + 10 + 12 + 2 + 7
    assert found.busy == 39


def test_two_workers_take_the_jobs_in_order() -> None:
    # 5 and 4; 8 from 4 to 12, 3 from 5 to 8. Then 4 and 6; 2 from 4 to 6.
    assert simulated(2).wall == 10 + 1 + 12 + 10 + 6 + 2 + 7


def test_with_a_worker_for_every_job_a_round_takes_as_long_as_its_longest() -> None:
    assert simulated(4).wall == simulated(512).wall == 10 + 1 + 8 + 10 + 6 + 2 + 7


@pytest.mark.parametrize("workers", [1, 2, 3, 512])
def test_workers_run_jobs_or_wait_for_something(workers: int) -> None:
    for schedule in (simulated(workers), asynchronous(TWO, TIMES, workers, [1.0] * 200)):
        assert schedule.busy + sum(schedule.idle.values()) == pytest.approx(workers * schedule.wall)
        assert 0 < schedule.in_use <= 1


def test_each_job_has_its_own_factor() -> None:
    one = rounds([batch((5, "a"), (4, "b"))])
    assert in_rounds(one, TIMES, 2, [1.0, 2.0]).wall == 8


def test_the_driver_records_one_result_after_the_other() -> None:
    jobs = batch(*((1, "a") for _ in range(100)), recording=0.5)
    assert simulated(100, rounds([jobs])).wall == pytest.approx(1 + 100 * 0.5)
    assert simulated(1, rounds([jobs])).wall == pytest.approx(100 * 1.5)


def test_adapters_go_to_the_store_one_after_the_other() -> None:
    times = Times(0, {1: 1.0}, {1: 0.0}, 0, 0, (1.0,), storing=2.0)
    assert simulated(3, rounds([batch((1, "a"), (1, "b"), (1, "c"))]), times).wall == 1 + 3 * 2


def test_the_time_of_a_job_is_start_steps_and_answers() -> None:
    times = Times(10, {1: 1.0, 9: 5.0}, {1: 0.5}, 0, 0, (1.0,))
    assert times.of(JobSize(1, 20, 4)) == 10 + 20 + 2
    assert times.of(JobSize(5, 20, 0)) == 10 + 20 * 3  # half-way between one and nine
    assert times.of(JobSize(18, 1, 0)) == 10 + 2 * 5
    assert times.of(JobSize(3, 0, 4)) == 10 + 3 * 4 * 0.5


def test_in_rounds_the_author_knows_of_earlier_rounds_alone() -> None:
    assert simulated(3).known == [0, 0, 0, 3, 3, 3]


def free(workers: int, rehearsal: Rehearsal = TWO) -> Schedule:
    return asynchronous(rehearsal, TIMES, workers, [1.0] * 200)


def test_without_rounds_a_candidate_is_proposed_when_a_worker_is_free() -> None:
    """A proposal takes a third of 10 s; the driver's second of ranking is shared by the six candidates."""
    each, ask = 1 / 6, 10 / 3
    one = free(1)
    assert one.wall == pytest.approx(5 + 6 * (ask + each) + 27 + 2 + 7)
    assert one.known == [0, 1, 2, 3, 4, 5]


def test_with_a_worker_for_every_job_all_are_proposed_at_once_and_know_of_none() -> None:
    found = free(7)
    assert found.known == [0] * 6
    # The checks of a and b come first; b is the longest.
    assert found.wall == pytest.approx(10 / 3 + 2 / 6 + 8 + 2 + 7)


def test_later_jobs_of_a_candidate_wait_for_its_own_alone() -> None:
    halved = rounds(
        [
            Alone("proposing", 2),
            batch((1, "a"), (9, "b")),
            batch((4, "a")),  # goes on after a rung
        ]
    )
    assert simulated(2, halved).wall == 10 + 9 + 4
    assert free(2, halved).wall == 5 + 9  # a is over at 5 + 1 + 4


def test_no_run_of_a_candidate_starts_before_it_is_proposed() -> None:
    seeds = rounds([Alone("proposing", 1), batch((3, "a"), (3, "a"))])
    found = free(2, seeds)
    assert found.wall == 10 + 3
    assert found.known == [0]


def test_a_candidate_is_known_when_all_its_runs_have_ended() -> None:
    seeds = rounds([Alone("proposing", 2), batch((1, "a"), (9, "a"), (1, "b"))], [Alone("proposing", 1)])
    assert free(2, seeds).known == [0, 0]
    assert free(1, seeds).known == [0, 1]
