"""Which responses go on: always as many, fairly, and by the seed alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from trainer.multilayer.algorithm import Multilayer
from trainer.multilayer.selection import Place, Response, select


def groups(*rights: str) -> list[list[Response]]:
    """One group per text, whose characters say which responses are right (1) or wrong (0); the rewards give 2 for a
    right one, -1 for a wrong one, and `?` is wrong and could not be scored."""
    return [
        [
            Response(
                ({"role": "user", "content": f"q{question}"},),
                f"q{question}",
                f"{question}-{place}",
                "7",
                c == "1",
                None if c == "?" else 2.0 if c == "1" else -1.0,
            )
            for place, c in enumerate(right)
        ]
        for question, right in enumerate(rights)
    ]


def selected(rights: list[str], count: int, seed: int = 0, **settings: Any) -> list[Place]:
    places = select(groups(*rights), Multilayer(**settings), count, seed)
    assert len(places) == len(rights) * count, "the batch has one size"
    return places


def texts(places: list[Place]) -> list[str]:
    return [place.response.text for place in places]


def test_all_responses_go_on_in_their_order() -> None:
    assert texts(selected(["010", "111"], 3)) == ["0-0", "0-1", "0-2", "1-0", "1-1", "1-2"]


@pytest.mark.parametrize("count", [1, 2, 5, 7])
def test_each_select_once_before_any_select_again(count: int) -> None:
    for seed in range(20):
        places = selected(["0101", "1110"], count, seed)
        for question in (0, 1):
            own = Counter(texts(places[question * count :][:count]))
            assert set(own) <= {f"{question}-{place}" for place in range(4)}
            assert max(own.values()) - min(own.get(f"{question}-{place}", 0) for place in range(4)) <= 1


def test_over_seeds_every_response_has_the_same_chance() -> None:
    seen = Counter(text for seed in range(2000) for text in texts(selected(["0101"], 1, seed)))
    assert all(440 < seen[f"0-{place}"] < 560 for place in range(4))


def test_wrong_ones_alone_and_a_question_without_any_leaves_its_place() -> None:
    taken: Counter[str] = Counter()
    for seed in range(300):
        places = selected(["1111", "0111", "1100"], 2, seed, select="wrong")
        assert not any(place.response.correct for place in places)
        assert all(place.qualified for place in places)
        assert [place.response.question for place in places[2:]] == ["q1", "q1", "q2", "q2"]
        assert places[0].response.question == places[1].response.question
        taken[places[0].response.question] += 1
    assert set(taken) == {"q1", "q2"}
    assert 110 < taken["q1"] < 190


def test_places_of_several_questions_go_to_all_others_before_any_has_two() -> None:
    for seed in range(30):
        places = selected(["11", "11", "11", "01", "10"], 1, seed, select="wrong")
        deputies = Counter(place.response.question for place in places[:3])
        assert set(deputies) == {"q3", "q4"}
        assert sorted(deputies.values()) == [1, 2]


def test_where_nothing_qualifies_the_batch_is_filled_and_marked() -> None:
    places = selected(["111", "111"], 2, select="wrong")
    assert not any(place.qualified for place in places)
    assert [place.response.question for place in places] == ["q0", "q0", "q1", "q1"]


@pytest.mark.parametrize(("count", "wrong"), [(1, [1, 0, 1]), (2, [1, 1, 1]), (3, [2, 1, 2]), (4, [2, 2, 2])])
def test_mixed_takes_both_kinds_in_equal_parts(count: int, wrong: list[int]) -> None:
    places = selected(["0011", "0111", "0001"], count, select="mixed")
    found = [
        sum(not place.response.correct for place in places[start : start + count]) for start in (0, count, 2 * count)
    ]
    assert found == wrong
    one_kind = selected(["1111", "0000"], count, select="mixed")
    assert [place.response.correct for place in one_kind] == [True] * count + [False] * count


def test_the_best_is_the_one_with_the_highest_total_and_equals_have_the_same_chance() -> None:
    seen: Counter[str] = Counter()
    for seed in range(900):
        places = selected(["0010", "0111"], 1, seed, select="best")
        assert texts(places)[0] == "0-2"
        assert all(place.qualified for place in places)
        seen[texts(places)[1]] += 1
    assert set(seen) == {"1-1", "1-2", "1-3"}
    assert all(240 < count < 360 for count in seen.values())


def test_several_places_go_to_the_best_in_their_order() -> None:
    for seed in range(20):
        two = texts(selected(["0100"], 2, seed, select="best"))
        assert two[0] == "0-1"
        assert two[1] in {"0-0", "0-2", "0-3"}
        again = texts(selected(["1?0?"], 3, seed, select="best"))
        assert again == ["0-0", "0-2", "0-0"], "what could not be scored never goes on"


def test_a_question_without_a_score_leaves_its_place_and_without_any_nothing_qualifies() -> None:
    assert texts(selected(["??", "01"], 1, select="best")) == ["1-1", "1-1"]
    assert not any(place.qualified for place in selected(["??", "??"], 1, select="best"))


def test_one_best_response_goes_on_unless_more_are_asked_for() -> None:
    assert Multilayer(select="best").places(4) == 1
    assert Multilayer(select="best", responses=2).places(4) == 2
    assert Multilayer().places(4) == 4


def test_the_control_shows_only_what_belongs_to_another_question() -> None:
    shown = Counter()
    for seed in range(200):
        for place in selected(["01", "10", "11"], 2, seed, control="random_response"):
            assert not place.shown.startswith(place.response.question[1:])
            shown[place.shown] += 1
    assert len(shown) == 6
    honest, control = (selected(["01", "10"], 1, 5, control=control) for control in ("none", "random_response"))
    assert texts(honest) == texts(control), "the same responses are drawn; only what is shown differs"


def test_the_seed_decides_everything() -> None:
    settings = {"select": "mixed", "control": "random_response"}
    assert selected(["0011", "0111"], 3, 4, **settings) == selected(["0011", "0111"], 3, 4, **settings)
    assert selected(["0011", "0111"], 3, 4, **settings) != selected(["0011", "0111"], 3, 5, **settings)
