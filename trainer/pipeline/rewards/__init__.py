"""The rewards of arXiv 2603.14041 for this project's answer format, one file each, and how a pipeline names rewards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rewards_generated.base import BASE_REWARDS
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError, nearest
from rewards_generated.library import library_codes


def own_codes() -> dict[str, str]:
    """Name -> code of the rewards in this folder."""
    files = sorted(Path(__file__).parent.glob("[!_]*.py"))
    return {file.stem: file.read_text(encoding="utf-8") for file in files}


def weighted_ensemble(name: str, weights: Mapping[str, float]) -> Ensemble:
    """The sum of the named rewards with their weights.

    A name is one of this folder's, a base reward's, one of the library, or the path of a file that ends in `.py`.
    Raises UserError for a name that is none of these, and for code that is not Python.
    """
    codes = {**library_codes(), **own_codes()}
    members = []
    for reward, weight in weights.items():
        if reward in BASE_REWARDS and reward not in codes:
            members.append(Member(name=reward, weight=weight))
        elif reward.endswith(".py"):
            members.append(Member(name=Path(reward).stem, code=_read(Path(reward)), weight=weight))
        elif reward in codes:
            members.append(Member(name=reward, code=codes[reward], weight=weight))
        else:
            known = nearest(reward, [*own_codes(), *BASE_REWARDS, *library_codes()])
            raise UserError(f"`grpo.rewards` names {reward!r}, which is no reward: {known} (a file's name ends in .py)")
    ensemble = Ensemble(name=name, members=tuple(members))
    for member in ensemble.members:
        _ = member.identity  # raises for code that is not Python
    return ensemble


def _read(path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"`grpo.rewards` names {str(path)!r}, which cannot be read: {error}") from None
