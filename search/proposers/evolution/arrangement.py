"""Random arrangements of rewards as sets: weights, schedules, and the base rewards that they replace."""

from __future__ import annotations

from collections.abc import Sequence

from eval.tasks.testbed.draws import Draws
from rewards_generated.ensemble import Member
from rewards_generated.reward_set import Proposes, RewardSet, read_set
from rewards_generated.schedule import Schedule

WEIGHTS = (0.25, 0.5, 1.0, 1.5)
ENDS = (0.0, 0.25, 0.5, 1.0, 1.5)
SHARES = (0.25, 0.5, 0.75)
REPLACED_SHARE = 0.25
"""Chance that a set replaces a base reward, and that it has a second reward."""


def arranged_set(code: str, others: Sequence[str], base: Sequence[str], draws: Draws) -> RewardSet:
    """A set of the code and, now and then, one of the others. Half of the weights are constant. Of the base rewards the
    last, which in the usual order judges the answer, is never replaced."""
    codes = [code]
    if others and draws.chance(REPLACED_SHARE):
        codes.append(draws.choice(others))
    replaces = (draws.choice(base[:-1]),) if len(base) > 1 and draws.chance(REPLACED_SHARE) else ()
    rewards = [_member(f"part_{place}", text, draws) for place, text in enumerate(codes, start=1)]
    return RewardSet(replaces=replaces, rewards=tuple(rewards))


def codes_of(text: str, kind: Proposes) -> list[str]:
    """Of the rewards of a candidate."""
    return [text] if kind == "reward" else [reward.code or "" for reward in read_set(text).rewards]


def described(arranged: RewardSet) -> str:
    """Weights and what is replaced, in words."""
    weights = "; ".join(f"weight {reward.weight_words}" for reward in arranged.rewards)
    return weights + (f"; replaces {', '.join(arranged.replaces)}" if arranged.replaces else "")


def _member(name: str, code: str, draws: Draws) -> Member:
    weight = draws.choice(WEIGHTS)
    kind = draws.weighted({"constant": 2, "linear": 1, "switch": 1})
    if kind == "constant":
        return Member(name=name, code=code, weight=weight)
    to = draws.choice([end for end in ENDS if end != weight])
    at = draws.choice(SHARES) if kind == "switch" else None
    schedule = Schedule(kind="linear" if at is None else "switch", to=to, at=at)
    return Member(name=name, code=code, weight=weight, schedule=schedule)
