"""The luck of seeds that earlier searches saw, named at the start of another."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from eval.statistics.luck import SeedVariance, pooled_seed_variance, pooled_with
from search.config.models import SearchConfig
from search.config.source import parse_config
from search.driver.drive import detectable_sentence
from search.ledger import Ledger
from search.results.ranking import luck_facts, own_seed_luck, seed_luck
from tests.search.searches import SMALL, run_search


def test_pooling_apart_is_pooling_together() -> None:
    tables = [[[1, 0, 1, 1, 0, 1], [0, 0, 1, 0, 0, 1]], [[1, 1, 1, 1, 0, 1], [0, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]]]
    apart = [pooled_seed_variance([table]) for table in tables]
    together = pooled_seed_variance(tables)
    assert together is not None
    found = pooled_with([item for item in apart if item is not None])
    assert found is not None
    assert found._asdict() == pytest.approx(together._asdict())
    assert pooled_with([]) is None


def searched(tmp_path: Path, name: str, control_seeds: int = 3, **screening: object) -> tuple[int, Path]:
    changed = {**SMALL["screening"], "control_seeds": control_seeds, **screening}
    finals = {**SMALL["finals"], "ensembles": ["top-1"], "random_controls": {"first_round": 0, "pool": 0}, "seeds": 1}
    return run_search(tmp_path, name=name, screening=changed, finals=finals)


def opened(folder: Path) -> tuple[SearchConfig, Ledger]:
    ledger = Ledger.open(folder)
    return parse_config(ledger.fact("config")), ledger


def test_what_earlier_searches_saw_is_pooled_with_what_this_one_sees(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, first = searched(tmp_path, "first")
    assert code == 0
    code, second = searched(tmp_path, "second", earlier_runs=[str(first)])
    assert code == 0
    config, ledger = opened(second)
    _, before = opened(first)
    with closing(ledger), closing(before):
        own, seen = own_seed_luck(config, ledger), own_seed_luck(config, before)
        assert own is not None
        assert seen is not None
        luck = seed_luck(config, ledger)
        assert luck == pooled_with([own, SeedVariance(**ledger.fact("earlier_luck"))])
        assert luck.freedom == own.freedom + seen.freedom
        facts = luck_facts(config, ledger)
        assert facts is not None
        assert facts.earlier_runs == seen.runs
        questions = {"train": 40, "validation": 40, "test": 50}
        assert f"differ by {seen.variance**0.5:.3g}" in detectable_sentence(config, questions)
    assert f"{seen.runs} of them of earlier searches" in (second / "report.html").read_text(encoding="utf-8")
    capsys.readouterr()
    code, _ = searched(tmp_path, "other", control_seeds=1, earlier_runs=[str(tmp_path / "nowhere")])
    assert code == 2
    assert "holds no search" in capsys.readouterr().err
    grpo = {**SMALL["screening"]["grpo"], "steps": 6}
    code, other = searched(tmp_path, "longer", grpo=grpo, earlier_runs=[str(first)])
    assert code == 2
    assert "other screening.grpo.steps: its luck says nothing" in capsys.readouterr().err
    assert not other.exists()


def test_a_search_that_trained_nothing_twice_shows_no_luck(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finals = {**SMALL["finals"], "ensembles": ["top-1"], "random_controls": {"first_round": 0, "pool": 0}}
    finals |= {"seeds": 1, "base_only": False}
    code, first = run_search(tmp_path, name="first", finals=finals)
    assert code == 0
    capsys.readouterr()
    code, _ = searched(tmp_path, "second", earlier_runs=[str(first)])
    assert code == 2
    assert "trained nothing twice" in capsys.readouterr().err
