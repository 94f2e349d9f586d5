"""Scoring with an ensemble: trusted members in-process, the others in the sandbox, failures as data."""

from __future__ import annotations

import os

import pytest

from rewards_generated.base import BASE_REWARDS, base_rewards
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.rollout import Sample
from rewards_generated.sandbox.settings import SandboxSettings
from rewards_generated.scorer import EnsembleScorer
from tests.rewards_generated.group_rewards import SHORTER

RIGHT = Sample("17 + 5 ?", "<thinking> 17 + 5 = 22 . </thinking> <solution> 22 </solution>", "22")
WRONG = Sample("17 + 5 ?", "<thinking> 17 + 5 = 12 . </thinking> <solution> 12 </solution>", "22")
BARE = Sample("17 + 5 ?", "22", "22")

LENGTH = "def reward(prompt, completion, answer):\n    return len(completion) / 100\n"
FRAGILE = "def reward(prompt, completion, answer):\n    return float(completion.split('=')[1].split()[0])\n"
BATCH = "def length(completions, **kwargs):\n    return [float(len(text)) for text in completions]\n"


def ensemble(*members: Member, **fields: object) -> Ensemble:
    return Ensemble.model_validate({"name": "e", "members": members, **fields})


def test_base_rewards_and_sandboxed_members_are_added_up() -> None:
    base = [Member(name=name) for name in BASE_REWARDS]
    with EnsembleScorer(ensemble(*base, Member(name="length", code=LENGTH, weight=-2.0))) as scorer:
        scores = scorer.score([RIGHT, WRONG, BARE])
    assert list(scores.components) == [*BASE_REWARDS, "length"]
    assert scores.components["answer_check"] == [3.0, -1.5, 0.0]
    assert scores.components["length"] == [len(item.completion) / 100 for item in (RIGHT, WRONG, BARE)]
    assert scores.totals[0] == pytest.approx(3.0 + 2.0 + 3.0 - 2 * len(RIGHT.completion) / 100)
    assert scores.totals[2] == pytest.approx(-2.0 - 2 * 0.02)
    assert scores.errors == {}


def test_a_failing_member_leaves_the_sample_unscored_and_is_counted() -> None:
    with EnsembleScorer(ensemble(Member(name="answer_check"), Member(name="fragile", code=FRAGILE))) as scorer:
        scores = scorer.score([RIGHT, BARE, WRONG])
        assert scores.components["fragile"] == [22.0, None, 12.0]
        assert scores.components["answer_check"] == [3.0, 0.0, -1.5]
        assert scores.totals == [25.0, None, 10.5]
        assert "IndexError" in scores.errors["fragile"][0]
        scorer.score([BARE])
        counts = scorer.counts["fragile"]
        assert (counts.calls, counts.failures) == (4, 2)
        assert scorer.counts["answer_check"].failures == 0


def test_the_ensembles_members_run_in_processes_of_their_own() -> None:
    """Each worker has its own module state, so members that share a name of a variable do not meet."""
    counting = "seen = []\ndef reward(prompt, completion, answer):\n    seen.append(1)\n    return float(len(seen))\n"
    members = [Member(name=f"m{place}", code=counting) for place in range(3)]
    with EnsembleScorer(ensemble(*members), SandboxSettings(mode="default")) as scorer:
        scores = scorer.score([RIGHT, WRONG])
    assert all(row == [1.0, 2.0] for row in scores.components.values())
    assert "seen" not in globals()


def test_a_hanging_member_does_not_take_the_others_along() -> None:
    hanging = "def reward(prompt, completion, answer):\n    while completion:\n        pass\n    return 0.0\n"
    limits = SandboxSettings(batch_seconds=0.5, retry_factor=0)
    with EnsembleScorer(
        ensemble(Member(name="hangs", code=hanging), Member(name="length", code=LENGTH)), limits
    ) as scorer:
        scores = scorer.score([RIGHT])
        assert scores.components["hangs"] == [None]
        assert "killed" in scores.errors["hangs"][0]
        assert scores.components["length"] != [None]
        assert scores.totals == [None]


def test_batch_functions_are_members_too() -> None:
    with EnsembleScorer(ensemble(Member(name="length", code=BATCH))) as scorer:
        assert scorer.score([RIGHT, BARE]).totals == [float(len(RIGHT.completion)), 2.0]


def test_group_normalised_needs_groups() -> None:
    grouped = ensemble(Member(name="answer_check"), aggregation="group_normalised")
    with EnsembleScorer(grouped) as scorer:
        with pytest.raises(ValueError, match="group"):
            scorer.score([RIGHT, WRONG])
        first, second = scorer.score([RIGHT, WRONG], groups=["q", "q"]).totals
    assert first is not None
    assert first == pytest.approx(-second if second is not None else None)
    assert first == pytest.approx(2.25 / (4.5 / 2**0.5 + 1e-4))


def test_no_samples_no_scores() -> None:
    with EnsembleScorer(ensemble(Member(name="answer_check"))) as scorer:
        scores = scorer.score([])
    assert scores.totals == []
    assert scores.components == {"answer_check": []}


def test_code_that_is_no_reward_is_refused_by_name_of_what_is_missing() -> None:
    with pytest.raises(UserError, match="define `def reward"):
        EnsembleScorer(ensemble(Member(name="nothing", code="x = 1")))


def test_the_same_numbers_as_calling_the_base_rewards_oneself() -> None:
    with EnsembleScorer(ensemble(*[Member(name=name) for name in BASE_REWARDS])) as scorer:
        (total,) = scorer.score([WRONG]).totals
    assert total == sum(reward(WRONG.prompt, WRONG.completion, WRONG.answer) for reward in base_rewards().values())
    assert base_rewards()["answer_check"](WRONG.prompt, WRONG.completion, WRONG.answer) == -1.5


def test_closing_ends_the_workers() -> None:
    scorer = EnsembleScorer(ensemble(Member(name="length", code=LENGTH)))
    scorer.score([RIGHT])
    (worker,) = scorer._scorers.values()
    pid = worker.pid  # type: ignore[attr-defined]
    scorer.close()
    with pytest.raises(OSError, match=r"."):
        os.kill(pid, 0)


def test_a_member_that_sees_groups_stands_beside_others() -> None:
    members = (
        Member(name="answer_check"),
        Member(name="shorter", code=SHORTER, weight=2.0),
        Member(name="l", code=LENGTH),
    )
    mixed = ensemble(*members)
    assert mixed.seeing_groups == ("shorter",)
    with EnsembleScorer(mixed) as scorer:
        scores = scorer.score([RIGHT, BARE, WRONG, BARE], ["a", "a", "b", "b"])
        with pytest.raises(ValueError, match="'shorter' sees whole groups: give the group of every completion"):
            scorer.score([RIGHT])
    assert scores.components["shorter"] == [0.0, 1 - 2 / len(RIGHT.completion), 0.0, 1 - 2 / len(WRONG.completion)]
    assert scores.components["answer_check"] == [3.0, 0.0, -1.5, 0.0]
    assert scores.totals[1] == pytest.approx(2 * (1 - 2 / len(RIGHT.completion)) + 0.02)
    with pytest.raises(ValueError, match="give the group"):
        mixed("17 + 5 ?", "22", "22")
