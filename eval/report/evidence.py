"""How far a ranking can be trusted, and what the base policy reaches by sampling, as a report shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.prediction import Prediction
from eval.report.data import BaseSamples, PassAtK, QuestionSamples, RankedEntry, RankingEvidence
from eval.report.scores import Runs, correct_table, difference_over_seeds
from eval.statistics.best import probability_best
from eval.statistics.concordance import mean_share, pass_at_k
from eval.statistics.estimate import wilson_interval
from eval.statistics.luck import SeedVariance
from eval.statistics.optimism import seed_selection_optimism, selection_optimism
from eval.statistics.pairwise import compare_all
from eval.statistics.stability import OrderedPair, rank_intervals, rank_stability


def ranking_evidence(
    entries: Mapping[str, Runs],
    split: Literal["validation", "test"],
    eligible: Sequence[str] = (),
    level: float = 0.95,
    luck: SeedVariance | None = None,
) -> RankingEvidence | None:
    """`eligible`: the entries from which the best was picked on this split; empty: none was.

    All must have answered the same questions. None with fewer than two entries or questions, which are no ranking.
    """
    correct = {name: correct_table(runs) for name, runs in entries.items() if runs}
    if len(correct) < 2 or next(iter(correct.values())).shape[1] < 2:
        return None
    seeds = min(len(table) for table in correct.values())
    stability, best = rank_stability(correct, level), probability_best(correct, luck)
    intervals = rank_intervals(list(correct), _pairs(correct, luck), level)
    ranked = [
        RankedEntry(name=name, resampled=spread, interval=intervals[name], probability_best=best[name])
        for name, spread in stability.entries.items()
    ]
    picked_from = {name: correct[name] for name in eligible if name in correct}
    several = len(picked_from) > 1
    return RankingEvidence(
        split=split,
        seeds=seeds,
        luck="both" if luck is not None or seeds > 1 else "questions",
        level=level,
        entries=tuple(sorted(ranked, key=lambda entry: entry.resampled.rank)),
        agreement=stability.agreement,
        optimism=selection_optimism(picked_from, level) if several else None,
        seed_optimism=seed_selection_optimism(picked_from, level) if several and seeds > 1 else None,
    )


def base_samples(
    predictions: Sequence[Prediction], split: Literal["train", "validation", "test"], temperature: float
) -> BaseSamples | None:
    """Of several sampled answers of the base policy to each question; None where there are none.

    pass@k for k = 1, 2, 4, ... up to the number of samples that every question has.
    """
    if not predictions:
        return None
    samples = Counter(prediction.id for prediction in predictions)
    right = Counter(prediction.id for prediction in predictions if prediction.correct)
    hits, drawn = [right[name] for name in samples], list(samples.values())
    fewest = min(drawn)
    sizes = sorted({2**power for power in range(fewest.bit_length())} | {fewest})
    found = [(k, pass_at_k(hits, drawn, k)) for k in sizes]
    return BaseSamples(
        split=split,
        temperature=temperature,
        questions=tuple(QuestionSamples(right=k, samples=n) for k, n in zip(hits, drawn, strict=True)),
        mass=mean_share([k / n for k, n in zip(hits, drawn, strict=True)]),
        pass_at_k=tuple(PassAtK(k=k, estimate=estimate) for k, estimate in found if estimate is not None),
        none_right=wilson_interval(hits.count(0), len(hits)),
        all_right=wilson_interval(sum(k == n for k, n in zip(hits, drawn, strict=True)), len(hits)),
    )


def _pairs(correct: Mapping[str, NDArray[np.bool_]], luck: SeedVariance | None) -> list[OrderedPair]:
    """All of them: the difference for new seeds and questions where the luck of training is known, else McNemar's
    test."""
    pairs = []
    for first, second in combinations(correct, 2):
        found = difference_over_seeds(correct[first], correct[second], luck)
        if found is None:
            compared = compare_all({name: table[0] for name, table in correct.items()})
            return [OrderedPair(c.first, c.second, c.difference.value, c.p_value) for c in compared]
        pairs.append(OrderedPair(first, second, found.estimate.value, found.p_value))
    return pairs
