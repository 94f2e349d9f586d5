"""The rewards of arXiv 2603.14041 for this project's answer format, one file each, and how a pipeline names rewards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rewards_generated.answers import AnswerFormat
from rewards_generated.answers.in_format import WRITTEN_FOR, in_format
from rewards_generated.base import BASE_REWARDS
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError, nearest
from rewards_generated.hosts import read_reward
from rewards_generated.hosts.reading import ReadReward, is_file
from rewards_generated.library import library_codes


def own_codes(form: AnswerFormat = WRITTEN_FOR) -> dict[str, str]:
    """Name -> code of the rewards in this folder, in an answer format."""
    files = sorted(Path(__file__).parent.glob("[!_]*.py"))
    return {file.stem: in_format(file.read_text(encoding="utf-8"), form) for file in files}


def weighted_ensemble(name: str, weights: Mapping[str, float], form: AnswerFormat = WRITTEN_FOR) -> Ensemble:
    """The sum of the named rewards with their weights, in the answer format of the task.

    A name is one of this folder's, a base reward's, one of the library, or a file, `FILE.py` or `FILE.py:NAME`.
    Raises UserError for a name that is none of these, and for code that is not Python.
    """
    codes = {**library_codes(form), **own_codes(form)}
    members = []
    for reward, weight in weights.items():
        if reward in BASE_REWARDS and reward not in codes:
            members.append(Member(name=reward, weight=weight))
        elif is_file(reward):
            found = _read(reward)
            members.append(Member(name=found.name, code=found.code, weight=weight))
        elif reward in codes:
            members.append(Member(name=reward, code=codes[reward], weight=weight))
        else:
            known = nearest(reward, [*own_codes(), *BASE_REWARDS, *library_codes(form)])
            raise UserError(f"`grpo.rewards` names {reward!r}, which is no reward: {known} (a file's name ends in .py)")
    ensemble = Ensemble(name=name, members=tuple(members), answer_format=form)
    for member in ensemble.members:
        _ = member.identity  # raises for code that is not Python
    return ensemble


def _read(text: str) -> ReadReward:
    try:
        return read_reward(text)
    except UserError as error:
        raise UserError(f"`grpo.rewards` names {text!r}: {error}") from None
