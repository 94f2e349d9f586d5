"""Successive halving: who goes on, what it saves, and that what is unscored never does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from pydantic import ValidationError

from rewards_generated.errors import UserError
from search.config.halving import Halving

FINAL = {f"c{k}": float(k) for k in range(16)}


def halved(
    halving: Halving, candidates: Sequence[str], scores: Callable[[int, Sequence[str]], Mapping[str, float | None]]
) -> dict[str, int | None]:
    """Candidate -> the rung at which it is stopped, None for those that train to the end."""
    stopped: dict[str, int | None] = dict.fromkeys(candidates)
    going = tuple(candidates)
    for rung in halving.rungs:
        found = scores(rung, going)
        kept = halving.survivors({name: found[name] for name in going})
        stopped.update((name, rung) for name in going if name not in kept)
        going = tuple(name for name in going if name in kept)
    return stopped


def steady(rung: int, names: Sequence[str]) -> Mapping[str, float | None]:
    """The order never changes."""
    return {name: FINAL[name] * rung for name in names}


def test_the_best_go_on_and_the_others_keep_their_rung() -> None:
    stopped = halved(Halving(rungs=(5, 10, 20)), list(FINAL), steady)
    assert [name for name, rung in stopped.items() if rung == 5] == [f"c{k}" for k in range(8)]
    assert [name for name, rung in stopped.items() if rung == 10] == [f"c{k}" for k in range(8, 12)]
    assert [name for name, rung in stopped.items() if rung == 20] == ["c12", "c13"]
    assert [name for name, rung in stopped.items() if rung is None] == ["c14", "c15"]


def test_only_those_that_reached_a_rung_are_scored_there() -> None:
    asked: list[tuple[int, int]] = []

    def scores(rung: int, names: Sequence[str]) -> Mapping[str, float | None]:
        asked.append((rung, len(names)))
        return steady(rung, names)

    halved(Halving(rungs=(5, 10, 20)), list(FINAL), scores)
    assert asked == [(5, 16), (10, 8), (20, 4)]


def test_a_late_bloomer_is_lost() -> None:
    """What halving costs: the best at the end, if it is among the worse half at the first rung."""

    def scores(rung: int, names: Sequence[str]) -> Mapping[str, float | None]:
        return {name: -1.0 if name == "c15" and rung < 10 else FINAL[name] for name in names}

    assert halved(Halving(rungs=(5,)), list(FINAL), scores)["c15"] == 5
    assert halved(Halving(rungs=(10,)), list(FINAL), scores)["c15"] is None


@pytest.mark.parametrize(
    ("count", "kept", "expected"), [(16, 0.5, 8), (10, 0.3, 3), (9, 1 / 3, 3), (10, 0.25, 2), (3, 0.25, 1), (1, 0.5, 1)]
)
def test_the_floor_of_the_fraction_goes_on_and_at_least_one(count: int, kept: float, expected: int) -> None:
    scores = {f"c{k}": float(k) for k in range(count)}
    assert len(Halving(rungs=(5,), kept=kept).survivors(scores)) == expected


def test_of_equal_scores_the_earlier_goes_on() -> None:
    assert Halving(rungs=(5,)).survivors({"b": 0.4, "a": 0.4, "d": 0.4, "c": 0.5}) == ("c", "b")


def test_what_is_unscored_never_goes_on() -> None:
    half = Halving(rungs=(5,))
    assert half.survivors({"a": None, "b": 0.0, "c": None, "d": -3.0}) == ("b", "d")
    assert half.survivors({"a": None, "b": 0.1, "c": None, "d": None}) == ("b",)
    assert half.survivors({"a": None, "b": None}) == ()
    assert half.survivors({}) == ()


def test_the_steps_are_those_that_a_run_takes() -> None:
    halving = Halving(rungs=(5, 10, 20))
    stopped = halved(halving, list(FINAL), steady)
    spent = sum(40 if rung is None else rung for rung in stopped.values())
    assert halving.step_share(16, 40) == pytest.approx(spent / (16 * 40))
    assert halving.candidates_at(16) == (16, 8, 4, 2)
    # Hyperband's bracket of eta = 3 with 81 configurations (Li et al. 2018, table 1, s = 4): 81, 27, 9, 3, 1.
    assert Halving(rungs=(1, 3, 9, 27), kept=1 / 3).candidates_at(81) == (81, 27, 9, 3, 1)


def test_without_rungs_all_train_to_the_end() -> None:
    off = Halving()
    off.require_below(1)
    assert halved(off, list(FINAL), steady) == dict.fromkeys(FINAL)
    assert (off.candidates_at(16), off.step_share(16, 40)) == ((16,), 1.0)


@pytest.mark.parametrize("rungs", [(0, 5), (5, 5), (10, 5), (-1,)])
def test_rungs_that_do_not_rise_are_refused(rungs: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="rising order"):
        Halving(rungs=rungs)


def test_a_rung_that_saves_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"rung 40 .* 40 steps"):
        Halving(rungs=(10, 40)).require_below(40)
    for kept in (0.0, 1.0):
        with pytest.raises(ValidationError):
            Halving(rungs=(10,), kept=kept)
