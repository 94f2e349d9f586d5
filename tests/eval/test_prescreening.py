"""What rollouts of the base policy say of a reward before training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from eval.prescreener import score_rollouts, seconds_per_call
from eval.prescreening import PreScreening, prescreening
from eval.similarity import Similarity
from rewards_generated.rollout import Rollout
from tests.rewards_generated.group_rewards import SHORTER


def make(questions: int = 20, per_question: int = 6, seed: int = 0) -> list[Rollout]:
    draw = np.random.default_rng(seed)
    return [
        Rollout("2 + 2", "x" * int(draw.integers(1, 60)), "4", bool(draw.random() < 0.4), True, f"q{question}")
        for question in range(questions)
        for _ in range(per_question)
    ]


ROLLOUTS = make()
BASE = [3.0 if rollout.correct else -1.5 for rollout in ROLLOUTS]


def correctness(rollouts: Sequence[Rollout]) -> list[float | None]:
    return [float(rollout.correct) for rollout in rollouts]


def test_a_reward_of_correctness_agrees_wholly() -> None:
    found = prescreening(ROLLOUTS, correctness(ROLLOUTS), BASE, 4)
    assert found.auc is not None
    assert found.preference is not None
    assert (found.auc.value, found.preference.value) == (1.0, 1.0)
    assert found.auc.low < 1.0
    assert (found.rollouts, found.unscored, found.group_size) == (120, 0, 4)


def test_spread_is_the_share_of_all_groups_that_can_be_drawn() -> None:
    draw = np.random.default_rng(1)
    scores = [float(value) for value in draw.integers(0, 2, len(ROLLOUTS))]
    found = prescreening(ROLLOUTS, scores, BASE, 4)
    differ, totals = [], []
    for start in range(0, len(ROLLOUTS), 6):
        for group in combinations(range(start, start + 6), 4):
            differ.append(len({scores[k] for k in group}) > 1)
            totals.append(len({scores[k] + BASE[k] for k in group}) > 1)
    assert found.spread is not None
    assert found.total_spread is not None
    assert found.base_spread is not None
    assert found.spread.value == pytest.approx(np.mean(differ))
    assert found.total_spread.value == pytest.approx(np.mean(totals))
    assert found.spread.n == 20
    assert found.base_spread.value < found.total_spread.value


def test_larger_groups_than_there_are_rollouts_are_those_that_there_are() -> None:
    found = prescreening(ROLLOUTS, correctness(ROLLOUTS), BASE, 16)
    mixed = [len({rollout.correct for rollout in ROLLOUTS[start : start + 6]}) > 1 for start in range(0, 120, 6)]
    assert found.group_size == 6
    assert found.spread is not None
    assert found.spread.value == pytest.approx(np.mean(mixed))


def test_length() -> None:
    lengths = [len(rollout.completion) for rollout in ROLLOUTS]
    noisy = [length + 10 * float(np.random.default_rng(place).normal()) for place, length in enumerate(lengths)]
    found = prescreening(ROLLOUTS, noisy, BASE, 4)
    assert found.length is not None
    assert found.length.value == pytest.approx(stats.spearmanr(noisy, lengths).statistic)


def test_a_constant_reward_has_no_length_correlation_and_no_spread() -> None:
    found = prescreening(ROLLOUTS, [0.5] * 120, BASE, 4)
    assert found.length is None
    assert found.spread is not None
    assert found.auc is not None
    assert (found.spread.value, found.auc.value) == (0.0, 0.5)
    assert found.total_spread == found.base_spread


def test_what_could_not_be_scored_is_left_out_and_counted() -> None:
    scores = [None if place % 3 == 0 else score for place, score in enumerate(correctness(ROLLOUTS))]
    kept = [rollout for place, rollout in enumerate(ROLLOUTS) if place % 3]
    found = prescreening(ROLLOUTS, scores, BASE, 4)
    alone = prescreening(kept, correctness(kept), [3.0 if rollout.correct else -1.5 for rollout in kept], 4)
    assert (found.rollouts, found.unscored) == (80, 40)
    assert found == alone.model_copy(update={"unscored": 40})
    nothing = prescreening(ROLLOUTS, [None] * 120, BASE, 4)
    assert (nothing.rollouts, nothing.auc, nothing.spread, nothing.length) == (0, None, None, None)


def test_only_right_or_only_wrong_rollouts_have_no_agreement() -> None:
    wrong = [Rollout("p", rollout.completion, "4", False, True, rollout.group) for rollout in ROLLOUTS]
    found = prescreening(wrong, [float(len(rollout.completion)) for rollout in wrong], [0.0] * 120, 4)
    assert (found.auc, found.preference) == (None, None)


def test_a_reason_names_the_other_and_both_figures() -> None:
    similar = Similarity(
        name="repair", rank_correlation=0.9995, advantage_correlation=0.9998, informative=60, rollouts=512
    )
    found = prescreening(ROLLOUTS, correctness(ROLLOUTS), BASE, 4).model_copy(update={"closest": similar})
    assert found.reason is None
    reason = found.model_copy(update={"duplicate": True}).reason
    assert reason is not None
    for part in ("near-duplicate", "'repair'", "0.9995", "0.9998", "512"):
        assert part in reason
    assert PreScreening.model_validate_json(found.model_dump_json()) == found


def test_a_reward_of_whole_groups_sees_the_rollouts_of_a_question_wherever_they_stand() -> None:
    texts = {"a": ["xxxx", "xx", "x"], "b": ["yyyyyyyyyy", "y"]}
    mixed = [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2)]
    rollouts = [Rollout(f"question {q}", texts[q][place], "1", False, False, q) for q, place in mixed]
    assert score_rollouts("shorter", SHORTER, rollouts, None) == [0.0, 0.0, 0.5, 0.9, 0.75]
    assert seconds_per_call(SHORTER, rollouts) > 0
