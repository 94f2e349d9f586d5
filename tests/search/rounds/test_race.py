"""Racing over seeds, on the instant executor: who gets further seeds, what ranks, and what a resumed search does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.cli import main
from search.config.names import BASE_ONLY, RACES, UNTRAINED
from search.config.plan import plan
from search.config.race import RaceStage, further_runs
from search.config.seeds import screening_seeds
from search.config.source import parse_config
from search.ledger import Ledger
from search.results.ranking import outcomes, ranked
from tests.search.searches import rows, run_search, small_config

RACE = [{"share": 0.5, "seeds": 2}, {"share": 0.5, "seeds": 1}]
SCREENING = {"control_seeds": 3, "race": RACE}
SEARCH = {"candidates_per_round": 4}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, folder = run_search(tmp_path_factory.mktemp("race"), screening=SCREENING, search=SEARCH)
    assert code == 0
    return folder


def trained(run: Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for subject, seed in rows(run, "SELECT subject, seed FROM jobs WHERE stage='screening'"):
        if subject != UNTRAINED:
            found.setdefault(subject, []).append(seed)
    return found


def test_the_first_of_a_round_get_further_seeds_and_share_them(run: Path) -> None:
    ledger = Ledger.open(run)
    races = ledger.fact(RACES)
    assert {key: len(names) for key, names in races.items()} == {"1.0": 2, "1.1": 1, "2.0": 2, "2.1": 1}
    found = trained(run)
    seeds = screening_seeds(3, 4)
    for candidate in ledger.candidates():
        first, second = f"{candidate.round}.0", f"{candidate.round}.1"
        runs = 1 + 2 * (candidate.name in races[first]) + (candidate.name in races[second])
        assert sorted(found[candidate.name]) == sorted(seeds[:runs])
        assert candidate.name in races[first] or candidate.name not in races[second]
    assert sorted(found[BASE_ONLY]) == sorted(seeds[:3])


def test_those_who_go_on_did_best_at_the_first_seeds(run: Path) -> None:
    ledger = Ledger.open(run)
    first = screening_seeds(3, 1)[0]
    for number in (1, 2):
        accuracy = {
            c.name: sum(p.correct for p in ledger.predictions("screening", c.name, "validation")[first])
            for c in ledger.candidates(number)
        }
        gone_on = ledger.fact(RACES)[f"{number}.0"]
        assert min(accuracy[name] for name in gone_on) >= max(v for n, v in accuracy.items() if n not in gone_on)


def test_all_rank_by_what_is_to_be_expected_of_them(run: Path) -> None:
    ledger = Ledger.open(run)
    config = parse_config(ledger.fact("config"))
    order = ranked(outcomes(config, ledger))
    assert len(order) == 8
    scores = [outcome.scores for outcome in order if outcome.scores]
    expected = [found.shrunken_accuracy for found in scores]
    assert all(value is not None for value in expected)
    assert expected == sorted(expected, reverse=True)  # type: ignore[type-var]
    assert {len(found.seeds) for found in scores} == {1, 3, 4}
    middle = sum(found.accuracy.value for found in scores) / len(scores)
    for found in scores:
        assert found.shrunken_accuracy is not None
        assert abs(found.shrunken_accuracy - middle) <= abs(found.accuracy.value - middle) + 0.05


@pytest.mark.slow
def test_the_table_shows_runs_and_expectation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_search(tmp_path, screening=SCREENING, search=SEARCH)[0] == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "racing, stage 1 of 2: 4 jobs" in said
    assert "racing, stage 2 of 2: 1 job" in said
    assert "ranked by expected F1, which fewer runs bring nearer to the mean of all" in said
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "rank by their expected accuracy in a normal hierarchical model" in page


def test_the_plan_counts_the_race(run: Path) -> None:
    config = parse_config(small_config(screening=SCREENING, search=SEARCH))
    planned = plan(config)
    assert further_runs(config.screening.race, 4) == 2 * 2 + 1
    assert planned.screenings == sum(map(len, trained(run).values())) == 2 * (4 + 5) + 3


@pytest.mark.slow
def test_a_search_stopped_in_a_race_goes_on_with_the_same(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped after the stage was written down, before its last runs."""
    last = screening_seeds(3, 4)[3]
    stop = {"options": {"interrupt": f"seed {last}"}}
    code, stopped = run_search(tmp_path, screening=SCREENING, search=SEARCH, executor=stop)
    assert code == 130
    assert set(Ledger.open(stopped).fact(RACES)) == {"1.0", "1.1"}
    assert not any(last in seeds for seeds in trained(stopped).values())
    ledger = Ledger.open(stopped, write=True)
    config = ledger.fact("config")
    del config["executor"]["options"]["interrupt"]
    ledger.record_fact("config", config)
    ledger.close()
    capsys.readouterr()
    assert main(["run", "--run-dir", str(stopped), "--resume"]) == 0
    assert "screening: 1 job" not in capsys.readouterr().out
    assert trained(stopped) == trained(run)
    assert (stopped / "leaderboard.json").read_text() == (run / "leaderboard.json").read_text()


@pytest.mark.slow
def test_a_race_follows_the_rungs_of_successive_halving(tmp_path: Path) -> None:
    screening = {**SCREENING, "halving": {"rungs": [2]}}
    code, run = run_search(tmp_path, screening=screening, search=SEARCH)
    assert code == 0
    ledger = Ledger.open(run)
    stopped = {o.candidate.name for o in outcomes(parse_config(ledger.fact("config")), ledger) if o.status == "stopped"}
    assert len(stopped) == 4
    raced = {name for names in ledger.fact(RACES).values() for name in names}
    assert raced
    assert not raced & stopped
    assert all(len(seeds) == 1 for name, seeds in trained(run).items() if name in stopped)


def test_without_a_race_nothing_is_shrunk(tmp_path: Path) -> None:
    code, run = run_search(tmp_path, screening={"control_seeds": 3})
    assert code == 0
    ledger = Ledger.open(run)
    assert ledger.fact(RACES) is None
    config = parse_config(ledger.fact("config"))
    assert all(o.scores and o.scores.shrunken_accuracy is None for o in outcomes(config, ledger))


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"share": 0, "seeds": 1}, "screening.race"),
        ({"share": 0.5, "seeds": 0}, "screening.race"),
        ({"share": 0.5}, "seeds"),
    ],
)
def test_a_stage_that_makes_no_sense_is_one_sentence(
    stage: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = run_search(tmp_path, screening={"race": [stage]})
    assert code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_at_least_one_goes_on() -> None:
    assert RaceStage(share=0.1, seeds=1).places(3) == 1
    assert RaceStage(share=0.3, seeds=1).places(10) == 3
    assert RaceStage(share=1.0, seeds=1).places(4) == 4
