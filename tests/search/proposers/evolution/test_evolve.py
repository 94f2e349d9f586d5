from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from rewards_generated.contract import sees_groups
from rewards_generated.gate import static_check
from rewards_generated.identity import identity
from rewards_generated.library import load_library
from rewards_generated.reward_set import read_set
from search.proposers.base import Feedback, Proposal, ProposalRequest, RankedCandidate
from search.proposers.evolution.evolve import EvolveProposer, EvolveSettings
from search.proposers.evolution.syntax import undefined_names
from tests.rewards_generated.group_rewards import SHORTER
from tests.search.proposers.examples import code, ranked, request

LIBRARY = {item.name: item for item in load_library()}
RANKED = tuple(
    ranked(name, LIBRARY[name].code, f1=0.9 - place / 50, family=LIBRARY[name].family)
    for place, name in enumerate(sorted(LIBRARY)[:12])
)


SIMPLE = tuple(ranked(f"simple_{place}", code(place + 2.0, f"word{place}"), f1=0.9 - place / 50) for place in range(12))
"""Parents that are quick to change, where only the choice among them matters."""


def proposals(asked: ProposalRequest, **settings: float) -> tuple[Proposal, ...]:
    batch = EvolveProposer(EvolveSettings.model_validate(settings)).propose(asked)
    assert batch.unusable == ()
    return batch.proposals


def later(seed: int = 1, **changes: object) -> ProposalRequest:
    plain = request(
        round=2,
        count=10,
        reflection_minimum=3,
        seed=seed,
        feedback=Feedback("ranked", RANKED),
        known_identities=frozenset(item.identity for item in RANKED),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def first(seed: int, count: int = 10, reflection_minimum: int = 0) -> ProposalRequest:
    return request(count=count, reflection_minimum=reflection_minimum, seed=seed)


def test_round_one_draws_from_the_library_without_repeating() -> None:
    drawn = proposals(first(3))
    assert {item.origin for item in drawn} == {"library"}
    assert len({item.name for item in drawn}) == 10
    for item in drawn:
        assert item.code == LIBRARY[item.name].code
        assert item.parents == ()


def test_round_one_draws_uniformly_controls_too() -> None:
    """Chi-square over 350 draws of 35 rewards: the 99.9 % point of 34 degrees of freedom is 65.2."""
    seen = Counter(item.name for seed in range(70) for item in proposals(first(seed, count=5)))
    expected = 350 / len(LIBRARY)
    assert sum((seen[name] - expected) ** 2 / expected for name in LIBRARY) < 65.2
    controls = [name for name, item in LIBRARY.items() if item.role == "control"]
    assert all(seen[name] for name in controls)


def test_a_library_that_is_used_up_goes_on_with_mutations() -> None:
    many = proposals(first(5, count=len(LIBRARY) + 5))
    assert Counter(item.origin for item in many) == {"library": len(LIBRARY), "mutation": 5}


@pytest.mark.parametrize("seed", range(6))
def test_offspring_are_valid_distinct_new_and_readable(seed: int) -> None:
    asked = later(seed)
    found = proposals(asked)
    assert len(found) == 10
    identities = [identity(item.code) for item in found]
    assert len({*identities, *asked.known_identities}) == 10 + len(RANKED)
    assert len({item.name for item in found} | {item.name for item in RANKED}) == 10 + len(RANKED)
    assert sum(item.family == "reflection" for item in found) >= 3
    known = {identity(item.code) for item in LIBRARY.values()}
    for item in found:
        assert undefined_names(item.code) == frozenset()
        assert all(check.passed for check in static_check(item.code)), item.code
        assert len(item.code) <= 8000
        assert len(item.name) <= 60
        assert item.name.isidentifier()
        assert item.description
        assert len(item.parents) == {"library": 0, "mutation": 1, "crossover": 2}[item.origin]
        assert set(item.parents) <= known


def test_the_same_request_gives_the_same_proposals_in_another_process() -> None:
    assert proposals(later(4, count=5)) == proposals(later(4, count=5)) != proposals(later(5, count=5))
    program = (
        "from tests.search.proposers.evolution.test_evolve import *\n"
        "print([identity(item.code)[:8] for item in proposals(later(4, count=5))])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "77"}
    )
    assert ended.stdout.strip() == str([identity(item.code)[:8] for item in proposals(later(4, count=5))])


def places(table: tuple[RankedCandidate, ...], **settings: float) -> Counter[str]:
    """How often each candidate of the table was a parent, over twelve rounds of ten."""
    names = {item.identity: item.name for item in table}
    counted: Counter[str] = Counter()
    for seed in range(12):
        asked = later(seed, feedback=Feedback("ranked", table), reflection_minimum=0)
        for item in proposals(asked, library_share=0.0, crossover_share=0.0, **settings):
            counted.update(names[parent] for parent in item.parents)
    assert sum(counted.values()) == 120
    return counted


def test_parents_are_chosen_by_rank() -> None:
    for table in (SIMPLE, SIMPLE[::-1]):
        counted = places(table)
        assert sum(counted[item.name] for item in table[:4]) > 60
        assert sum(counted[item.name] for item in table[8:]) < 20


def test_rank_decay_one_chooses_parents_uniformly() -> None:
    counted = places(SIMPLE, rank_decay=1.0)
    for third in range(3):
        assert 25 < sum(counted[item.name] for item in SIMPLE[4 * third : 4 * third + 4]) < 55


def test_a_shuffled_table_is_believed_like_a_true_one() -> None:
    assert proposals(later(2, count=5, feedback=Feedback("shuffled", RANKED))) == proposals(later(2, count=5))


def test_without_feedback_parents_come_uniformly_from_the_library() -> None:
    parents: Counter[str] = Counter()
    for seed in range(5):
        asked = later(seed, feedback=Feedback("none"), reflection_minimum=0)
        for item in proposals(asked, library_share=0.0, crossover_share=0.0):
            parents.update(item.parents)
    assert len(parents) > 18
    assert max(parents.values()) < 8


def test_shares_are_honoured() -> None:
    assert {item.origin for item in proposals(later(count=5), library_share=1.0)} == {"library"}
    assert {item.origin for item in proposals(later(count=5), library_share=0.0, crossover_share=1.0)} == {"crossover"}
    assert {item.origin for item in proposals(later(count=5), library_share=0.0, crossover_share=0.0)} == {"mutation"}


def test_names_do_not_grow_with_the_generations() -> None:
    table, known = RANKED, {item.identity for item in RANKED}
    for number in range(2, 7):
        feedback = Feedback("ranked", table)
        found = proposals(later(number, count=5, feedback=feedback, known_identities=frozenset(known)))
        known |= {identity(item.code) for item in found}
        table = tuple(ranked(item.name, item.code, family=item.family) for item in found)
        assert len(found) == 5
        assert max(len(item.name) for item in found) <= 60
        assert max(item.code.split('"""')[1].count("\n") for item in found) <= 12


def test_sets_are_arranged_at_random_and_parents_are_their_rewards() -> None:
    drawn = proposals(replace(first(3), proposes="reward_set", base_rewards=("format_exact", "answer_check")))
    found = [read_set(item.code) for item in drawn]
    rewards = [reward for one in found for reward in one.rewards]
    assert {bool(reward.schedule) for reward in rewards} == {True, False}
    assert len({reward.weight for reward in rewards}) > 2
    assert {len(one.rewards) for one in found} == {1, 2}
    assert {name for one in found for name in one.replaces} == {"format_exact"}
    again = proposals(replace(first(3), proposes="reward_set", base_rewards=("format_exact", "answer_check")))
    assert drawn == again
    parents = tuple(
        replace(ranked(item.name, LIBRARY["repair"].code), code=item.code, identity=read_set(item.code).identity)
        for item in drawn
    )
    asked = later(
        feedback=Feedback("ranked", parents),
        known_identities=frozenset(item.identity for item in parents),
        reflection_minimum=0,
        proposes="reward_set",
        base_rewards=("answer_check",),
    )
    children = proposals(asked, library_share=0.0)
    assert len(children) == 10
    assert {parent for child in children for parent in child.parents} <= {item.identity for item in parents}
    assert any(child.parents for child in children)
    identities = {read_set(child.code).identity for child in children}
    assert len(identities) == 10
    assert not identities & asked.known_identities
    assert all("weight" in child.description for child in children)


def test_rewards_of_whole_groups_are_no_parents() -> None:
    grouped = tuple(ranked(f"grouped_{place}", SHORTER.replace("1.0", f"1.{place}"), f1=0.99) for place in range(3))
    asked = later(feedback=Feedback("ranked", (*grouped, *SIMPLE)))
    found = proposals(asked, library_share=0.0)
    assert found
    assert not any(sees_groups(item.code) for item in found)
    assert not {parent for item in found for parent in item.parents} & {item.name for item in grouped}
    assert proposals(replace(asked, feedback=Feedback("ranked", grouped)))
