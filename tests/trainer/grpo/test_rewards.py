"""The bridge to TRL: totals, statistics, samples, and the failure rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest

from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.rollout import Sample
from rewards_generated.schedule import Schedule
from rewards_generated.score import Score
from rewards_generated.scorer import EnsembleScorer
from tests.trainer.tiny import COUNTS_SO, Sums
from trainer.grpo.rewards import RolloutScoring, RunUnscored


class InProcess:
    """Stands in for a sandboxed worker: scores by a function, where None is a failure."""

    def __init__(self, reward: Callable[[Sample], float | None]) -> None:
        self.reward = reward

    def score(self, samples: Sequence[Sample], groups: object = None) -> list[Score]:
        values = [self.reward(sample) for sample in samples]
        return [Score(value, None if value is not None else "ValueError: no luck") for value in values]

    def close(self) -> None: ...


def scoring(
    reward: Callable[[Sample], float | None], steps: int = 10, limit: float = 0.1, schedule: Schedule | None = None
) -> RolloutScoring:
    counts = Member(name="counts", code=COUNTS_SO, schedule=schedule)
    ensemble = Ensemble(name="e", members=(Member(name="format_approximate"), counts))
    scorer = EnsembleScorer(ensemble, worker=lambda code, settings: InProcess(reward))
    return RolloutScoring(scorer, Sums({}), generations=2, steps=steps, failure_rate_limit=limit)


def call(bridge: RolloutScoring, step: int, texts: list[str]) -> list[float | None]:
    return bridge.reward(
        completions=[[{"role": "assistant", "content": text}] for text in texts],
        completion_ids=[text.split() for text in texts],  # type: ignore[misc]
        question=["1 + 1 = ?"] * len(texts),
        answer=["2"] * len(texts),
        worked_solution=["1 + 1 = 2", *[None] * (len(texts) - 1)],
        trainer_state=SimpleNamespace(global_step=step - 1),
        log_metric=print,
    )


def count_so(sample: Sample) -> float | None:
    return None if "wait" in sample.completion else float(sample.completion.split().count("so"))


def test_rewards_see_the_worked_solution_of_their_question() -> None:
    bridge = scoring(lambda sample: float(len(sample.worked_solution or "")))
    assert call(bridge, 1, ["so so", "wait"]) == [7.0, -2.0]


def test_a_row_without_a_score_has_no_total() -> None:
    bridge = scoring(count_so, limit=0.5)
    assert call(bridge, 1, ["so so", "wait so", "<solution> 2 </solution>", ""]) == [0.0, None, 0.0, -2.0]


def test_a_weight_with_a_schedule_is_that_of_the_share_of_steps_done() -> None:
    bridge = scoring(count_so, steps=4, schedule=Schedule(kind="switch", to=0.0, at=0.5))
    assert [call(bridge, step, ["so so", ""]) for step in (1, 2, 3, 4)] == [[0.0, -2.0]] * 2 + [[-2.0, -2.0]] * 2
    assert [bridge.curve[step]["rewards"]["counts"]["weight"] for step in (1, 2, 3, 4)] == [1.0, 1.0, 0.0, 0.0]
    assert bridge.curve[4]["rewards"]["counts"]["mean"] == 1.0
    assert "weight" not in bridge.curve[1]["rewards"]["format_approximate"]


def test_the_curve_has_the_figures_of_its_step() -> None:
    bridge = scoring(count_so, limit=0.5)
    call(bridge, 1, ["so so", "wait so", "<solution> 2 </solution>", "<solution> 7 </solution>"])
    entry = bridge.curve[1]
    assert entry["accuracy"] == 0.25
    assert entry["extraction_rate"] == 0.5
    assert entry["completion_tokens"] == pytest.approx((2 + 2 + 3 + 3) / 4)
    counts = entry["rewards"]["counts"]
    assert counts["failures"] == 1
    assert counts["mean"] == pytest.approx(2 / 3)
    assert counts["std"] == pytest.approx((8 / 9) ** 0.5)
    assert counts["firing_rate"] == pytest.approx(1 / 3)
    assert entry["reward_mean"] == 0.0


def test_statistics_cover_the_whole_run() -> None:
    bridge = scoring(count_so, limit=0.5)
    call(bridge, 1, ["so so", "wait"])
    call(bridge, 2, ["so", ""])
    counts = bridge.statistics()[1]
    assert (counts.name, counts.calls, counts.failures) == ("counts", 4, 1)
    assert counts.mean == pytest.approx(1.0)
    assert counts.std == pytest.approx((2 / 3) ** 0.5)
    assert counts.firing_rate == pytest.approx(2 / 3)


def test_a_member_that_never_scored_has_no_figures() -> None:
    bridge = scoring(lambda sample: None, limit=1.0)
    assert call(bridge, 1, ["so", "so"]) == [None, None]
    counts = bridge.statistics()[1]
    assert (counts.firing_rate, counts.mean, counts.std) == (None, None, None)
    assert bridge.curve[1]["reward_mean"] is None


def test_the_run_ends_as_soon_as_the_limit_cannot_be_kept() -> None:
    """10 steps of 2 calls, limit 10 %: two failures are allowed, the third is one too many."""
    bridge = scoring(count_so)
    call(bridge, 1, ["so", "wait"])
    call(bridge, 2, ["so", "wait"])
    with pytest.raises(RunUnscored, match=r"reward counts failed in 3 of 6 calls.*10%.*ValueError: no luck"):
        call(bridge, 3, ["so", "wait"])


def test_a_member_that_is_dead_for_three_steps_ends_the_run() -> None:
    bridge = scoring(count_so, steps=1000)
    for step in (1, 2):
        call(bridge, step, ["wait", "wait"])
    with pytest.raises(RunUnscored, match="failed in 6 of 6 calls"):
        call(bridge, 3, ["wait", "wait"])


def test_first_best_and_worst_completions_of_some_steps_are_kept() -> None:
    bridge = scoring(count_so, steps=100, limit=0.5)
    for step in range(1, 101):
        call(bridge, step, ["so", "so so so", "", "wait"])
    steps = list(dict.fromkeys(sample.step for sample in bridge.samples))
    assert (steps[0], steps[-1], len(steps)) == (1, 100, 6)
    first = [sample for sample in bridge.samples if sample.step == 1]
    assert [(sample.completion, sample.total) for sample in first] == [("so", -1.0), ("so so so", 1.0), ("", -2.0)]
    assert first[0].scores == {"format_approximate": -2.0, "counts": 1.0}


class Condemned(InProcess):
    condemned: str | None = "is no pure function"

    def recheck(self) -> str | None:
        return self.condemned


def test_one_proven_difference_of_a_reward_unscores_its_run() -> None:
    ensemble = Ensemble(name="e", members=(Member(name="format_approximate"), Member(name="counts", code=COUNTS_SO)))
    scorer = EnsembleScorer(ensemble, worker=lambda code, settings: Condemned(count_so))
    bridge = RolloutScoring(scorer, Sums({}), generations=2, steps=10, failure_rate_limit=0.1)
    assert scorer.recheck() == {"counts": "is no pure function"}
    with pytest.raises(RunUnscored, match="reward counts is no pure function; none of its values counts"):
        call(bridge, 1, ["so", "so so"])
