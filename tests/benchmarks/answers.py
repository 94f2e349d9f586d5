"""Whether answers are read and compared rightly, and how fast: against cases that others have labelled, and ours.

    pip download --no-deps --no-binary :all: math-verify==0.9.0 && tar xf math_verify-0.9.0.tar.gz
    python -m tests.benchmarks.answers --math-verify math_verify-0.9.0/tests --gsm8k FOLDER --output answers.json

- math-verify's own test cases (gold, completion, expected), read from its source distribution: the completion is read
  flexibly in the format `boxed`, then compared. Beside it what the library alone says of the same cases.
- GSM8K: every distinct gold answer in 18 spellings, each also against its neighbour; every reference solution read
  flexibly.
- the labelled cases of `tests/rewards_generated/answers`.

What is not given is left out. Nothing of the sources is kept but counts.
"""

from __future__ import annotations

import argparse
import ast
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rewards_generated.answers import ANSWER_FORMATS, equal_answers, extract_answer
from rewards_generated.answers.symbolic import worker
from tests.benchmarks.machine import machine
from tests.rewards_generated.answers import test_equality

BOXED = ANSWER_FORMATS["boxed"]


def library_cases(folder: Path) -> Iterator[tuple[str, str, bool]]:
    """Literal (gold, completion, expected) of every parametrised test that has these three alone."""
    for file in sorted(folder.glob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (
                isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "parametrize" and len(node.args) > 1
            ):
                continue
            names = "".join(str(getattr(node.args[0], "value", "")).split())
            if names != "gold,pred,expected" or not isinstance(node.args[1], ast.List):
                continue
            for case in node.args[1].elts:
                try:
                    gold, completion, expected = ast.literal_eval(case)
                except ValueError:
                    continue
                yield gold, completion, bool(expected)


def of_library(folder: Path) -> dict[str, Any]:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    targets = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
    cases = list(library_cases(folder))
    right = alone = accepted_wrongly = 0
    for gold, completion, expected in cases:
        given = extract_answer(completion, BOXED, "mathematics").flexible
        ours = given is not None and equal_answers(given, gold, "mathematics")
        theirs = bool(verify(parse(gold, targets), parse(completion, targets)))
        right += ours == expected
        alone += theirs == expected
        accepted_wrongly += ours and not expected
    return {
        "cases": len(cases),
        "as labelled": right,
        "wrong taken for right": accepted_wrongly,
        "library alone": alone,
    }


def spellings(gold: str) -> Iterator[str]:
    number = int(gold)
    sign, size = ("-" if number < 0 else ""), abs(number)
    thousands = f"{size:,}"
    yield from (gold, f"{sign}{thousands}", f"{gold}.0", f"{gold}.00", f"{gold}.", f"{sign}${thousands}")
    yield from (f"{sign}\\${thousands}", f"{gold} apples", f"{sign}{thousands} km/h.", f"\\boxed{{{gold}}}")
    yield from (
        f"$\\boxed{{{number:,}}}$",
        f"{sign}\\frac{{{2 * size}}}{{2}}",
        f"{gold}\\text{{ cents}}",
        f"**{gold}**",
    )
    yield from (sign + thousands.replace(",", "{,}"), sign + thousands.replace(",", "\\,"), f"x = {gold}")
    yield f"The answer is {gold}."


def of_gsm8k(folder: Path) -> dict[str, Any]:
    solutions = [
        json.loads(line)["answer"]
        for name in ("train", "test")
        for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    golds = [solution.rpartition("####")[2].strip().replace(",", "") for solution in solutions]
    form = ANSWER_FORMATS["solution"]
    distinct = sorted(set(golds))
    read, refused, count = 0, 0, 0
    started = time.perf_counter()
    for gold in distinct:
        for spelling in spellings(gold):
            given = extract_answer(f"<solution>{spelling}</solution>", form).strict
            read += given is not None and equal_answers(given, gold)
            refused += given is not None and not equal_answers(given, str(int(gold) + 1))
            count += 1
    seconds = time.perf_counter() - started
    whole = sum(
        (given := extract_answer(solution, form).flexible) is not None and equal_answers(given, gold)
        for solution, gold in zip(solutions, golds, strict=True)
    )
    return {
        "distinct golds": len(distinct),
        "spellings": count,
        "read and equal": read,
        "unlike the next number": refused,
        "reference solutions": len(solutions),
        "of these read": whole,
        "seconds per 1,000 numbers read and compared twice": round(1000 * seconds / count, 4),
    }


def of_ours() -> dict[str, Any]:
    found = {}
    for kind in ("number", "mathematics"):
        test = getattr(test_equality, "test_numbers" if kind == "number" else "test_mathematics")
        cases = test.pytestmark[0].args[1]
        right = sum(equal_answers(answer, gold, kind) is expected for answer, gold, expected in cases)
        found[kind] = {"cases": len(cases), "as labelled": right}
    return found


def speed_of_mathematics(count: int = 400) -> dict[str, float]:
    started = time.perf_counter()
    worker()
    start = time.perf_counter() - started
    started = time.perf_counter()
    for number in range(count):
        assert equal_answers(f"{number}x+1", f"1+{number}x", "mathematics")
    per_thousand = 1000 * (time.perf_counter() - started) / count
    return {"seconds to start": round(start, 2), "seconds per 1,000 formulas": round(per_thousand, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--math-verify", type=Path, help="the folder of its tests")
    parser.add_argument("--gsm8k", type=Path, help="a folder with train.jsonl and test.jsonl")
    parser.add_argument("--output", type=Path, help="a JSON file, beside what is printed")
    arguments = parser.parse_args()
    found: dict[str, Any] = {"speed of mathematics": speed_of_mathematics(), "ours": of_ours()}
    if arguments.gsm8k:
        found["gsm8k"] = of_gsm8k(arguments.gsm8k)
    if arguments.math_verify:
        found["math-verify's tests"] = of_library(arguments.math_verify)
    text = json.dumps({**found, **machine()}, indent=1)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
