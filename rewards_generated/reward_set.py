"""A small set of rewards that is proposed as one: each with a weight, maybe a schedule of it, and what it replaces.

Its text is TOML: `replaces`, a list of base rewards that are left out, and per reward a table `[[rewards]]` with
`name`, `weight`, maybe `schedule` (see `rewards_generated.schedule`), and `code`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from rewards_generated.base import BASE_REWARDS
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.identity import CodeUnreadable, identity
from rewards_generated.validation import mistake

Proposes = Literal["reward", "reward_set"]
"""What a candidate is: the code of one reward, or the text of a set."""
MOST_REWARDS = 3


class RewardSet(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    replaces: tuple[str, ...] = ()
    """Base rewards that are left out of the total."""
    rewards: tuple[Member, ...]
    """With code; their names are told apart within the set."""

    @model_validator(mode="after")
    def _check(self) -> RewardSet:
        if not 1 <= len(self.rewards) <= MOST_REWARDS:
            raise UserError(f"the set has {len(self.rewards)} rewards; it may have one to {MOST_REWARDS}")
        for name in self.replaces:
            if name not in BASE_REWARDS:
                raise UserError(f"`replaces` names {name!r}; choose from {', '.join(BASE_REWARDS)}")
        for reward in self.rewards:
            if reward.code is None:
                raise UserError(f"reward {reward.name!r} has no code; only `replaces` names base rewards")
            if reward.weight == 0 and reward.schedule is None:
                raise UserError(f"the weight of reward {reward.name!r} is 0, so it does nothing; leave it out")
        for several in ([reward.name for reward in self.rewards], list(self.replaces)):
            for name in several:
                if several.count(name) > 1:
                    raise UserError(f"the set names {name!r} twice; name it once")
        return self

    def require_replaceable(self, base: Sequence[str]) -> None:
        """Raises UserError if it replaces a base reward that is not among these."""
        for name in self.replaces:
            if name not in base:
                raise UserError(
                    f"`replaces` names {name!r}, which this search does not use; choose from {', '.join(base)}"
                )

    def members(self, name: str) -> tuple[Member, ...]:
        """As parts of an ensemble, for a set of that name; a reward alone has the name of the set."""
        if len(self.rewards) == 1:
            return (self.rewards[0].model_copy(update={"name": name}),)
        return tuple(item.model_copy(update={"name": f"{name}.{item.name}"}) for item in self.rewards)

    @property
    def identity(self) -> str:
        """SHA-256 over the rewards' identities, weights and schedules, and what is replaced. Names, order and layout do
        not matter. Raises UserError for code that is not Python."""
        parts = [Ensemble(name="set", members=self.rewards).identity, sorted(self.replaces)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def arrangement(self) -> tuple[tuple[str, str], ...]:
        """Weights and schedules, sorted, where there is a schedule: what scores on rollouts cannot tell apart."""
        if not any(reward.schedule for reward in self.rewards):
            return ()
        schedules = [
            (item.weight.hex(), item.schedule.model_dump_json() if item.schedule else "") for item in self.rewards
        ]
        return tuple(sorted(schedules))

    def text(self) -> str:
        """TOML that `read_set` takes, with the code as it stands wherever TOML can hold it so."""
        lines = [f"replaces = {json.dumps(list(self.replaces))}"] if self.replaces else []
        for item in self.rewards:
            lines += ["", "[[rewards]]", f"name = {_quoted(item.name)}", f"weight = {item.weight!r}"]
            if item.schedule is not None:
                fields = item.schedule.model_dump(exclude_none=True)
                lines.append(
                    f"schedule = {{ {', '.join(f'{key} = {_value(value)}' for key, value in fields.items())} }}"
                )
            lines.append(f"code = {_multiline(item.code or '')}")
        return "\n".join(lines).strip() + "\n"


@lru_cache(maxsize=4096)
def read_set(text: str) -> RewardSet:
    """Raises UserError, in one sentence, for text that is no set."""
    try:
        return RewardSet.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"the set is not valid TOML: {error}") from None
    except ValidationError as error:
        raise UserError(mistake(error, RewardSet, owner="the set")) from None


def candidate_identity(text: str, kind: Proposes) -> str | None:
    """Of the code of a reward, or the text of a set; None where the code is not Python. Raises UserError for text that
    is no set."""
    try:
        return identity(text) if kind == "reward" else read_set(text).identity
    except CodeUnreadable:
        return None


def _value(value: object) -> str:
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str, multiline: bool = False) -> str:
    import tomli_w

    return tomli_w.dumps({"k": text}, multiline_strings=multiline).removeprefix("k = ").rstrip("\n")


def _multiline(code: str) -> str:
    plain = "'''" not in code and all(character.isprintable() or character in "\n\t" for character in code)
    return f"'''\n{code}'''" if plain and not code.endswith("'") else _quoted(code, multiline=True)
