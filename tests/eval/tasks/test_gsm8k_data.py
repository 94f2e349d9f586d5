"""Every gold answer of GSM8K, in every dress, against the answer code. Needs the data set."""

import json
from pathlib import Path

import pytest

from eval.tasks.base import TaskReference
from eval.tasks.registry import build_task
from rewards_generated.answers import ANSWER_FORMATS, equal_answers, extract_answer
from rewards_generated.answers.symbolic import symbolically_equal

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "gsm8k"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no GSM8K data in {FOLDER}")


@pytest.fixture(scope="module")
def golds():
    task = build_task(TaskReference(name="gsm8k", options={"source": str(FOLDER)}))
    return [e.answer for split in ("train", "validation", "test") for e in task.examples(split)]


def dresses(gold):
    number = int(gold)
    sign = "-" if number < 0 else ""
    size = abs(number)
    yield from (
        gold,
        f"{number:,}",
        f"{gold}.0",
        f"{gold}.00",
        f"{sign}${size:,}",
        f"{gold} apples",
        f"{number:,} km/h.",
    )
    yield from (
        f"\\boxed{{{gold}}}",
        f"$\\boxed{{{number:,}}}$",
        f"{sign}\\frac{{{2 * size}}}{{2}}",
        f"{gold}\\text{{ cents}}",
    )


def test_all_8792_gold_answers_are_read_and_equal_themselves_in_every_dress(golds):
    assert len(golds) == 8792
    tags, box = ANSWER_FORMATS["solution"], ANSWER_FORMATS["boxed"]
    # The same text has the same answer: each distinct one is dressed once.
    for gold in sorted(set(golds)):
        for dress in dresses(gold):
            read = extract_answer(f"<thinking>12 + 7 = 19</thinking>\n<solution>{dress}</solution>", tags)
            assert read.strict == dress
            assert equal_answers(dress, gold), (dress, gold)
        assert not equal_answers(str(int(gold) + 1), gold)
        assert extract_answer(f"so the answer is {int(gold):,}.", tags).flexible == f"{int(gold):,}"
        assert extract_answer(f"work\n#### {gold}", tags).flexible == gold
        assert extract_answer(f"thus \\boxed{{{gold}}}", box).strict == gold


def test_the_reference_solutions_themselves_are_read_flexibly():
    form = ANSWER_FORMATS["solution"]
    for name in ("train", "test"):
        for line in (FOLDER / f"{name}.jsonl").read_text().splitlines():
            solution = json.loads(line)["answer"]
            gold = solution.rpartition("####")[2].strip()
            read = extract_answer(solution, form)
            assert read.strict is None
            assert equal_answers(read.flexible, gold)


@pytest.mark.slow
def test_math_verify_agrees_on_every_distinct_gold_answer(golds):
    """The fast path for plain numbers against math-verify, which it spares."""
    for gold in sorted(set(golds), key=int):
        for dress in (f"{int(gold):,}", f"{gold}.0", f"\\boxed{{{gold}}}", f"\\frac{{{2 * int(gold)}}}{{2}}"):
            assert symbolically_equal(dress, gold), (dress, gold)
        assert not symbolically_equal(str(int(gold) + 1), gold)


def test_math_verify_agrees_on_a_sample(golds):
    for gold in sorted(set(golds), key=int)[::40]:
        assert symbolically_equal(f"{int(gold):,}", gold)
        assert symbolically_equal(f"\\frac{{{2 * int(gold)}}}{{2}}", gold)
        assert not symbolically_equal(str(int(gold) + 1), gold)
