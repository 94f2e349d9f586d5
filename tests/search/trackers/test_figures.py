"""What trackers are told is what the ledger holds."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from eval.metrics import f1_of_accuracy
from search.config.source import parse_config
from search.ledger import Ledger
from search.results.ranking import outcomes
from search.trackers.figures import round_point, rounds_over, search_facts, search_point, tracked_run
from search.trackers.process import LOG_FILE, STATE_FILE, place_of, track
from tests.search.searches import rows, run_search, small_config

RECORDING = "tests.search.trackers.trackers:Recording"


def accuracy(run: Path, stage: str, subject: str, seed: int) -> float:
    query = (
        "SELECT avg(correct) FROM evaluations JOIN predictions ON evaluation = id WHERE split = 'validation' "
        f"AND stage = '{stage}' AND subject = '{subject}' AND seed = {seed}"
    )
    return float(rows(run, query)[0][0])


def test_a_run_has_its_curves_and_its_score_at_their_end(run: Path, ledger: Ledger) -> None:
    config = parse_config(ledger.fact("config"))
    [seed] = [place[2] for place in ledger.places() if place[:2] == ("screening", "reward-100")]
    found = tracked_run(config, ledger, ("screening", "reward-100", seed))
    assert found is not None
    assert found.name == f"screening/reward-100/seed-{seed}"
    assert [(p.step, dict(p.values)) for p in found.points[:-1]] == [(k, {"reward_mean": k / 10}) for k in range(1, 6)]
    share = accuracy(run, "screening", "reward-100", seed)
    expected = {"validation/accuracy": share, "validation/f1": f1_of_accuracy(share)}
    assert found.points[-1].step == 5
    assert dict(found.points[-1].values) == pytest.approx(expected)
    assert found.facts["round"] == 1
    assert found.facts["subject"] == "reward-100"
    assert not found.failed


def test_a_run_that_failed_says_so_and_has_no_score(run: Path, ledger: Ledger) -> None:
    config = parse_config(ledger.fact("config"))
    [place] = [place for place in ledger.places() if place[:2] == ("screening", "reward-101")]
    found = tracked_run(config, ledger, place)
    assert found is not None
    assert found.failed
    assert "reward calls failed" in str(found.facts["failure"])
    assert [dict(point.values) for point in found.points] == [{"failed": 1.0}]


def test_what_trains_nothing_is_no_run(run: Path, ledger: Ledger) -> None:
    config = parse_config(ledger.fact("config"))
    others = [place for place in ledger.places() if place[0] in ("base-rollouts", "test") or "untrained" in place[1]]
    assert len(others) >= 3
    assert [tracked_run(config, ledger, place) for place in others] == [None] * len(others)


def test_figures_of_rewards_stand_under_their_names_and_what_is_no_number_is_left_out() -> None:
    from search.trackers.figures import _numbers

    entry = {
        "step": 3,
        "loss": float("nan"),
        "accuracy": None,
        "entropy": 0.5,
        "rewards": {"odd name:1": {"mean": 2, "firing_rate": None}},
    }
    assert dict(_numbers("", entry)) == {"entropy": 0.5, "rewards/odd_name_1/mean": 2.0}


def test_the_search_tells_jobs_cost_and_the_best_so_far(run: Path, ledger: Ledger) -> None:
    config = parse_config(ledger.fact("config"))
    point = search_point(config, ledger, outcomes(config, ledger))
    [(jobs,)] = rows(run, "SELECT count(*) FROM jobs")
    assert point.step == jobs == point.values["jobs/done"]
    seeds = {(s, seed) for stage, s, seed in ledger.places() if stage == "screening" and s.startswith("reward-")}
    best = max(accuracy(run, "screening", s, seed) for s, seed in seeds if s != "reward-101")
    assert point.values["best/validation_f1"] == pytest.approx(f1_of_accuracy(best))
    assert point.values["best/validation_accuracy"] == pytest.approx(best)
    assert point.values["cost/usd"] == 0.0
    assert (point.values["candidates/screened"], point.values["candidates/failed"]) == (3.0, 1.0)


def test_a_round_is_told_by_the_f1_of_what_was_scored_in_it(run: Path, ledger: Ledger) -> None:
    config = parse_config(ledger.fact("config"))
    every = outcomes(config, ledger)
    assert rounds_over(ledger) == [1, 2]
    point = round_point(config, 1, every)
    [seed] = {place[2] for place in ledger.places() if place[1] == "reward-100"}
    share = f1_of_accuracy(accuracy(run, "screening", "reward-100", seed))
    assert point is not None
    assert point.step == 1
    expected = {"round/validation_f1_best": share, "round/validation_f1_mean": share, "round/scored": 1.0}
    assert dict(point.values) == pytest.approx(expected)
    assert round_point(config, 3, every) is None


def test_facts_of_a_search_hold_no_options_where_addresses_and_keys_may_stand() -> None:
    config = parse_config(small_config(executor={"options": {"fail": "hidden"}}))
    facts = search_facts(config)
    assert facts["screening.grpo.steps"] == 5
    assert facts["task.name"] == "testbed"
    assert "hidden" not in json.dumps(facts)


def test_everything_is_logged_once_and_a_resumed_search_logs_what_is_new(run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("trackers"))
    place = place_of(run, RECORDING)
    looks = iter([False, True])
    track(run, RECORDING, lambda seconds: next(looks))
    told = [json.loads(line) for line in (place / "told.jsonl").read_text(encoding="utf-8").splitlines()]
    names = [entry["run"] for entry in told if "run" in entry]
    [(trained,)] = rows(run, "SELECT count(*) FROM jobs WHERE stage IN ('screening', 'retraining', 'greedy')")
    assert len(names) == len(set(names)) == trained - 1  # the untrained base was evaluated alone
    [points] = [entry["search"] for entry in told if "search" in entry]  # the second look found nothing new
    assert [step for step, values in points if "round/scored" in values] == [1, 2]
    assert told[-1] == {"closed": True}

    state = json.loads((place / STATE_FILE).read_text(encoding="utf-8"))
    lost = next(entry for entry in state["runs"] if entry[0] == "retraining")
    state["runs"].remove(lost)
    (place / STATE_FILE).write_text(json.dumps(state), encoding="utf-8")
    track(run, RECORDING, lambda seconds: True)
    later = [json.loads(line) for line in (place / "told.jsonl").read_text(encoding="utf-8").splitlines()][len(told) :]
    assert [entry["run"] for entry in later if "run" in entry] == [f"retraining/{lost[1]}/seed-{lost[2]}"]
    assert later[0]["began"] == told[0]["began"]
    assert not any("round/scored" in values for _, values in later[-2]["search"])
    assert not (place / LOG_FILE).exists()


@pytest.mark.slow
def test_rounds_that_may_still_get_runs_are_not_told(tmp_path: Path) -> None:
    executor = {"options": {"interrupt": "reward-2"}}
    code, folder = run_search(tmp_path, executor=executor)
    assert code == 130
    with closing(Ledger.open(folder)) as ledger:
        assert rounds_over(ledger) == [1]
