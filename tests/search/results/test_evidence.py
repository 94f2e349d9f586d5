"""Which families, rankings and samples of a finished search the report's statistics are taken from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.report.scores import validation_minus_test
from rewards_generated.ensemble import Ensemble, Member
from search.config.names import UNTRAINED
from search.config.source import parse_config
from search.ledger import Finalist, Ledger
from search.results.entries import final_entries, pairwise
from search.results.evidence import families, final_evidence, sampled_base, screening_evidence, unseen_evidence
from tests.search.searches import reward_code, run_search


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, folder = run_search(tmp_path_factory.mktemp("evidence"))
    assert code == 0
    return folder


def finalist(name: str, control: str | None = None) -> Finalist:
    kind: Any = "control" if control else "selected"
    return Finalist(
        name, kind, (), Ensemble(name=name, members=(Member(name=name, code=reward_code(1)),)), 5, control=control
    )


def test_seven_ensembles_are_a_family_of_21_pairs_apart_from_the_controls() -> None:
    ensembles = [finalist(f"top-{k}") for k in range(7)]
    controls = [finalist(f"random-{k}", "random draw") for k in range(3)]
    declared = families([*ensembles, *controls], "top-2")
    assert {name: len(pairs) for name, pairs in declared.items()} == {
        "ensembles": 21,
        "winner against controls": 3,
        "other pairs": 6 * 3 + 3,
    }
    pairs = [frozenset(pair) for family in declared.values() for pair in family]
    assert len(set(pairs)) == len(pairs) == 10 * 9 // 2


def test_before_a_winner_is_named_there_is_no_family_of_its_own() -> None:
    declared = families([finalist("top-3"), finalist("base", "base rewards only")], None)
    assert declared == {"other pairs": [("top-3", "base")]}


def test_every_family_is_corrected_by_itself(ledger: Ledger) -> None:
    table = pairwise(parse_config(ledger.fact("config")), ledger)
    assert table is not None
    sizes: dict[str, int] = {}
    for test in table.tests:
        sizes[test.family] = sizes.get(test.family, 0) + 1
    assert len(sizes) > 1
    for test in table.tests:
        assert test.bonferroni == pytest.approx(min(1.0, sizes[test.family] * test.p_value))
        assert f"{test.family} ({sizes[test.family]})" in table.note
    assert set(table.cochran_over) == {name for t in table.tests if t.family == "ensembles" for name in names(t)}
    assert table.cochran is not None
    assert table.cochran.degrees_of_freedom == len(table.cochran_over) - 1


def names(test: Any) -> tuple[str, str]:
    return test.first, test.second


def test_the_ranking_of_the_candidates_is_that_of_their_screenings(ledger: Ledger) -> None:
    found = screening_evidence(parse_config(ledger.fact("config")), ledger)
    assert found is not None
    right = {}
    for candidate in ledger.candidates():
        (predictions,) = ledger.predictions("screening", candidate.name, "validation").values()
        right[candidate.name] = np.mean([p.correct for p in predictions])
    assert (found.split, found.seeds) == ("validation", 1)
    assert [right[entry.name] for entry in found.entries] == sorted(right.values(), reverse=True)
    assert found.optimism is not None
    assert found.optimism.observed == pytest.approx(max(right.values()))
    assert found.seed_optimism is None
    assert sum(entry.probability_best for entry in found.entries) == pytest.approx(1)


def test_the_winner_was_picked_among_ensembles_and_nothing_was_picked_on_test(run: Path, ledger: Ledger) -> None:
    config = parse_config(ledger.fact("config"))
    on_validation, on_test = final_evidence(config, ledger), unseen_evidence(config, ledger)
    assert on_validation is not None
    assert on_test is not None
    board = {item["name"]: item for item in json.loads((run / "leaderboard.json").read_text(encoding="utf-8"))}
    winner = next(item for item in board.values() if item["winner"])
    for optimism in (on_validation.optimism, on_validation.seed_optimism):
        assert optimism is not None
        assert optimism.name == winner["name"]
        assert optimism.observed == pytest.approx(winner["validation"]["accuracy"]["value"])
    assert (on_test.optimism, on_test.seed_optimism) == (None, None)
    assert (on_test.split, on_test.seeds) == ("test", 2)
    listed = {name for name, item in board.items() if not item["listed_apart"] and name != UNTRAINED}
    assert {entry.name for entry in on_test.entries} == listed


def test_selection_on_the_test_split_leaves_no_unseen_ranking(tmp_path: Path) -> None:
    code, folder = run_search(tmp_path, search={"select_on": "test"})
    assert code == 0
    ledger = Ledger.open(folder)
    config = parse_config(ledger.fact("config"))
    found = final_evidence(config, ledger)
    assert found is not None
    assert found.split == "test"
    assert found.optimism is not None
    assert unseen_evidence(config, ledger) is None
    assert all(entry.validation_minus_test is None for entry in final_entries(config, ledger))
    table = pairwise(config, ledger)
    assert table is not None
    assert "picked on this split" in table.note
    ledger.close()


def test_entries_tell_validation_from_test(ledger: Ledger) -> None:
    entries = final_entries(parse_config(ledger.fact("config")), ledger)
    for entry in entries:
        assert entry.validation is not None
        assert entry.test is not None
        assert entry.validation_minus_test is not None
        expected = entry.validation.accuracy.value - entry.test.accuracy.value
        assert entry.validation_minus_test.value == pytest.approx(expected)


def test_runs_of_other_seeds_are_not_the_same_policies(ledger: Ledger) -> None:
    runs = ledger.predictions("retraining", "top-2", "validation")
    tested = ledger.predictions("test", "top-2", "test")
    assert validation_minus_test(runs, tested) is not None
    assert validation_minus_test(runs, dict(list(tested.items())[:1])) is None


def test_base_mass_is_counted_from_the_base_rollouts(ledger: Ledger) -> None:
    found = sampled_base(parse_config(ledger.fact("config")), ledger)
    assert found is not None
    (evaluation,) = ledger.evaluations("base-rollouts")
    completions = ledger.completions(evaluation)
    assert (len(found.questions), {question.samples for question in found.questions}) == (8, {2})
    asked = dict.fromkeys(c.id for c in completions)
    right = [sum(c.correct for c in completions if c.id == question) for question in asked]
    assert sorted(question.right for question in found.questions) == sorted(right)
    assert [row.k for row in found.pass_at_k] == [1, 2]
    assert found.pass_at_k[0].estimate.value == pytest.approx(np.mean([c.correct for c in completions]))


def test_the_report_shows_them(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    for words in ("How sure the rankings are", "pass@k", "validation minus test", "Cochran's Q over", "optimism of"):
        assert words in " ".join(page.split()).replace("&#39;", "'")
