"""The choice among models: against plain counting, against the paper's algorithm, and in whole rounds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eval.tasks.testbed.draws import Draws
from rewards_generated.errors import UserError
from search.proposers.base import EarlierRound, Feedback, LanguageModelCall, ProposalBatch
from search.proposers.language_model.bandit import Arm, arms_of, choose
from search.proposers.language_model.proposer import LanguageModelProposer
from search.proposers.language_model.settings import LanguageModelSettings
from search.proposers.registry import build_proposer
from tests.search.proposers.examples import code, failed, ranked, request
from tests.search.proposers.language_model.test_exchanges import two_candidates
from tests.search.proposers.language_model.test_proposer import kept_in
from tests.search.proposers.openai_server import Failure, OpenAIServer, Step

CHEAP, DEAR = "openai/cheap", "openai/dear"


def call(model: str, cost: float | None = 0.01, tokens: int = 100) -> LanguageModelCall:
    return LanguageModelCall(model, "", "", prompt_tokens=tokens, cost_usd=cost)


def shares(arms: dict[int, Arm], cost_weight: float = 1.0, number: int = 4000) -> dict[int, float]:
    """How often each is taken."""
    counts = Counter(choose(arms, Draws(f"test {n}"), cost_weight) for n in range(number))
    return {key: counts[key] / number for key in arms}


@pytest.mark.parametrize("cost_weight", [0.0, 0.5, 1.0])
def test_an_arm_is_taken_as_often_as_its_ratio_is_the_largest(cost_weight: float) -> None:
    arms = {0: Arm(6, 4.5, 1.2), 1: Arm(10, 6.5, 9.0), 2: Arm(2, 0.5, 0.4)}
    generator = np.random.default_rng(0)
    reward, cost = (
        np.stack([generator.beta(1 + total, 1 + arm.trials - total, 200_000) for arm, total in pairs])
        for pairs in ([(a, a.reward) for a in arms.values()], [(a, a.cost) for a in arms.values()])
    )
    best = np.argmax(reward / cost**cost_weight, axis=0)
    for key, share in shares(arms, cost_weight).items():
        assert share == pytest.approx(float(np.mean(best == key)), abs=0.03)  # four standard errors


def test_what_is_unknown_is_tried_and_what_is_equal_is_taken_equally() -> None:
    assert shares({0: Arm(), 1: Arm()})[0] == pytest.approx(0.5, abs=0.03)
    known = {0: Arm(40, 24, 36), 1: Arm()}
    assert 0.2 < shares(known)[1] < 0.9
    assert choose(known, Draws("once")) == choose(known, Draws("once"))


REWARDS, COSTS, BUDGET = (0.35, 0.6, 0.7), (0.15, 0.35, 0.9), 120.0
"""Means per pull: the first arm earns most per cost, 2.3 to 1.7 and 0.8, and the third most per pull."""


def spend(choices: Any, generator: np.random.Generator) -> tuple[float, list[int]]:
    """Total reward until the budget is gone; rewards and costs are draws from Beta distributions with these means."""
    earned, left, pulls, arm = 0.0, BUDGET, [0, 0, 0], next(choices)
    while left > 0:
        reward = generator.beta(4 * REWARDS[arm], 4 * (1 - REWARDS[arm]))
        cost = generator.beta(4 * COSTS[arm], 4 * (1 - COSTS[arm]))
        earned, left, pulls[arm] = earned + reward, left - cost, pulls[arm] + 1
        arm = choices.send((reward, cost))
    return earned, pulls


def ours(seed: int) -> Any:
    arms = {k: Arm() for k in range(3)}
    for n in range(100_000):
        taken = choose(arms, Draws(f"{seed} {n}"))
        reward, cost = yield taken
        arm = arms[taken]
        arms[taken] = Arm(arm.trials + 1, arm.reward + reward, arm.cost + cost)


def papers(seed: int) -> Any:
    """Algorithm 2 of arXiv 1505.00146, word by word: successes and failures of rewards and of costs."""
    generator = np.random.default_rng(seed)
    counts = np.zeros((4, 3))
    while True:
        reward, cost = generator.beta(counts[0] + 1, counts[1] + 1), generator.beta(counts[2] + 1, counts[3] + 1)
        taken = int(np.argmax(reward / cost))
        for row, value in zip((0, 2), (yield taken), strict=True):
            counts[row + (generator.random() >= value), taken] += 1


def at_random(seed: int) -> Any:
    generator = np.random.default_rng(seed)
    while True:
        yield int(generator.integers(3))


def test_it_spends_a_budget_as_well_as_the_paper_s_algorithm_and_better_than_at_random() -> None:
    def mean(rule: Any) -> tuple[float, np.ndarray[Any, Any]]:
        runs = [spend(rule(seed), np.random.default_rng(1000 + seed)) for seed in range(12)]
        return float(np.mean([earned for earned, _ in runs])), np.mean([pulls for _, pulls in runs], axis=0)

    (earned, pulls), (of_paper, _), (chance, _) = mean(ours), mean(papers), mean(at_random)
    most = BUDGET * REWARDS[0] / COSTS[0]
    assert chance < 0.6 * most
    assert earned > 0.85 * most
    assert earned == pytest.approx(of_paper, rel=0.05)
    assert pulls.argmax() == 0


def earlier(*rounds: tuple[list[LanguageModelCall], dict[str, str]]) -> list[EarlierRound]:
    return [EarlierRound(calls, origins) for calls, origins in rounds]


def test_ranks_and_costs_become_sums_over_candidates() -> None:
    feedback = Feedback(
        "ranked",
        (ranked("a", code(1), 0.8), ranked("b", code(2), 0.6), ranked("c", code(3), 0.6), ranked("d", code(4), 0.2)),
        (failed("e", code(5), "rejected"),),
        stopped=(ranked("f", code(6), 0.9, stopped_after=10),),
    )
    rounds = earlier(
        ([call(DEAR, 0.6), call(CHEAP, 0.02)], {"a": DEAR, "b": DEAR, "c": CHEAP, "e": CHEAP}),
        ([call(DEAR, 0.3), call(CHEAP, 0.0), call(CHEAP, 0.02)], {"d": DEAR, "f": DEAR}),
    )
    dear, cheap, other = arms_of(request(feedback=feedback, earlier=rounds), [DEAR, CHEAP, "openai/other"])
    # Of five, best first: 0.9, twice the mean of 0.7 and 0.5, 0.3, and 0.1 for the one that was stopped.
    assert dear.trials == 4
    assert dear.reward == pytest.approx(0.9 + 0.6 + 0.3 + 0.1)
    assert dear.cost == pytest.approx(4.0), "the dearest per candidate"
    # Two candidates of the first round, one rejected, and two calls of the second that brought nothing.
    assert cheap.trials == 4
    assert cheap.reward == pytest.approx(0.6)
    assert cheap.cost == pytest.approx(4 * (0.04 / 4) / (0.9 / 4))
    assert other == Arm()


def test_costs_are_tokens_where_a_price_is_unknown_or_nothing_costs_anything() -> None:
    for unpriced in (None, 0.0):
        calls = [call(DEAR, 0.0 if unpriced == 0.0 else 0.5, 900), call(CHEAP, unpriced, 300)]
        asked = request(earlier=earlier((calls, {"a": DEAR, "b": CHEAP})), feedback=Feedback("none"))
        assert [arm.cost for arm in arms_of(asked, [DEAR, CHEAP])] == [pytest.approx(1.0), pytest.approx(1 / 3)]


def test_it_learns_no_more_from_results_than_the_prompt_tells() -> None:
    rounds = earlier(([call(DEAR), call(CHEAP)], {"a": DEAR, "b": CHEAP}))
    table = (ranked("a", code(1), 0.8), ranked("b", code(2), 0.2))

    def rewards(feedback: Feedback) -> list[float]:
        return [arm.reward for arm in arms_of(request(feedback=feedback, earlier=rounds), [DEAR, CHEAP])]

    assert rewards(Feedback("ranked", table)) == [0.75, 0.25]
    assert rewards(Feedback("shuffled", tuple(reversed(table)))) == [0.25, 0.75]
    assert rewards(Feedback("none", table)) == rewards(Feedback("none")) == [0.5, 0.5]


def asked_models(server: OpenAIServer) -> Counter[str]:
    return Counter(str(body["model"]) for body in server.requests)


def propose(script: Any, rounds: list[EarlierRound], **options: Any) -> tuple[ProposalBatch, OpenAIServer, list[Any]]:
    calls: list[LanguageModelCall] = []
    feedback = Feedback("ranked", (ranked("good", code(0.9), 0.8), ranked("bad", code(0.8), 0.2)))
    with OpenAIServer(script) as server:
        settings = {"models": [DEAR, CHEAP], "choice": "bandit", "retry_wait_seconds": 0.01, "max_tokens": 1000}
        settings |= {"candidates_per_call": 2, "parallel": 2, "api_base": server.url, "max_attempts": 1}
        proposer = build_proposer("litellm", settings | options)
        assert isinstance(proposer, LanguageModelProposer)
        changes = {"count": 12, "reflection_minimum": 0, "record_call": kept_in(calls), "earlier": rounds}
        batch = proposer.propose(replace(request(feedback=feedback), **changes))
    return batch, server, calls


def test_a_round_asks_the_model_that_has_done_better_and_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    many = {f"{name}-{n}": model for n in range(40) for name, model in (("good", CHEAP), ("bad", DEAR))}
    rounds = earlier(([call(CHEAP, 0.1), call(DEAR, 10.0)], {"good": CHEAP, "bad": DEAR, **many}))
    batch, server, calls = propose(two_candidates, rounds, cost_weight=0.5)
    assert asked_models(server)["cheap"] > asked_models(server)["dear"]
    again, second, _ = propose(two_candidates, rounds, cost_weight=0.5)
    assert again == batch
    assert asked_models(second) == asked_models(server)
    assert [item.model for item in calls].count(CHEAP) == asked_models(server)["cheap"]


def test_where_one_fails_another_is_asked() -> None:
    def script(body: dict[str, Any]) -> Step:
        return Failure(401) if body["model"] == "dear" else two_candidates(body)

    batch, _, calls = propose(script, [])
    assert len(batch.proposals) == 12
    assert {item.model for item in calls if item.reply} == {CHEAP}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"models": [DEAR], "choice": "bandit"}, "two or more models"),
        ({"models": [DEAR, {"model": CHEAP, "weight": 2}], "choice": "bandit"}, "leave out the models' weight"),
        ({"models": [DEAR, CHEAP], "cost_weight": 0.5}, "cost_weight has an effect with choice = 'bandit'"),
        ({"models": [DEAR, CHEAP], "choice": "ucb"}, "'weights' or 'bandit'"),
    ],
)
def test_options_without_effect_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        build_proposer("litellm", options)
    assert LanguageModelSettings(models=(DEAR, CHEAP)).choice == "weights"
