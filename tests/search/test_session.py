"""What the terminal shows of a search: figures are never cut, whatever the width."""

from __future__ import annotations

import pytest
from rich.console import Console

from eval.prediction import Prediction
from eval.report.data import Scores
from eval.report.scores import score_runs
from eval.report.table import Table
from eval.statistics.estimate import Estimate
from search.results.tables import outcomes_table
from search.session import Progress

NAME = "a-control-with-a-name-that-is-much-longer-than-the-column-it-has"


def scores() -> Scores:
    predictions = [
        Prediction(
            id=str(n),
            completion="",
            strict="1",
            flexible="1",
            correct=n < 5,
            correct_flexible=n < 5,
            completion_tokens=1,
        )
        for n in range(10)
    ]
    found = score_runs({1: predictions})
    assert found is not None
    return found


def estimate(found: Estimate) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def printed(console: Console, table: Table) -> str:
    with console.capture() as capture:
        console.print(table, soft_wrap=not console.is_terminal)
    return capture.get()


@pytest.mark.parametrize(("width", "kept", "gone"), [(80, ["round", "accuracy"], []), (60, [], ["round", "accuracy"])])
def test_in_a_narrow_terminal_the_name_keeps_its_first_characters_and_other_columns_go(
    width: int, kept: list[str], gone: list[str]
) -> None:
    found = scores()
    shown = printed(Console(width=width, force_terminal=True, color_system=None), outcomes_table([], {NAME: found}))
    assert NAME[:24] in shown
    assert "rank" in shown
    assert estimate(found.f1) in shown
    assert (estimate(found.accuracy) in shown) == ("accuracy" in kept)
    assert all(name in shown for name in kept)
    assert not any(f" {name}" in shown.splitlines()[1] for name in gone)
    assert max(map(len, shown.splitlines())) <= width


def test_without_a_terminal_a_row_is_a_line() -> None:
    names = [f"{NAME}-{NAME}-{k}" for k in range(3)]
    shown = printed(Console(width=60, force_terminal=False), outcomes_table([], {name: scores() for name in names}))
    for name in names:
        assert [estimate(scores().f1) in line for line in shown.splitlines() if name in line] == [True]


@pytest.mark.parametrize("width", [60, 80])
def test_what_the_phase_is_at_stays_visible_under_a_table_that_is_higher_than_the_terminal(width: int) -> None:
    console = Console(width=width, height=16, force_terminal=True, color_system=None)
    progress = Progress(console, planned_steps=10)
    progress.show_round(1, [], {f"{k}-{NAME}": scores() for k in range(30)})
    progress.phase("round 2 of 3: screening", jobs=2, steps_per_job=5)
    with console.capture() as capture:
        console.print(progress._view())
    lines = capture.get().splitlines()
    assert len(lines) <= 16
    assert "round 2 of 3: screening  0/2" in lines[-1]
    assert "23 more rows" in " ".join(capture.get().split())


def test_the_time_of_a_pack_is_that_of_all_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("search.session.time.monotonic", lambda: now[0])
    console = Console(width=80, force_terminal=False, color_system=None)
    progress = Progress(console, planned_steps=160)
    with console.capture() as capture:
        progress.phase("screening", jobs=16, steps_per_job=10)
        now[0] = 600.0
        for k in range(8):
            progress.job_done(f"run {k}", None, together=8)
            now[0] += 1.0
    told = [line for line in capture.get().splitlines() if "run " in line]
    assert len(told) == 8
    # Half of the steps took ten minutes, whichever of the eight is told first.
    assert all(line.endswith("about 10 min left") for line in told), told


def test_the_pace_is_that_of_the_phase_once_a_part_of_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("search.session.time.monotonic", lambda: now[0])
    progress = Progress(Console(width=80, force_terminal=False, quiet=True), planned_steps=1010)
    progress.phase("alone", jobs=1, steps_per_job=10)
    now[0] = 100.0
    progress.job_done("base", None)
    progress.phase("packs", jobs=100, steps_per_job=10)
    now[0] = 110.0
    # At ten seconds a step the rest would take 2.8 hours; too little of the phase is done to say otherwise.
    assert progress._left(going=1) == ", about 2.8 h left"
    now[0] = 200.0
    assert progress._left(going=500) == ", about 100 s left".replace("100 s", "2 min")


def test_the_start_of_a_pack_is_not_taken_for_the_pace_of_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("search.session.time.monotonic", lambda: now[0])
    progress = Progress(Console(width=80, force_terminal=False, quiet=True), planned_steps=800)
    progress.phase("screening", jobs=8, steps_per_job=100)
    told = {}
    for step in range(1, 101):  # thirty seconds until the first step, then one a second, of all eight runs
        now[0] = 30.0 + step
        told[step] = progress._left(going=8 * step)
    assert told[10] == ", about 2 min left"  # 90 s
    assert told[50] == ", about 50 s left"
    assert told[90] == ", about 10 s left"


def test_a_pack_that_ends_beside_others_does_not_count_their_steps_as_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("search.session.time.monotonic", lambda: now[0])
    console = Console(width=80, force_terminal=False, color_system=None)
    progress = Progress(console, planned_steps=320)
    with console.capture() as capture:
        progress.phase("screening", jobs=16, steps_per_job=10)
        progress.steps_in_progress = lambda: 80  # of the other pack, which is being evaluated
        now[0] = 100.0
        progress.job_done("run", None, together=8)
    assert capture.get().splitlines()[-1].endswith("about 2 min left")  # 160 of 320 steps in 100 s


def test_jobs_side_by_side_are_told_with_the_clock_of_their_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 67.0, 68.5])
    monkeypatch.setattr("search.session.time.monotonic", lambda: next(clock))
    console = Console(width=80, force_terminal=False, color_system=None)
    with console.capture() as capture:
        progress = Progress(console, planned_steps=10)
        progress.phase("screening", jobs=2, steps_per_job=5)
        progress.job_done("first", None)
        progress.job_done("second", "unscored: diverged")
    shown = capture.get()
    assert "[1/2] first: done at 57.0 s, about 57 s left" in shown
    assert "[2/2] second: unscored: diverged at 58.5 s" in shown


def test_a_terminal_shows_the_steps_of_running_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("search.session.time.monotonic", lambda: now[0])
    console = Console(width=80, force_terminal=False, color_system=None)
    progress = Progress(console, planned_steps=40)
    progress.phase("screening", jobs=4, steps_per_job=10)
    progress.steps_in_progress = lambda: 12
    now[0] = 60.0
    with console.capture() as capture:
        console.print(progress._view())
    assert "screening  0/4, 12 of 40 steps, about 2 min left" in capture.get()
