"""How long the statistics of a large comparison and its report take.

    python -m tests.benchmarks.statistics_speed [--out tests/benchmarks/statistics_speed.json]

50 models x 1,319 questions: every pairwise McNemar test with its interval and three corrections, the equivalence
tests, the smallest detectable differences, BCa intervals of accuracy and F1 for every model, and how sure the ranking
is (optimism of the selection, probability of being best, ranks); claimed under 5 s. The report of a run of 50
candidates: claimed under 5 s and 5 MB. Times are wall-clock, imports of scipy and statsmodels apart; `cpu_seconds`, the
processor's time for the same, says how much of them was waiting for other work on the machine.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from tests.benchmarks.machine import machine

MODELS, QUESTIONS = 50, 1319


def measure() -> dict[str, object]:
    start = time.perf_counter()
    import scipy.optimize
    import scipy.stats
    import statsmodels.stats.proportion  # noqa: F401

    from eval.report.render import render
    from eval.statistics.best import probability_best
    from eval.statistics.bootstrap import bootstrap_accuracy, bootstrap_f1
    from eval.statistics.optimism import selection_optimism
    from eval.statistics.paired import equivalence_p_values, smallest_detectable_difference
    from eval.statistics.pairwise import cochran_q, compare_all
    from eval.statistics.stability import OrderedPair, rank_intervals, rank_stability
    from tests.eval.report.sample import sample_report

    imports = time.perf_counter() - start
    generator = np.random.default_rng(0)
    difficulty = generator.normal(size=QUESTIONS)
    skill = generator.normal(0.5, 0.3, size=(MODELS, 1))
    right = skill + difficulty + generator.normal(size=(MODELS, QUESTIONS)) > 0
    answers = {f"model {k}": right[k] for k in range(MODELS)}

    seconds: dict[str, float] = {}
    busy = time.process_time()
    start = time.perf_counter()
    comparisons = compare_all(answers)
    seconds["pairwise tests, intervals and corrections"] = time.perf_counter() - start
    start = time.perf_counter()
    first_only = np.array([c.first_only for c in comparisons])
    second_only = np.array([c.second_only for c in comparisons])
    equivalence_p_values(first_only, second_only, QUESTIONS, 0.03)
    seconds["equivalence tests"] = time.perf_counter() - start
    start = time.perf_counter()
    for model in answers.values():
        bootstrap_accuracy(model)
        bootstrap_f1(model)
    seconds["BCa intervals of accuracy and F1"] = time.perf_counter() - start
    start = time.perf_counter()
    cochran_q(right)
    seconds["Cochran's Q"] = time.perf_counter() - start

    start = time.perf_counter()
    for c in comparisons:
        smallest_detectable_difference(QUESTIONS, (c.first_only + c.second_only) / QUESTIONS)
    seconds["smallest detectable differences"] = time.perf_counter() - start
    start = time.perf_counter()
    selection_optimism(answers)
    seconds["optimism of the selection"] = time.perf_counter() - start
    start = time.perf_counter()
    probability_best(answers)
    seconds["probability of being best"] = time.perf_counter() - start
    start = time.perf_counter()
    rank_stability(answers)
    rank_intervals(list(answers), [OrderedPair(c.first, c.second, c.difference.value, c.p_value) for c in comparisons])
    seconds["ranks"] = time.perf_counter() - start

    busy = time.process_time() - busy

    data = sample_report()
    start = time.perf_counter()
    page = render(data)
    report_seconds = time.perf_counter() - start
    total = sum(seconds.values())
    return {
        "models": MODELS,
        "questions": QUESTIONS,
        "pairs": len(comparisons),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "total_seconds": round(total, 3),
        "cpu_seconds": round(busy, 3),
        "import_seconds": round(imports, 2),
        "report": {
            "candidates": len(data.candidates),
            "seconds": round(report_seconds, 3),
            "megabytes": round(len(page.encode()) / 1e6, 3),
        },
        "claims_hold": bool(total < 5 and report_seconds < 5 and len(page.encode()) < 5e6),
        "machine": {**machine(), "numpy": np.__version__, "scipy": scipy.__version__},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, help="write the result to this JSON file as well")
    arguments = parser.parse_args()
    result = json.dumps(measure(), indent=2) + "\n"
    if arguments.out is not None:
        arguments.out.write_text(result)
    print(result, end="")


if __name__ == "__main__":
    main()
