"""What the terminal shows of a search: figures are never cut, whatever the width."""

from __future__ import annotations

import pytest
from rich.console import Console

from eval.prediction import Prediction
from eval.report.scores import score_runs
from search.results.tables import outcomes_table
from search.session import Progress


def test_a_narrow_terminal_folds_names_and_keeps_ranks_and_figures_whole() -> None:
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
    scores = score_runs({1: predictions})
    assert scores is not None
    console = Console(width=80, record=True, quiet=False, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(outcomes_table([], {"a-control-with-a-name-that-is-much-longer-than-the-column-it-has": scores}))
    shown = capture.get()
    assert "rank" in shown
    assert "round" in shown
    assert f"{scores.f1.value:.3f} [{scores.f1.low:.3f}, {scores.f1.high:.3f}]" in shown
    assert f"0.500 [{scores.accuracy.low:.3f}, {scores.accuracy.high:.3f}]" in shown
    assert max(map(len, shown.splitlines())) <= 80


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
