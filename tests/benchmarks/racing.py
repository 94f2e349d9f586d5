"""Where runs tell most: what a search loses by its luck under several rules of spending them, in simulation.

    python -m tests.benchmarks.racing [--repeats 2000] [--out tests/benchmarks/racing.json]

Fifty candidates in five rounds of ten. True accuracies spread like those of the testbed's rewards; a run deviates by
luck of its seed, resampled from those that were measured (testbed_properties.json: ten rewards over five seeds), of
which a share is common to all candidates that share the seed. Answers to 500 questions add their own chance. Lost is
the true accuracy of the best five less that of the five that the rule names (and of the best one, less the one named),
with the 95 % interval of the mean over repeats.

Beside it the same rules on runs that were really made: thirteen rewards (ten of the library, its controls, the base
rewards alone) over five seeds of the testbed, taken as one round, in every order of the seeds. Four seeds are for the
rule, and what it names is judged by the fifth; intervals by bootstrap over the rewards. `--search RUN` adds the same on
the candidates of a search to the file of `--out`, whose other figures stay; such as

    reward-search run --preset testbed-quick --set search.rounds=1 --set search.candidates_per_round=10 \\
        --set screening.seeds=5 --run-dir RUN
"""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from itertools import combinations, permutations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.statistics.best import shrunken_means
from search.config.race import RaceStage, further_runs
from search.ledger import Ledger
from tests.benchmarks.machine import machine

Floats = NDArray[np.float64]
ROUNDS, IN_A_ROUND, CHOSEN = 5, 10, 5
MEASURED = Path(__file__).with_name("testbed_properties.json")
OF_ANSWERS = (0.24 * 0.7 / 500) ** 0.5
"""Of an accuracy, by the chance of single answers to questions that all candidates share."""


class Rule(NamedTuple):
    name: str
    seeds: int
    race: tuple[RaceStage, ...] = ()
    shrink: bool = True


def stages(*pairs: tuple[float, int]) -> tuple[RaceStage, ...]:
    return tuple(RaceStage(share=share, seeds=seeds) for share, seeds in pairs)


RULES = (
    Rule("one seed for all", 1),
    Rule("two seeds for all", 2),
    Rule("three seeds for all", 3),
    Rule("one seed, then three more for three of ten", 1, stages((0.3, 3))),
    Rule("the same, ranked by plain means", 1, stages((0.3, 3)), shrink=False),
    Rule(
        "one seed, then one, two and two more for five, three and two of ten", 1, stages((0.5, 1), (0.6, 2), (0.7, 2))
    ),
    Rule("one seed, then two more for half", 1, stages((0.5, 2))),
)


def deviations() -> tuple[Floats, float, Floats]:
    """Of seeds, in accuracy, pooled; the mean correlation between rewards that share them; and the means."""
    recorded = json.loads(MEASURED.read_text(encoding="utf-8"))["rewards"]
    table = np.array([r["by_seed"] for r in recorded if r["reward"] not in ("length_control", "keyword_spam_control")])
    seeds = table.shape[1]
    found = (table - table.mean(axis=1, keepdims=True)) * (seeds / (seeds - 1)) ** 0.5
    common = float(np.mean([np.corrcoef(found[i], found[j])[0, 1] for i, j in combinations(range(len(found)), 2)]))
    return found.ravel(), common, table.mean(axis=1)


def spent(rule: Rule, candidates: int = IN_A_ROUND) -> int:
    """Runs of a round."""
    return candidates * rule.seeds + further_runs(rule.race, candidates)


def ranking(rule: Rule, measured: Floats, variance: float, in_a_round: int = IN_A_ROUND) -> NDArray[np.int64]:
    """All candidates, first first; `measured` by candidate and seed."""
    count = len(measured)
    runs = np.full(count, rule.seeds)

    def expected(some: NDArray[np.int64]) -> Floats:
        means = np.array([measured[k, : runs[k]].mean() for k in some])
        return shrunken_means(means, variance / runs[some]) if rule.shrink else means

    for start in range(0, count, in_a_round):
        going = np.arange(start, start + in_a_round)
        for stage in rule.race:
            going = going[np.argsort(-expected(going), kind="stable")[: stage.places(going.size)]]
            runs[going] += stage.seeds
    return np.argsort(-expected(np.arange(count)), kind="stable")


def of_rewards() -> Floats:
    """Accuracy by reward and seed."""
    return np.array([r["by_seed"] for r in json.loads(MEASURED.read_text(encoding="utf-8"))["rewards"]])


def of_search(folder: Path) -> Floats:
    """The same of all candidates of a search that were screened over equally many seeds."""
    with closing(Ledger.open(folder)) as ledger:
        names = [candidate.name for candidate in ledger.candidates()]
        runs = [ledger.predictions("screening", name, "validation") for name in names]
    rows = [[float(np.mean([p.correct for p in found[seed]])) for seed in sorted(found)] for found in runs if found]
    most = max(map(len, rows))
    return np.array([row for row in rows if len(row) == most])


def on_recorded_runs(table: Floats, resamples: int, chosen: int = 3) -> list[dict[str, Any]]:
    """What each rule names, by the accuracy of another run of the same recipes, and the gain over a single seed."""
    variance = float(table.var(axis=1, ddof=1).mean())
    orders = list(permutations(range(table.shape[1])))
    rules = [rule for rule in RULES if rule.seeds + sum(stage.seeds for stage in rule.race) < table.shape[1]]

    def named(rows: Floats) -> Floats:
        """By rule: accuracy of the chosen and of the first, the mean over all orders of the seeds."""
        found = np.zeros((len(rules), 2))
        for order in orders:
            *_, judge = seeds = rows[:, order].T
            for place, rule in enumerate(rules):
                ranked = ranking(rule, np.array(seeds[:-1]).T, variance, len(rows))
                found[place] += judge[ranked[:chosen]].mean(), judge[ranked[0]]
        return found / len(orders)

    generator = np.random.default_rng(0)
    estimate = named(table)
    again = np.array([named(table[generator.integers(0, len(table), len(table))]) for _ in range(resamples)])
    gains = again - again[:, :1]
    return [
        {
            "rule": rule.name,
            "runs": spent(rule, len(table)),
            "accuracy_of_the_three": _interval(estimate[place, 0], again[:, place, 0]),
            "accuracy_of_the_first": _interval(estimate[place, 1], again[:, place, 1]),
            "three_more_than_by_one_seed": _interval(estimate[place, 0] - estimate[0, 0], gains[:, place, 0]),
            "first_more_than_by_one_seed": _interval(estimate[place, 1] - estimate[0, 1], gains[:, place, 1]),
        }
        for place, rule in enumerate(rules)
    ]


def add_search(folder: Path, out: Path, resamples: int) -> None:
    result = json.loads(out.read_text(encoding="utf-8"))
    with closing(Ledger.open(folder)) as ledger:
        proposer = ledger.fact("config")["proposer"]["name"]
    table = of_search(folder)
    found = {
        "proposer": proposer,
        "machine": machine(),
        "accuracy": [[round(float(v), 4) for v in row] for row in table],
        "rules": on_recorded_runs(table, resamples),
    }
    result["recorded_searches"] = [*result.get("recorded_searches", []), found]
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _interval(value: float, resampled: Floats) -> list[float]:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return [round(float(v), 4) for v in (value, low, high)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--search", type=Path, help="run directory of a search with five seeds per candidate")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.search is not None:
        add_search(arguments.search, arguments.out, arguments.resamples)
        return
    measured, common, means = deviations()
    generator = np.random.default_rng(0)
    count, most = ROUNDS * IN_A_ROUND, 8
    spread = float(means.std(ddof=1))
    variance = float(measured.var()) + OF_ANSWERS**2
    rows: list[dict[str, Any]] = []
    for share in (0.0, max(0.0, common)):
        lost: dict[str, list[tuple[float, float]]] = {rule.name: [] for rule in RULES}
        for _ in range(arguments.repeats):
            truth = 0.5 + spread * generator.standard_normal(count)
            shared = generator.choice(measured, (1, most))
            own = generator.choice(measured, (count, most))
            luck = share**0.5 * shared + (1 - share) ** 0.5 * own
            noise = OF_ANSWERS * generator.standard_normal((count, most))
            best = np.sort(truth)[::-1]
            for rule in RULES:
                order = ranking(rule, truth[:, None] + luck + noise, variance)
                five = best[:CHOSEN].mean() - truth[order[:CHOSEN]].mean()
                lost[rule.name].append((float(five), float(best[0] - truth[order[0]])))
        for rule in RULES:
            values = np.array(lost[rule.name])
            half = 1.96 * values.std(axis=0, ddof=1) / len(values) ** 0.5
            rows.append(
                {
                    "rule": rule.name,
                    "runs": ROUNDS * spent(rule),
                    "common_share_of_luck": round(share, 3),
                    "lost_by_five": [round(float(v), 4) for v in (values[:, 0].mean(), half[0])],
                    "lost_by_the_first": [round(float(v), 4) for v in (values[:, 1].mean(), half[1])],
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    result = {
        "machine": machine(),
        "repeats": arguments.repeats,
        "deviation_of_seeds": round(float(measured.std()), 4),
        "deviation_of_true_accuracies": round(spread, 4),
        "figures": "mean and half width of its 95 % interval",
        "rows": rows,
        "recorded_figures": "value, low and high of a 95 % bootstrap interval over rewards",
        "recorded_runs": on_recorded_runs(of_rewards(), arguments.resamples),
    }
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
