import itertools

import pytest

from eval.metrics import compute_metrics, f1_of_accuracy
from eval.prediction import Prediction


def prediction(k, outcome, flexible=None, tokens=10):
    """`outcome`: right, wrong or none (no answer read)."""
    flexible = flexible or outcome
    return Prediction(
        id=str(k),
        completion="",
        strict=None if outcome == "none" else "1",
        flexible=None if flexible == "none" else "1",
        correct=outcome == "right",
        correct_flexible=flexible == "right",
        completion_tokens=tokens,
    )


def evaluation(*outcomes):
    return [prediction(k, outcome) for k, outcome in enumerate(outcomes)]


def test_by_hand():
    metrics = compute_metrics(evaluation("right", "right", "right", "wrong", "none", "none"))
    strict = metrics.strict
    assert (strict.correct, strict.wrong, strict.unanswered) == (3, 1, 2)
    assert strict.accuracy == 3 / 6
    assert strict.precision == 3 / 4
    assert strict.extraction_rate == 4 / 6
    assert strict.f1 == pytest.approx(6 / 9)


@pytest.mark.parametrize("outcomes", list(itertools.combinations_with_replacement(("right", "wrong", "none"), 5)))
def test_f1_is_2a_over_1_plus_a(outcomes):
    strict = compute_metrics(evaluation(*outcomes)).strict
    tp, fp, fn = strict.correct, strict.wrong, strict.unanswered
    assert strict.f1 == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert strict.f1 == pytest.approx(f1_of_accuracy(strict.accuracy))


def test_f1_from_precision_and_recall_as_usual():
    """With FN = unanswered, recall is TP / (TP + unanswered); the harmonic mean of both is the same F1."""
    strict = compute_metrics(evaluation(*["right"] * 7, *["wrong"] * 4, *["none"] * 3)).strict
    recall = 7 / (7 + 3)
    assert strict.f1 == pytest.approx(2 * strict.precision * recall / (strict.precision + recall))


def test_nothing_evaluated_is_none_and_never_zero():
    metrics = compute_metrics([])
    assert metrics.n == 0
    assert metrics.mean_completion_tokens is None
    assert metrics.format_gap is None
    for answers in (metrics.strict, metrics.flexible):
        assert (answers.accuracy, answers.f1, answers.precision, answers.extraction_rate) == (None,) * 4


def test_nothing_answered_has_no_precision_but_accuracy_zero():
    strict = compute_metrics(evaluation("none", "none")).strict
    assert strict.precision is None
    assert strict.accuracy == 0.0


def test_strict_and_flexible_are_apart():
    metrics = compute_metrics([prediction(0, "none", flexible="right"), prediction(1, "right")])
    assert metrics.strict.accuracy == 0.5
    assert metrics.flexible.accuracy == 1.0
    assert metrics.format_gap == 0.5


def test_mean_completion_length():
    assert (
        compute_metrics([prediction(0, "right", tokens=10), prediction(1, "wrong", tokens=25)]).mean_completion_tokens
        == 17.5
    )


def test_the_same_question_twice_is_refused():
    with pytest.raises(ValueError, match="more than once"):
        compute_metrics([prediction(1, "right"), prediction(1, "wrong")])


def test_right_without_an_answer_is_refused():
    broken = prediction(0, "none").model_copy(update={"correct": True})
    with pytest.raises(ValueError, match="although no answer"):
        compute_metrics([broken])
