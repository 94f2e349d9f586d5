"""The comparison of models against scipy and statsmodels, and its three forms."""

from __future__ import annotations

import json

import numpy as np
import pytest

from eval.report.comparison import compare_models, conclusion, format_comparison
from eval.report.scores import Answers


def answers(generator: np.random.Generator, skills: list[float], questions: int = 400) -> dict[str, Answers]:
    difficulty = generator.normal(size=questions)
    found = {}
    for k, skill in enumerate(skills):
        correct = skill + difficulty + generator.normal(size=(1, questions)) > 0
        answered = correct | (generator.random((1, questions)) < 0.8)
        found[f"model {k}"] = Answers((0,), correct, answered)
    return found


def test_every_figure_agrees_with_statsmodels() -> None:
    from statsmodels.stats.contingency_tables import cochrans_q, mcnemar
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.proportion import proportion_confint

    models = answers(np.random.default_rng(3), [0.0, 0.1, 0.4, 0.4])
    found = compare_models(models)
    q = cochrans_q(np.array([m.correct[0] for m in models.values()]).T.astype(int))
    assert found.cochran.statistic == pytest.approx(q.statistic)
    assert found.cochran.p_value == pytest.approx(q.pvalue)
    assert len(found.tests) == 6
    for test in found.tests:
        a, b = models[test.first].correct[0], models[test.second].correct[0]
        table = [[np.sum(a & b), np.sum(a & ~b)], [np.sum(~a & b), np.sum(~a & ~b)]]
        assert (test.first_only, test.second_only) == (table[0][1], table[1][0])
        assert test.method == "chi-square"
        assert test.p_value == pytest.approx(mcnemar(table, exact=False, correction=True).pvalue)
        assert test.difference.value == pytest.approx(a.mean() - b.mean())
        assert test.difference.low < test.difference.value < test.difference.high
    p = [test.p_value for test in found.tests]
    for method, attribute in (("bonferroni", "bonferroni"), ("holm", "holm"), ("fdr_bh", "benjamini_hochberg")):
        assert [getattr(test, attribute) for test in found.tests] == pytest.approx(multipletests(p, method=method)[1])
    for name, scores in found.scores.items():
        correct, answered = models[name].correct[0], models[name].answered[0]
        assert scores.accuracy.value == correct.mean()
        assert scores.f1.value == pytest.approx(2 * correct.sum() / (400 + correct.sum()))
        assert scores.precision.value == pytest.approx(correct.sum() / answered.sum())
        low, high = proportion_confint(correct.sum(), answered.sum(), method="wilson")
        assert scores.precision[1:3] == pytest.approx((low, high))
        assert scores.extraction_rate.value == answered.mean()


def test_a_declared_family_is_corrected_as_such() -> None:
    models = answers(np.random.default_rng(3), [0.0, 0.2, 0.2])
    two = compare_models(models, pairs=[("model 1", "model 0"), ("model 2", "model 0")])
    assert [test.bonferroni for test in two.tests] == pytest.approx([min(1, 2 * test.p_value) for test in two.tests])


def test_without_answered_precision_is_unknown_and_never_nought() -> None:
    models = {
        name: found._replace(answered=None) for name, found in answers(np.random.default_rng(0), [0.0, 0.2], 60).items()
    }
    scores = compare_models(models).scores["model 0"]
    assert scores.precision is None
    assert scores.extraction_rate is None
    assert scores.f1 is not None
    assert "—" in format_comparison(compare_models(models))


def test_several_seeds_give_the_difference_over_seeds() -> None:
    generator = np.random.default_rng(1)
    difficulty = generator.normal(size=200)
    models = {
        name: Answers((1, 2, 3), skill + difficulty + generator.normal(size=(3, 200)) > 0)
        for name, skill in (("low", 0.0), ("high", 0.8))
    }
    found = compare_models(models)
    test = found.tests[0]
    assert test.seeds_difference.value == pytest.approx(models["low"].correct.mean() - models["high"].correct.mean())
    assert test.difference.value == pytest.approx(models["low"].correct[0].mean() - models["high"].correct[0].mean())
    assert test.seeds_p < 0.01
    assert "over seeds" in format_comparison(found)
    alone = {**models, "low": models["low"]._replace(seeds=(1,), correct=models["low"].correct[:1])}
    assert compare_models(alone).tests[0].seeds_difference is None


def test_a_margin_decides_between_equivalent_and_open() -> None:
    same = np.random.default_rng(0).random((1, 800)) < 0.5
    nearly = same.copy()
    nearly[0, :4] = ~nearly[0, :4]
    models = {"a": Answers((0,), same), "b": Answers((0,), nearly)}
    assert conclusion(compare_models(models, margin=0.02).tests[0], 0.05, 0.02) == "equivalent"
    assert conclusion(compare_models(models).tests[0], 0.05, None) == "open"
    far = {"a": Answers((0,), same), "b": Answers((0,), np.zeros_like(same))}
    assert conclusion(compare_models(far, margin=0.02).tests[0], 0.05, 0.02) == "different"
    # A difference that is there and yet too small to matter is both.
    worse = same.copy()
    worse[0, np.flatnonzero(same[0])[:16]] = False
    both = compare_models({"a": Answers((0,), same), "b": Answers((0,), worse)}, margin=0.1)
    assert conclusion(both.tests[0], 0.05, 0.1) == "different, within margin"


def test_models_that_never_differ_have_nothing_to_detect() -> None:
    same = np.ones((1, 30), dtype=bool)
    found = compare_models({"a": Answers((0,), same), "b": Answers((0,), same)}, margin=0.05)
    assert found.cochran.p_value == 1
    assert found.tests[0].p_value == 1
    assert found.tests[0].detectable_difference is None
    assert "open" in format_comparison(found) or "equivalent" in format_comparison(found)


def test_the_three_forms_say_the_same() -> None:
    found = compare_models(answers(np.random.default_rng(2), [0.0, 0.3, 0.35]), margin=0.05, level=0.9)
    record = json.loads(format_comparison(found, "json"))
    table, markdown = format_comparison(found), format_comparison(found, "md")
    assert record["level"] == 0.9
    assert record["equivalence_margin"] == 0.05
    assert record["pairs"][0]["difference"]["level"] == 0.9
    assert {pair["conclusion"] for pair in record["pairs"]} <= {
        "open",
        "different",
        "equivalent",
        "different, within margin",
    }
    for model in record["models"]:
        shown = f"{model['accuracy']['value']:.3f} [{model['accuracy']['low']:.3f}, {model['accuracy']['high']:.3f}]"
        assert shown in table
        assert shown in markdown
    assert "90 % intervals" in table
    assert f"{record['cochran_q']['statistic']:.2f} with 2 degrees of freedom" in markdown


def test_names_cannot_leave_their_cell() -> None:
    models = {
        "a|b\x1b[2J": Answers((0,), np.ones((1, 4), dtype=bool)),
        "c": Answers((0,), np.zeros((1, 4), dtype=bool)),
    }
    assert "a\\|b [2J" in format_comparison(compare_models(models), "md")
    assert "\x1b" not in format_comparison(compare_models(models))


def test_over_seeds_a_family_is_corrected_and_decides() -> None:
    """Three models that differ by luck of their runs alone: McNemar's test of one run each finds what is not there."""
    draws = np.random.default_rng(3)
    shares = {"a": (0.4, 0.7, 0.5), "b": (0.7, 0.4, 0.6), "c": (0.55, 0.5, 0.6)}
    models = {
        name: Answers((0, 1, 2), draws.random((3, 300)) < np.array(by_seed)[:, None])
        for name, by_seed in shares.items()
    }
    found = compare_models(models, margin=0.1)
    assert found.tests[0].holm < 0.001
    for test in found.tests:
        assert test.seeds_p is not None
        assert test.seeds_holm is not None
        assert test.seeds_holm >= test.seeds_p
        assert not test.differs(0.05)
        # Nor is it shown that they are alike: the interval for new seeds is wide.
        assert not test.is_equivalent(0.05, 0.1)
