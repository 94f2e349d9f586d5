import numpy as np
import pytest

from eval.statistics.runs import run_table


def test_accuracy_is_the_mean_over_runs_whatever_their_number():
    table = run_table({"a": [[1, 1, 0, 0], [1, 1, 1, 1]], "b": [1, 0, 0, 0]})
    assert table.names == ("a", "b")
    assert table.accuracy.tolist() == [0.75, 0.25]
    assert table.seeds.tolist() == [2, 1]


def test_means_by_entry_keep_leading_axes():
    table = run_table({"a": [[1, 1], [0, 0]], "b": [1, 0], "c": [[0, 0], [1, 0], [1, 1]]})
    of_runs = np.arange(12.0).reshape(2, 6)
    assert table.by_entry(of_runs).tolist() == [[0.5, 2.0, 4.0], [6.5, 8.0, 10.0]]


@pytest.mark.parametrize(
    ("correct", "words"),
    [
        ({"a": [1, 0]}, "at least two entries"),
        ({}, "at least two entries"),
        ({"a": [1, 0], "b": [1, 0, 1]}, "same questions"),
        ({"a": [1], "b": [0]}, "two questions"),
        ({"a": np.zeros((2, 2, 2)), "b": np.zeros((2, 2, 2))}, "same questions"),
    ],
)
def test_what_is_no_ranking_is_refused(correct, words):
    with pytest.raises(ValueError, match=words):
        run_table(correct)
