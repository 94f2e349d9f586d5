"""Which ensembles and controls are formed from the scored candidates."""

from __future__ import annotations

import pytest

from search.config.models import SearchConfig
from search.config.source import parse_config
from search.finals.ensembles import choose_ensembles, draw_controls
from search.ledger import Candidate, Finalist
from tests.search.searches import reward_code, small_config

PAPER = ["top-3", "top-5", "top-7", "top-10", "correctness-family", "diverse-rounds"]


def candidates(count: int, rounds: int = 5) -> list[Candidate]:
    """Best first; the rounds take turns, and every third is of the correctness family."""
    families = ("reflection", "format", "correctness")
    return [
        Candidate(
            f"c{k}", k % rounds + 1, k // rounds, f"id{k}", reward_code(k), "test", "", families[k % 3], parents=()
        )
        for k in range(count)
    ]


def config(**finals: object) -> SearchConfig:
    return parse_config(small_config(finals={"ensembles": PAPER, **finals}))


def chosen(count: int, **finals: object) -> dict[str, Finalist]:
    return {item.name: item for item in choose_ensembles(config(**finals), candidates(count), tuple)}


def test_the_papers_ensembles() -> None:
    found = chosen(20)
    assert list(found) == [*PAPER, "base-rewards-only"]
    assert found["top-7"].candidates == tuple(f"c{k}" for k in range(7))
    assert found["correctness-family"].candidates == ("c2", "c5", "c8", "c11", "c14")
    assert found["diverse-rounds"].candidates == ("c0", "c1", "c2", "c3", "c4")
    assert found["diverse-rounds"].same_as == "top-5"
    assert {item.kind for item in found.values() if item.candidates} == {"selected"}
    assert found["base-rewards-only"].kind == "control"


def test_base_rewards_are_members_of_every_ensemble() -> None:
    for item in chosen(20).values():
        members = [member.name for member in item.ensemble.members]
        assert members == ["format_exact", "format_approximate", "answer_check", *item.candidates]
        assert [member.code is None for member in item.ensemble.members[:3]] == [True] * 3
        assert {member.weight for member in item.ensemble.members} == {1.0}


def test_only_what_the_candidates_allow() -> None:
    assert list(chosen(4)) == ["top-3", "diverse-rounds", "base-rewards-only"]
    assert list(chosen(1)) == ["top-1", "base-rewards-only"]
    assert list(chosen(0, base_only=False)) == ["base-rewards-only"]


def test_other_steps_are_listed_apart_and_not_the_same() -> None:
    found = chosen(20, other_steps=300)
    apart = found["top-5-at-300-steps"]
    assert apart.steps == 300
    assert apart.same_as is None
    assert apart.listed_apart == "trained for 300 steps, the others for 5"


@pytest.mark.parametrize("size", [3, 5])
def test_random_draws(size: int) -> None:
    pool = candidates(20)
    earlier = choose_ensembles(config(), pool, tuple)
    settings = config(random_controls={"first_round": 2, "pool": 5})
    draws = draw_controls(settings, size, pool, earlier, tuple)
    first = {candidate.name for candidate in pool if candidate.round == 1}
    expected_first = 0 if size > len(first) else 2
    assert [item.name for item in draws] == [
        *(f"random-first-round-{k + 1}" for k in range(expected_first)),
        *(f"random-pool-{k + 1}" for k in range(5)),
    ]
    sets = [frozenset(item.candidates) for item in draws]
    assert len(set(sets)) == len(sets)
    assert {len(members) for members in sets} == {size}
    assert not set(sets) & {frozenset(item.candidates) for item in earlier}
    for item in draws:
        assert item.kind == "control"
        if "first-round" in item.name:
            assert set(item.candidates) <= first
    assert draws == draw_controls(settings, size, pool, earlier, tuple)


def test_draws_end_where_the_sets_do() -> None:
    pool = candidates(4, rounds=2)
    earlier = choose_ensembles(config(ensembles=["top-3"]), pool, tuple)
    draws = draw_controls(config(random_controls={"first_round": 3, "pool": 9}), 3, pool, earlier, tuple)
    assert len(draws) == 3  # of the four sets of three, one is the winner's
    assert not draw_controls(config(), 0, pool, earlier, tuple)


def test_draws_are_uniform() -> None:
    pool = candidates(6, rounds=1)
    counts = dict.fromkeys((candidate.name for candidate in pool), 0)
    for seed in range(400):
        settings = parse_config(small_config(seed=seed, finals={"random_controls": {"first_round": 0, "pool": 1}}))
        (draw,) = draw_controls(settings, 2, pool, (), tuple)
        for name in draw.candidates:
            counts[name] += 1
    # Binomial(400, 1/3): mean 133, standard deviation 9.4.
    assert all(95 < count < 171 for count in counts.values())
