import os
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rewards_generated.answers
from rewards_generated.answers import equal_answers
from rewards_generated.answers.symbolic import readable, symbolically_equal, worker
from rewards_generated.rollout import Sample
from rewards_generated.sandbox import RewardWorker, SandboxSettings

MATH_VERIFY = Path(rewards_generated.answers.__file__).with_name("symbolic_reward.py")
WEAKLY = SandboxSettings(
    mode="fast", require="basic", allow_weak=True, memory_mib=2048, replay_share=0.0, retry_factor=0.0
)


@pytest.mark.parametrize(
    ("answer", "gold", "equal"),
    [
        ("72", "72", True), ("72.0", "72", True), ("1,000", "1000", True), ("x=5", "5", True), ("10-5", "5", True),
        ("5 or 6", "5", False), ("5, 6", "5", False), ("12 34", "1234", False), ("", "5", False), ("five", "5", False),
        ("3 \\times 10^2", "300", True), ("\\sqrt{16}", "4", True),
        # Thousands, as printers and LaTeX set them.
        ("38\\,250", "38250", True), ("38\u2009250", "38250", True), ("38 250", "38250", True),
        ("38{,}250", "38250", True),
        ("1\u00a0234\u00a0567", "1234567", True), ("38.250,00", "38250", False),
        # Signs, typographic and full-width.
        ("\u22129", "-9", True), ("\u20139", "-9", True), ("\uff0d\uff19", "-9", True), ("9", "-9", False),
        # Words of magnitude are part of the number, units are not.
        ("7 million", "7000000", True), ("7 million", "7", False), ("2 dozen eggs", "24", True),
        ("2 dozen", "2", False),
        ("3 fifths", "0.6", True), ("3 fifths", "3", False), ("9 squared", "9", False), ("8y", "8", False),
        ("6 pi", "6", False), ("6\u03c0", "6", False), ("1203_4", "1203", False), ("44 kg", "44", True),
        ("44\\text{ m}^3", "44", True), ("44\u00b0C", "44", True), ("44 boxes per shelf", "44", True),
        # Labels, equations, sentences, Markdown.
        ("Sum: 44", "44", True), ("n = 44", "44", True), ("40 + 4 = 44", "44", True), ("44 = 40 + 4", "44", True),
        ("2n = 44", "44", False), ("They pay 44 dollars.", "44", True), ("They pay 40 and 4 dollars.", "44", False),
        ("**44**", "44", True), ("`44`", "44", True), ("**\\$44**.", "44", True), ("9:44", "44", False),
        # Fractions.
        ("\\frac58", "0.625", True), ("\\tfrac{5}8", "0.625", True), ("1\\frac{5}{8}", "1.625", True),
        ("1\u00bd", "1.5", True), ("-\\frac{1,000}{8}", "-125", True), ("5/8", "0.62", False),
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
        # Rows of a matrix are rows.
        ("\\begin{pmatrix} 7 \\\\ 8 \\end{pmatrix}", "\\begin{bmatrix}7\\\\8\\end{bmatrix}", True),
        ("\\begin{pmatrix} 7 \\\\ 8 \\end{pmatrix}", "\\begin{pmatrix} 8 \\\\ 7 \\end{pmatrix}", False),
        ("\\begin{pmatrix} 7 \\\\ 8 \\end{pmatrix}", "\\begin{pmatrix} 7 & 8 \\end{pmatrix}", False),
        ("\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix}", "\\begin{pmatrix} a & c \\\\ b & d \\end{pmatrix}", False),
        # Thousands in LaTeX.
        ("6,\\!543", "6543", True), ("6543", "6,\\!543", True), ("6,543", "6,\\!544", False),
        # Signs that are no LaTeX.
        ("3\u221a5", "3\\sqrt{5}", True), ("x\u00b3", "x^3", True), ("2\u03c0", "2\\pi", True),
        ("30\u00b0", "30^\\circ", True),
        ("x \u2265 4", "x \\ge 4", True),
        # Differences below the library's precision; an upright e is no unit.
        ("\\frac{1}{901!}", "\\frac{1}{902!}", False), ("3^{-150}", "3^{-151}", False),
        ("\\frac{1}{901!}", "\\frac{1}{901!}", True),
        ("1+\\mathrm{e}", "1-\\mathrm{e}", False), ("7\\mathrm{i}", "7", False),
        # Formulas within text, and several answers.
        ("$\\frac{5}{6}$.", "\\frac{5}{6}", True), ("It is $\\frac{5}{6}$", "\\frac{5}{6}", True),
        ("2 or 5 or 9", "9", False), ("$2$ or $9$", "9", False), ("2 \\text{ and } 9", "9, 2", True),
        ("9", "\\pm 9", False),
        ("(C)", "\\text{C}", True), ("t \\in (-\\infty, 4]", "t \\le 4", True), ("12:00", "2:00", False),
        ("\\boxed{4}, \\boxed{5}", "5, 4", True), ("\\boxed{4} or \\boxed{5}", "5", False),
        ("she left 3 hours ago", "3", True), ("she left 3 or 4 hours ago", "3", False),
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
def asked():
    """Asks a worker of the test's own; its time limit does not depend on the machine's load."""
    with RewardWorker(MATH_VERIFY.read_text(), WEAKLY.model_copy(update={"batch_seconds": 60.0})) as worker:
        worker.load()

        def ask(answer, gold):
            return worker.score([Sample("", answer, gold)])[0].value

        ask.worker = worker
        yield ask


@pytest.mark.parametrize(
    "bomb",
    [
        "10^{10^{10}}",
        pytest.param("2^{2^{2^{2^{2^{2^2}}}}}", marks=pytest.mark.slow),
        pytest.param("100000000!", marks=pytest.mark.slow),
    ],
)
def test_arithmetic_without_end_is_cut_off_and_the_next_question_answered(bomb):
    with RewardWorker(MATH_VERIFY.read_text(), WEAKLY.model_copy(update={"batch_seconds": 2.0})) as worker:
        worker.load()
        first = worker.pid
        assert worker.score([Sample("", bomb, "5")])[0].value is None
        worker.load()
        assert worker.pid != first
        assert worker.score([Sample("", "2+3", "5")])[0].value == 1.0


def test_a_killed_worker_is_replaced():
    assert symbolically_equal("2+3", "5")
    os.kill(worker().pid, signal.SIGKILL)
    symbolically_equal("2+4", "6")  # lost with the worker, or answered by the next
    assert symbolically_equal("2+5", "7")


def test_works_in_threads_and_keeps_answers_apart(asked):
    results = {}

    def ask(k):
        results[k] = asked(f"{k}+1", str(k + 1 if k % 2 else k))

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: float(k % 2) for k in range(8)}


def test_line_breaks_and_lone_surrogates_in_an_answer_shift_no_reply(asked):
    assert asked("5\n{}\n", "6") == 0.0
    assert asked("\ud800", "6") == 0.0
    assert asked("5", "5") == 1.0


def test_the_worker_is_sealed_and_evaluates_no_python(asked, tmp_path):
    marker = tmp_path / "marker"
    for text in (f"open({str(marker)!r}, 'w')", f"$open({str(marker)!r}, 'w')$", "__import__('os').getpid()"):
        assert asked(text, "5") == 0.0
    assert not marker.exists()
    assert any(asked.worker._process.flags)  # whatever of the seal this machine offers


def test_what_sympy_imports_late_is_there_under_the_seal(asked):
    """Each of these needs modules that sympy imports inside functions."""
    for answer, gold in (
        ("\\int_0^1 x^2 dx", "\\frac13"), ("\\sum_{k=1}^{5} k", "15"), ("\\lim_{x\\to 0}\\frac{\\sin x}{x}", "1"),
        ("\\frac{d}{dx} x^2", "2x"), ("\\det\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "-2"), ("2y=4x+2", "y=2x+1"),
        ("(7,\\infty)\\cup(-\\infty,2)", "(-\\infty,2)\\cup(7,\\infty)"), ("\\sin^2 x+\\cos^2 x", "1"),
        ("\\gcd(4,6)", "2"), ("\\prod_{k=1}^4 k", "24"),
    ):  # fmt: skip
        assert asked(answer, gold) == 1.0, answer


def test_golds_that_the_library_cannot_read_are_known_and_compared_by_their_letters():
    assert readable("\\frac{1}{2}")
    assert not readable("\\leq 5")
    assert equal_answers("\u2264 5", "\\leq 5", "mathematics")
    assert equal_answers("\\leq\\, 5", "\\leq 5", "mathematics")
    assert not equal_answers("\\geq 5", "\\leq 5", "mathematics")


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
