import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.answers import equal_answers
from eval.answers.symbolic import SymbolicWorker


@pytest.mark.parametrize(
    ("answer", "gold", "equal"),
    [
        ("72", "72", True), ("72.0", "72", True), ("1,000", "1000", True), ("x=5", "5", True), ("10-5", "5", True),
        ("5 or 6", "5", False), ("5, 6", "5", False), ("12 34", "1234", False), ("", "5", False), ("five", "5", False),
        ("3 \\times 10^2", "300", True), ("\\sqrt{16}", "4", True),
    ],
)  # fmt: skip
def test_numbers(answer, gold, equal):
    assert equal_answers(answer, gold, "number") is equal


@pytest.mark.parametrize(
    ("answer", "gold", "equal"),
    [
        ("(x+1)^2", "x^2+2x+1", True), ("\\frac{\\sqrt{3}}{2}", "\\sqrt{3}/2", True), ("(2,1)", "(1,2)", False),
        ("5x", "5", False), ("nomday", "Monday", False), ("\\text{Monday}", "monday", True), ("B", "A", False),
        ("\\{2,1\\}", "\\{1,2\\}", True), ("[0,1)", "[0,1]", False), ("0.5", "\\frac12", True),
    ],
)  # fmt: skip
def test_mathematics(answer, gold, equal):
    assert equal_answers(answer, gold, "mathematics") is equal


def test_text_ignores_case_and_spaces_only():
    assert equal_answers(" New  york. ", "new York", "text")
    assert not equal_answers("York", "New York", "text")
    assert not equal_answers("7.0", "7", "text")


@pytest.mark.parametrize("answer", ["9" * 10_000, "\x00", "\ud800", "\\frac{1}{", "}{", "(" * 900, "{" * 900, "\n5\n{"])
@pytest.mark.parametrize("kind", ["number", "mathematics", "text"])
def test_hostile_answers_are_just_not_equal(answer, kind):
    assert equal_answers(answer, "5", kind) is False


def test_an_enormous_number_equals_itself():
    assert equal_answers("9" * 10_000, "9" * 10_000)


@pytest.fixture
def worker():
    worker = SymbolicWorker(time_limit=60.0)
    assert worker.equal("2+3", "5")
    yield worker
    worker.close()


@pytest.mark.parametrize("bomb", ["10^{10^{10}}", "2^{2^{2^{2^{2^{2^2}}}}}", "100000000!"])
def test_arithmetic_without_end_is_cut_off_and_the_next_question_answered(worker, bomb):
    worker.time_limit = 0.6
    first = worker._process.pid
    assert worker.equal(bomb, "5") is False
    assert worker._process is None
    worker.time_limit = 60.0
    assert worker.equal("2+3", "5") is True
    assert worker._process.pid != first


def test_a_killed_worker_is_replaced(worker):
    worker._process.kill()
    worker._process.wait()
    assert worker.equal("2+3", "5") is True


def test_works_in_threads_and_keeps_answers_apart(worker):
    results = {}

    def ask(k):
        results[k] = worker.equal(f"{k}+1", str(k + 1 if k % 2 else k))

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: bool(k % 2) for k in range(8)}


def test_line_breaks_in_an_answer_do_not_shift_the_replies(worker):
    assert worker.equal("5\n{}\n", "6") is False
    assert worker.equal("5", "5") is True


@settings(max_examples=200, deadline=None)
@given(st.integers(-(10**12), 10**12))
def test_integers_equal_themselves_in_every_dress_and_not_their_neighbours(value):
    dresses = (
        str(value),
        f"{value:,}",
        f"{value}.0",
        f"\\boxed{{{value}}}",
        f"${value}$",
        f"{value} apples",
        f"{value}/1",
    )
    for dress in dresses:
        assert equal_answers(dress, str(value))
        assert not equal_answers(dress, str(value + 1))
