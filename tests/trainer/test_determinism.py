"""Seeds and the order of prompts."""

from __future__ import annotations

from trainer.determinism import derived_seed, prompt_order


def test_order_depends_on_the_seed_alone_and_shows_every_item_once_per_epoch() -> None:
    items = list(range(10))
    order = prompt_order(items, 25, seed=3)
    assert order == prompt_order(items, 25, seed=3)
    assert order != prompt_order(items, 25, seed=4)
    assert sorted(order[:10]) == sorted(order[10:20]) == items
    assert order[:10] != order[10:20] != items


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    assert prompt_order(range(10), 25, seed=3)[:7] == prompt_order(range(10), 7, seed=3)


def test_streams_have_seeds_of_their_own() -> None:
    seeds = {derived_seed(1, "rollouts", step) for step in range(100)} | {derived_seed(2, "rollouts", 0)}
    assert len(seeds) == 101
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_the_first_bits_of_the_digest():
    import hashlib

    for seed, purpose in ((0, ("screening", 0)), (7, ("prompts", 3)), (123, ("base rollouts",))):
        digest = hashlib.sha256("/".join(map(str, (seed, *purpose))).encode()).digest()
        assert derived_seed(seed, *purpose) == int.from_bytes(digest[:8], "big") >> 1
        assert derived_seed(seed, *purpose, bits=31) == int.from_bytes(digest[:4], "big") >> 1
