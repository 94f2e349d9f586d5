"""An ensemble of rewards as data: members, weights and an aggregation, never a closure."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from rewards_generated.answers import ANSWER_FORMATS, AnswerFormat, AnswerKind, AnswerRules, format_name, read_format
from rewards_generated.base import BASE_REWARDS
from rewards_generated.contract import defined_reward, sees_groups
from rewards_generated.errors import UserError
from rewards_generated.files import write_whole
from rewards_generated.identity import CodeUnreadable, identity
from rewards_generated.schedule import Schedule
from rewards_generated.validation import mistake

if TYPE_CHECKING:
    from rewards_generated.scorer import EnsembleScores

Aggregation = Literal["sum", "zscore", "group_normalised"]

SAVED = Path(__file__).parent / "ensembles"
"""Where ensembles lie that can be loaded by name, as `NAME.toml` or `NAME/ensemble.toml`."""

MOST_MEMBERS = 100
"""Every member with code is a process of its own where it is scored."""
LARGEST = 1e9
"""Of weights and frozen statistics. With the largest score of the sandbox no total comes near the largest float."""
LARGEST_FILE = 8 * 2**20
DEEPEST, MOST_KEYS = 8, 10_000
"""Of a TOML file: levels, and keys and items together."""

FOUND = "found"
"""Field of the TOML file, not of the ensemble: how it was found, for its card."""


class Member(BaseModel):
    """One reward of an ensemble. `code` is None for a trusted base reward, which is known by its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    code: str | None = None
    weight: float = 1.0
    """With a schedule that at the start of a run."""
    schedule: Schedule | None = None
    """How the weight changes over a run; None: it is constant."""
    mean: float | None = None
    """Mean over base-policy rollouts of the train split; needed by `zscore`, frozen when the ensemble is made."""
    std: float | None = None
    """Standard deviation over the same rollouts; needed by `zscore`."""

    @field_validator("code")
    @classmethod
    def _unix_lines(cls, code: str | None) -> str | None:
        """Line ends as Python itself reads them, so that code survives TOML, which knows no other."""
        return None if code is None else code.replace("\r\n", "\n")

    @model_validator(mode="after")
    def _check(self) -> Member:
        if not self.name.strip():
            raise UserError("an ensemble member has an empty name; give every member a name of its own")
        if self.code is None and self.name not in BASE_REWARDS:
            known = ", ".join(BASE_REWARDS)
            raise UserError(f"member {self.name!r} has no code and is none of the base rewards ({known}); add its code")
        if self.code is not None and self.name in BASE_REWARDS:
            raise UserError(f"member {self.name!r} has code but the name of a base reward; rename it")
        numbers = {field: getattr(self, field) for field in ("weight", "mean", "std")}
        for field, value in {**numbers, "schedule.to": self.schedule and self.schedule.to}.items():
            if value is not None and not abs(value) <= LARGEST:
                raise UserError(
                    f"member {self.name!r}: {field} is {value}; it must be a finite number of at most {LARGEST:,.0f}"
                )
        if self.std is not None and self.std < 0:
            raise UserError(f"member {self.name!r}: std is {self.std}; it must be 0 or more")
        if self.schedule is not None and (problem := self.schedule.problem(self.weight)):
            raise UserError(f"member {self.name!r}: {problem}")
        return self

    @model_serializer(mode="wrap")
    def _without_constant_schedule(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A schedule is written only where there is one."""
        written: dict[str, Any] = serialize(self)
        if self.schedule is None:
            written.pop("schedule", None)
        return written

    def weight_at(self, progress: float) -> float:
        """`progress`: share of the run's steps that are done."""
        return self.weight if self.schedule is None else self.schedule.weight(self.weight, progress)

    @property
    def mean_weight(self) -> float:
        """Over a whole run."""
        return self.weight if self.schedule is None else self.schedule.mean_weight(self.weight)

    @property
    def weight_words(self) -> str:
        """Such as `1`, `1 to 0 over the run` or `1 to 0 after 50% of the steps`."""
        return f"{self.weight:g}{'' if self.schedule is None else f' {self.schedule.words()}'}"

    @property
    def is_base(self) -> bool:
        return self.code is None

    @property
    def asks_worked_solution(self) -> bool:
        """Whether it asks for the worked solution of a question; code that is no reward asks for nothing."""
        function = None if self.code is None else defined_reward(self.code)
        return function is not None and function.worked_solution

    @property
    def sees_groups(self) -> bool:
        """Whether it is called with all completions of a prompt (see `rewards_generated.contract`)."""
        return self.code is not None and sees_groups(self.code)

    @property
    def identity(self) -> str:
        """Of the code; for a base reward `base:` and its name. Raises UserError if the code is not Python."""
        if self.code is None:
            return f"base:{self.name}"
        try:
            return identity(self.code)
        except CodeUnreadable as error:
            where = f", line {error.line}" if error.line else ""
            raise UserError(f"member {self.name!r}: its code is not Python ({error}{where})") from None


class Ensemble(BaseModel):
    """A named list of members and how their scores become one number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    members: tuple[Member, ...]
    aggregation: Aggregation = "sum"
    answer_format: Annotated[AnswerFormat, BeforeValidator(read_format), PlainSerializer(format_name)] = ANSWER_FORMATS[
        "solution"
    ]
    """Of the task: base rewards follow it where they are scored without the task itself."""
    answer_kind: AnswerKind = "number"
    """How base rewards compare answers there."""

    @model_serializer(mode="wrap")
    def _without_plain_answers(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Format and kind are written only where they are not the usual ones."""
        written: dict[str, Any] = serialize(self)
        if self.answers == AnswerRules():
            written.pop("answer_format", None)
            written.pop("answer_kind", None)
        return written

    @property
    def answers(self) -> AnswerRules:
        return AnswerRules(self.answer_format, self.answer_kind)

    def require_worked_solutions(self, where: str) -> None:
        """Raises UserError naming the members that ask for worked solutions, where there are none."""
        if asking := [repr(member.name) for member in self.members if member.asks_worked_solution]:
            raise UserError(f"ensemble {self.name!r}: {', '.join(asking)} asks for the worked solution; {where}")

    @property
    def scheduled(self) -> tuple[str, ...]:
        """Members whose weight changes over a run."""
        return tuple(member.name for member in self.members if member.schedule is not None)

    @property
    def seeing_groups(self) -> tuple[str, ...]:
        """Members that are called with all completions of a prompt."""
        return tuple(member.name for member in self.members if member.sees_groups)

    @model_validator(mode="after")
    def _check(self) -> Ensemble:
        if not self.members:
            raise UserError(f"ensemble {self.name!r} has no members; list at least one under [[members]]")
        if len(self.members) > MOST_MEMBERS:
            raise UserError(f"ensemble {self.name!r} has {len(self.members)} members; at most {MOST_MEMBERS} are taken")
        names = [member.name for member in self.members]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"ensemble {self.name!r} lists member {name!r} more than once; names must differ")
        if self.aggregation == "zscore":
            for member in self.members:
                if member.mean is None or member.std is None:
                    raise UserError(
                        f"ensemble {self.name!r} aggregates by zscore but member {member.name!r} has no mean and std; "
                        "freeze them from base-policy rollouts or choose aggregation 'sum'"
                    )
        return self

    @property
    def identity(self) -> str:
        """SHA-256 over what decides the totals: members' identities, weights, schedules, aggregation, frozen
        statistics, and the answers' format and kind where there are base rewards.

        Names, the order of members and the layout of their code do not matter. Raises UserError if a member's code
        is not Python.
        """
        frozen = self.aggregation == "zscore"
        parts = sorted(
            [
                member.identity,
                member.weight.hex(),
                (member.mean or 0.0).hex() if frozen else "",
                (member.std or 0.0).hex() if frozen else "",
                *([] if member.schedule is None else [member.schedule.model_dump_json()]),
            ]
            for member in self.members
        )
        asked: list[Any] = [self.aggregation, parts]
        if self.answers != AnswerRules() and any(member.is_base for member in self.members):
            asked += [format_name(self.answer_format), self.answer_kind]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()

    def __call__(self, prompt: str, completion: str, answer: str, worked_solution: str | None = None) -> float | None:
        """The total of one completion; None where a member failed on it. Members' code runs in the sandbox, which is
        started for the call: score batches with `score`, or keep a `rewards_generated.scorer.EnsembleScorer`. Weights
        with a schedule are those at the start of a run. Raises ValueError where one completion alone has no total: with
        `group_normalised`, and with a member that sees whole groups."""
        given = (prompt, completion, answer)
        return self.score([given if worked_solution is None else (*given, worked_solution)]).totals[0]

    def score(
        self,
        samples: Sequence[tuple[str, str, str] | tuple[str, str, str, str | None]],
        groups: Sequence[Hashable] | None = None,
        progress: float = 0.0,
    ) -> EnsembleScores:
        """Scores of samples (prompt, completion, answer) with every member. `groups`: equal for completions of the same
        prompt; `group_normalised` and members that see whole groups need it, and raise ValueError without. `progress`:
        share of a run's steps that are done, which decides weights with a schedule. A worked solution may stand behind
        a sample (None: its question has none), and must where a member asks for it, or UserError is raised."""
        from rewards_generated.rollout import Sample
        from rewards_generated.scorer import EnsembleScorer

        if any(len(sample) == 3 for sample in samples):
            self.require_worked_solutions("give it as fourth of each sample")
        with EnsembleScorer(self) as scorer:
            return scorer.score([Sample(*sample) for sample in samples], groups, progress)

    def __repr__(self) -> str:
        parts = (f"{member.weight_words} {member.name}" for member in self.members)
        return f"<Ensemble {self.name!r}: {self.aggregation} of {', '.join(parts)}>"

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False, found: Sequence[str] = ()) -> Path:
        """Writes the ensemble as TOML (atomically). Raises UserError if the file exists and may not be replaced.

        `found`: how it was found and what was measured, a sentence each; `how_found` reads them again.
        """
        import tomli_w

        target = Path(path)
        if target.exists() and not overwrite:
            raise UserError(f"{target} exists already; choose another name or allow overwriting")
        document = self.model_dump(exclude_none=True)
        if found:
            document = {"name": document.pop("name"), FOUND: list(found), **document}
        write_whole(target, tomli_w.dumps(document, multiline_strings=True))
        return target


def load(source: str | os.PathLike[str]) -> Ensemble:
    """The ensemble saved under a name (see `saved_names`), or in a TOML file or a folder with `ensemble.toml`; of
    `FILE.py` the sum of its rewards, of `FILE.py:NAME` that one (see `rewards_generated.hosts`).

    A member's code stands under `code`, or in a Python file named by `file` (relative to the TOML file, with `:NAME`
    where it holds several rewards); with neither, its name must be that of a base reward or of one in the starter
    library. Raises UserError.
    """
    from rewards_generated.hosts.reading import is_file, read_rewards

    if is_file(str(source)):
        rewards = read_rewards(str(source))
        members = tuple(Member(name=item.name, code=item.code) for item in rewards)
        return Ensemble(name=members[0].name if len(members) == 1 else Path(source).stem, members=members)
    path = _find(source)
    document = _read(path)
    document.pop(FOUND, None)
    document.setdefault("name", path.parent.name if path.name == "ensemble.toml" else path.stem)
    listed = document.get("members")
    if not isinstance(listed, list) or not all(isinstance(member, dict) for member in listed):
        raise UserError(f"{path}: `members` must be a list of tables, each opened by [[members]]")
    form = _format_of(document)
    document["members"] = [_with_code(member, path, form) for member in listed]
    try:
        return Ensemble.model_validate(document)
    except ValidationError as error:
        raise UserError(f"{path}: {mistake(error, Ensemble, owner='the ensemble')}") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def how_found(source: str | os.PathLike[str]) -> tuple[str, ...]:
    """What the file of an ensemble says under `found` of how it was found, a sentence each. Raises UserError."""
    path = _find(source)
    found = _read(path).get(FOUND, [])
    if not isinstance(found, list) or not all(isinstance(sentence, str) for sentence in found):
        raise UserError(f"{path}: `{FOUND}` must be a list of sentences, each in quotes")
    return tuple(found)


def saved_names() -> list[str]:
    """The names under which `load` finds ensembles that ship with the package."""
    return sorted({item.stem for item in SAVED.glob("*.toml")} | {item.parent.name for item in SAVED.glob("*/*.toml")})


def _find(source: str | os.PathLike[str]) -> Path:
    path = Path(source)
    # What ships is known by its bare name, whatever lies in the working folder; that is ./NAME.
    shipped = [SAVED / f"{source}.toml", SAVED / source / "ensemble.toml"] if str(source) in saved_names() else []
    places = [*shipped, path, path / "ensemble.toml"]
    for place in places:
        if place.is_file():
            return place
    names = ", ".join(saved_names()) or "none"
    raise UserError(f"no ensemble {str(source)!r}: neither a TOML file nor a saved name (saved: {names})")


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path} is larger than {LARGEST_FILE >> 20} MiB; no ensemble is")
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise UserError(f"{path} is not valid TOML: it is nested too deeply") from None
    except ValueError as error:  # of TOML, of UTF-8, and of numbers with too many digits
        raise UserError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    keys, level = 0, [document]
    for _ in range(DEEPEST):
        level = [part for value in level for part in (value.values() if isinstance(value, dict) else value)]
        keys += len(level)
        level = [part for part in level if isinstance(part, dict | list)]
    if level or keys > MOST_KEYS:
        raise UserError(f"{path} is no ensemble: it has more than {DEEPEST} levels or {MOST_KEYS:,} keys")
    return document


def _format_of(document: dict[str, Any]) -> AnswerFormat:
    """Of the library's rewards in it; a wrong one is refused when the whole is validated."""
    try:
        return read_format(document.get("answer_format", "solution"))
    except ValueError:
        return ANSWER_FORMATS["solution"]


def _with_code(member: dict[str, Any], path: Path, form: AnswerFormat) -> dict[str, Any]:
    from rewards_generated.hosts import read_reward
    from rewards_generated.library import library_codes

    name = member.get("name")
    if "file" in member:
        member = dict(member)
        named = str(member.pop("file"))
        file = path.parent / named
        if "code" in member:
            raise UserError(f"{path}: member {name!r} has both `code` and `file`; keep one")
        found = Path(re.sub(r"(\.py):\w+$", r"\1", str(file))).resolve()
        if not found.is_relative_to(path.parent.resolve()) or (found.exists() and not found.is_file()):
            raise UserError(f"{path}: member {name!r}: file = {named!r} is no regular file below {path.parent}")
        try:
            member["code"] = read_reward(str(file)).code
        except UserError as error:
            raise UserError(f"{path}: member {name!r}: {error}") from None
    elif "code" not in member and isinstance(name, str) and name not in BASE_REWARDS:
        code = library_codes(form).get(name)
        if code is not None:
            return member | {"code": code}
    return member
