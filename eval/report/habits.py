"""How the winner's policy writes otherwise than that of the base rewards alone, seen on the same questions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from eval.prediction import Prediction
from eval.report.data import AskedQuestion, AskedSplit, ReportData
from eval.report.ranking import BASE_REWARDS_ONLY, control, ranked_candidates, shown_split, winner

_WORD = re.compile(r"[^\W\d_]+")
TELLING = 0.1
"""Difference of shares from which on a word is told."""
MOST_WORDS, MOST_PAIRS = 4, 4


class WordUse(NamedTuple):
    """Shares of completions in which a word stands."""

    word: str
    winner: float
    control: float


class Pair(NamedTuple):
    """One question and both completions."""

    question: AskedQuestion
    winner: Prediction
    control: Prediction


class Habits(NamedTuple):
    split: str
    questions: int
    tokens: tuple[float, float]
    """Mean completion tokens of winner and control; so are the other pairs ordered."""
    answered: tuple[float, float]
    only_right: tuple[int, int]
    """Questions that one of them alone gets right."""
    words: tuple[WordUse, ...]
    """The most telling first."""
    pairs: tuple[Pair, ...]
    """Those that only the winner gets right and those that only the control does, by turns."""


class FamilyMean(NamedTuple):
    """Of the scored candidates of one family."""

    family: str
    candidates: int
    accuracy: float
    """Mean."""
    best: float
    members: int
    """Of the winner."""


def habits(data: ReportData) -> Habits | None:
    """Of one run of each, that of its smallest seed; None unless both answered the same questions."""
    best, base = winner(data), control(data.entries, BASE_REWARDS_ONLY)
    asked = next((a for a in data.asked if a.stage == "finals" and a.split == shown_split(data)), None)
    if best is None or base is None or best is base or asked is None:
        return None
    own, other = answers_of(asked, best.name), answers_of(asked, base.name)
    if not own or not other:
        return None
    only_own = [k for k, (a, b) in enumerate(zip(own, other, strict=True)) if a.correct and not b.correct]
    only_other = [k for k, (a, b) in enumerate(zip(own, other, strict=True)) if b.correct and not a.correct]
    turns = [k for pair in zip(only_own, only_other, strict=False) for k in pair]
    turns += [k for k in (*only_own, *only_other) if k not in turns]
    return Habits(
        asked.split,
        len(own),
        (_tokens(own), _tokens(other)),
        (_answered(own), _answered(other)),
        (len(only_own), len(only_other)),
        _telling_words(own, other),
        tuple(Pair(asked.questions[k], own[k], other[k]) for k in turns[:MOST_PAIRS]),
    )


def answers_of(asked: AskedSplit, policy: str) -> tuple[Prediction, ...]:
    return next((found.predictions for found in asked.policies if found.policy == policy), ())


def family_means(data: ReportData) -> list[FamilyMean]:
    """The highest mean first; without candidates that name no family."""
    best, ranked = winner(data), ranked_candidates(data)
    members = set(best.members) if best else set()
    found = []
    for family in dict.fromkeys(c.family for c in ranked if c.family):
        own = [c for c in ranked if c.family == family]
        accuracies = [c.scores.accuracy.value for c in own if c.scores]
        inside = sum(c.name in members for c in own)
        found.append(FamilyMean(family, len(own), fmean(accuracies), max(accuracies), inside))
    return sorted(found, key=lambda row: (-row.accuracy, row.family))


def _tokens(predictions: Sequence[Prediction]) -> float:
    return fmean(prediction.completion_tokens for prediction in predictions)


def _answered(predictions: Sequence[Prediction]) -> float:
    return fmean(prediction.answered for prediction in predictions)


def _telling_words(own: Sequence[Prediction], other: Sequence[Prediction]) -> tuple[WordUse, ...]:
    first, second = _uses(own), _uses(other)
    shares = [WordUse(word, first[word] / len(own), second[word] / len(other)) for word in {*first, *second}]
    telling = [use for use in shares if abs(use.winner - use.control) >= TELLING]
    return tuple(sorted(telling, key=lambda use: (-abs(use.winner - use.control), use.word))[:MOST_WORDS])


def _uses(predictions: Sequence[Prediction]) -> Counter[str]:
    """Completions in which each word stands."""
    return Counter(word for p in predictions for word in set(_WORD.findall(p.completion.lower())))
