"""`reward-search plan --workers`: a rehearsal goes the driver's way, and a finished search says how long jobs take."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rewards_generated.errors import UserError
from search.cli import main
from search.config.source import load_config
from search.forecast.forecast import Forecast, forecast, forecast_lines
from search.forecast.rehearsal import Alone, Rehearsal, rehearse
from search.forecast.times import measured
from search.ledger import Ledger
from search.proposers.base import ProposalRequest, Spending
from tests.search.instant import InstantExecutor
from tests.search.searches import NumberedProposer, run_search, write_config
from trainer.jobs.base import Done, Job
from trainer.jobs.train import RunResult, TrainingRun, TrainJob

SECONDS_PER_STEP = {"screening": 0.5, "retraining": 0.7}


class TimedExecutor(InstantExecutor):
    """Writes down what it is sent, and says that jobs took time."""

    batches: ClassVar[list[list[Job]]] = []

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        TimedExecutor.batches.append(list(jobs))
        yield from super().run(jobs, folder)

    def _train(self, job: TrainingRun, folder: Path, stop: int | None = None) -> RunResult:
        found = super()._train(job, folder, stop)
        train = SECONDS_PER_STEP[job.label.split()[0]] * job.grpo.steps
        return found.model_copy(update={"seconds": {"start": 2.0, "train": train, "evaluate": 4.0}})


EXECUTOR = {"name": "tests.search.forecast.test_forecast:TimedExecutor"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    TimedExecutor.batches.clear()
    code, run = run_search(tmp_path_factory.mktemp("finished"), executor=EXECUTOR)
    assert code == 0
    return run


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    config = load_config(None, write_config(tmp_path_factory.mktemp("rehearsed")), [])
    return rehearse(config, 2)


Shapes = list[list[tuple[int, int | None]]]
"""Of each batch of jobs, of each job, how many policies it has, and at which step it ends, of training."""


def sent() -> Shapes:
    """What the last search sent to its executor."""
    return [
        [
            (len(job.members), job.stop or job.shared.grpo.steps)
            if isinstance(job, TrainJob)
            else (len(job.adapters), 0)  # type: ignore[attr-defined]
            for job in jobs
        ]
        for jobs in TimedExecutor.batches
    ]


def shapes(rehearsal: Rehearsal) -> Shapes:
    return [[(job.policies, job.steps) for job in batch.jobs] for batch in rehearsal.batches]


def test_the_rehearsal_sends_off_the_jobs_that_the_search_does(finished: Path, rehearsal: Rehearsal) -> None:
    assert shapes(rehearsal) == sent()
    questions = [batch.jobs[0].questions for batch in rehearsal.batches]
    assert questions[:2] == [8 * 2, 40]
    assert questions[-1] == 50


def test_a_rehearsal_proposes_every_round_and_checks_every_candidate(rehearsal: Rehearsal) -> None:
    alone = [event for event in rehearsal.events if isinstance(event, Alone)]
    assert [event.count for event in alone if event.what == "proposing"] == [2, 2]
    assert sum(event.count for event in alone if event.what == "checking") == 4
    assert len(rehearsal.rounds) == 2
    assert all(event.count >= 0 for event in alone)


def test_a_search_says_what_its_jobs_took(finished: Path) -> None:
    found = measured(finished).times
    # Of 5 steps each: 2 candidates and a control in the first round, 2 in the second; 10 retrainings.
    stages = [job.stage for job in runs(finished)]
    mean = sum(SECONDS_PER_STEP[stage] for stage in stages) / len(stages)
    assert found.step == {1: pytest.approx(mean)}
    assert found.question == {1: pytest.approx(4 / 40)}
    assert found.start == pytest.approx(2)
    assert len(found.spread) == len(stages)
    assert sum(found.spread) / len(found.spread) == pytest.approx(1)
    whole = 2 + 5 * mean + 4
    assert max(found.spread) == pytest.approx((2 + 5 * 0.7 + 4) / whole)


def runs(folder: Path) -> list[object]:
    ledger = Ledger.open(folder)
    try:
        return [
            job
            for job in ledger.jobs()
            if job.stage in SECONDS_PER_STEP
            and "evaluate" in job.result["seconds"]
            and job.result["seconds"].get("start") == 2.0
        ]
    finally:
        ledger.close()


@pytest.fixture(scope="module")
def foreseen(finished: Path, rehearsal: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Forecast:
    config = load_config(None, write_config(tmp_path_factory.mktemp("foreseen")), [])
    return forecast(config, [1, 2, 512], run=finished, rehearsed=lambda *_: rehearsal)


def test_more_workers_are_faster_until_a_worker_for_every_job(foreseen: Forecast) -> None:
    one, two, many = foreseen.in_rounds
    assert one.seconds > two.seconds > many.seconds
    assert many.seconds == pytest.approx(foreseen.everywhere.seconds)
    assert one.in_use > two.in_use > many.in_use
    assert foreseen.enough == 512
    assert one.job_hours == pytest.approx(many.job_hours)
    assert one.low <= one.seconds <= one.high
    for item in (*foreseen.in_rounds, *foreseen.asynchronous):
        assert item.in_use + sum(item.waiting.values()) == pytest.approx(1)


def test_without_rounds_no_one_waits_longer(foreseen: Forecast) -> None:
    for item, free in zip(foreseen.in_rounds, foreseen.asynchronous, strict=True):
        assert free.seconds <= item.seconds + 1e-6
    assert foreseen.asynchronous[-1].known == 0


def test_the_table_has_eighty_columns_and_says_what_it_rests_on(foreseen: Forecast) -> None:
    lines = forecast_lines(foreseen)
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "none is asked" in text
    assert "vary as theirs did" in text
    assert "core-h" in text


def test_a_slow_store_is_waited_for(finished: Path, rehearsal: Rehearsal, foreseen: Forecast, tmp_path: Path) -> None:
    config = load_config(None, write_config(tmp_path), [])
    slow = forecast(config, [512], run=finished, store=0.01, rehearsed=lambda *_: rehearsal)
    assert slow.in_rounds[0].seconds > 2 * foreseen.in_rounds[-1].seconds
    assert slow.keeps_up < foreseen.keeps_up


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json"], "--json goes with --workers"),
        (["--workers", "1,two"], "'1,two'"),
        (["--workers", "0"], "--workers = 0"),
        (["--workers", "2,2"], "names a number twice"),
        (["--workers", "1", "--pack", "4"], "executor.pack=4"),
        (["--workers", "1", "--measured", "runs/none", "--machine", "h100"], "give one of them"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--config", str(write_config(tmp_path)), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_search_without_a_run_that_ended_says_nothing_of_times(tmp_path: Path) -> None:
    code, run = run_search(tmp_path, executor={"options": {"interrupt": "screening reward-101"}})
    assert code == 130
    with pytest.raises(UserError, match="no training run of"):
        measured(run)


HALVED: dict[str, Any] = {
    "search": {"candidates_per_round": 4},
    "screening": {"halving": {"rungs": [2]}, "race": [{"share": 0.5, "seeds": 2}], "control_seeds": 2},
    "executor": {"pack": 2},
}


@pytest.mark.slow
def test_rungs_races_and_packs_are_rehearsed_too(tmp_path: Path) -> None:
    TimedExecutor.batches.clear()
    code, _ = run_search(tmp_path, **{**HALVED, "executor": {**EXECUTOR, "pack": 2}})
    assert code == 0
    found = shapes(rehearse(load_config(None, write_config(tmp_path, **HALVED), []), 2))
    # A job that goes on from a rung has the steps that are left to do.
    left = [
        [(size, 3 if end == 5 and position in (2, 5) else end) for size, end in jobs]
        for position, jobs in enumerate(sent())
    ]
    # Which ensembles have the same members, and train once, is up to who ranks first.
    assert found[:7] == left[:7]
    assert len(found) == len(left)


def test_on_a_gpu_the_bound_says_how_long_jobs_take(rehearsal: Rehearsal, tmp_path: Path) -> None:
    config = load_config(None, write_config(tmp_path), [])
    found = forecast(config, [1], machine="h100", prompt_tokens=60, rehearsed=lambda *_: rehearsal)
    assert found.unit == "GPU"
    # Starts are nearly all of it: the policy is tiny.
    assert found.in_rounds[0].job_hours == pytest.approx(found.jobs * 60 / 3600, rel=0.1)


class Paid(NumberedProposer):
    """Asks a language model for half a dollar a round."""

    def worst_case(self, request: ProposalRequest) -> Spending:
        return Spending(calls=1, tokens=100, cost_usd=0.5)


def test_a_language_model_costs_and_is_waited_for(finished: Path, rehearsal: Rehearsal, tmp_path: Path) -> None:
    proposer = {"name": "tests.search.forecast.test_forecast:Paid"}
    config = load_config(None, write_config(tmp_path, proposer=proposer), [])
    asked, quick = (
        forecast(config, [4], machine="h100", prompt_tokens=60, proposing=seconds, rehearsed=lambda *_: rehearsal)
        for seconds in (None, 10)
    )
    assert asked.language_model_usd == 1.0
    assert asked.in_rounds[0].seconds - quick.in_rounds[0].seconds == pytest.approx(2 * (60 - 10))


@pytest.mark.slow
def test_the_command_rehearses_calibrates_and_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_config(tmp_path, executor={"name": "local"}, hardware={"device": "cpu"})
    assert main(["plan", "--config", str(config), "--workers", "1,4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unit"] == "core"
    assert [item["workers"] for item in found["in_rounds"]] == [1, 4]
    assert found["in_rounds"][0]["seconds"] > found["in_rounds"][1]["seconds"] > 0
    assert found["language_model_usd"] == 0
