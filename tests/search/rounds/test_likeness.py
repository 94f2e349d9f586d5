from __future__ import annotations

from search.ledger import Candidate
from search.rounds.likeness import alike


def candidate(name: str, *parents: str) -> Candidate:
    return Candidate(name, 1, 0, f"identity of {name}", "", "test", "", "other", parents)


def test_ranks_on_base_rollouts_say_who_is_alike() -> None:
    scores: dict[str, list[float | None]] = {
        "plain": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
        "squared": [0.0, 1.0, 4.0, 9.0, 16.0, 25.0],
        "opposite": [5.0, 4.0, 3.0, 2.0, 1.0, 0.0],
        "other": [3.0, 0.0, 5.0, 1.0, 4.0, 2.0],
        "failing": [0.0, 1.0, 2.0, None, 4.0, 5.0],
        "constant": [1.0] * 6,
    }
    found = alike([candidate(name) for name in scores], scores)
    assert found["plain"] == {"squared", "opposite", "failing"}
    assert found["other"] == found["constant"] == frozenset()


def test_without_scores_parents_do() -> None:
    family = [candidate("mother"), candidate("child", "identity of mother", "unknown"), candidate("stranger")]
    found = alike(family, {})
    assert found["mother"] == {"child"}
    assert found["child"] == {"mother"}
    assert not found["stranger"]
    measured: dict[str, list[float | None]] = {"mother": [0.0, 1.0, 2.0, 3.0], "child": [1.0, 0.0, 3.0, 1.0]}
    assert alike(family, measured)["child"] == frozenset()
