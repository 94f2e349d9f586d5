"""The starter library: hand-written rewards, one file each, that searches draw from and compare with.

Each file opens with a docstring: one line saying what is rewarded, then `family:` and `role:`, then why. The loader
reads that from the text; no file of the library is imported or run outside the sandbox.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from rewards_generated.answers import AnswerFormat
from rewards_generated.answers.in_format import WRITTEN_FOR, fits, in_format

Family = Literal["reflection", "correctness", "process", "format", "length", "keyword"]
Role = Literal["reward", "control"]

_FIELD = re.compile(r"^(family|role):\s*(\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LibraryReward:
    """`name` is the file's; `description` the docstring without its fields."""

    name: str
    code: str
    description: str
    family: Family
    role: Role
    """`control`: looks plausible and is bad on purpose, to show that the search can tell."""


def load_library(form: AnswerFormat = WRITTEN_FOR) -> list[LibraryReward]:
    """Every reward of the library, by name, in an answer format; those on form alone only where the format has what
    they look for. Raises ValueError if a file's docstring lacks its fields."""
    return list(_library(form))


def library_codes(form: AnswerFormat = WRITTEN_FOR) -> dict[str, str]:
    """Name → code."""
    return {item.name: item.code for item in _library(form)}


@cache
def _library(form: AnswerFormat) -> tuple[LibraryReward, ...]:
    if form != WRITTEN_FOR:
        return tuple(
            replace(item, code=in_format(item.code, form))
            for item in _library(WRITTEN_FOR)
            if item.family != "format" or fits(item.code, form)
        )
    files = sorted(Path(__file__).parent.glob("*.py"))
    return tuple(read_library_file(file) for file in files if not file.name.startswith("_"))


def read_library_file(path: Path) -> LibraryReward:
    """One file of the library, read without running it."""
    code = path.read_text(encoding="utf-8")
    text = ast.get_docstring(ast.parse(code)) or ""
    fields: dict[str, str] = dict(_FIELD.findall(text))
    family, role = fields.get("family"), fields.get("role")
    if family not in get_args(Family) or role not in get_args(Role):
        raise ValueError(f"{path}: the docstring must say `family:` and `role:` (found {family!r}, {role!r})")
    description = re.sub(r"\n{3,}", "\n\n", _FIELD.sub("", text)).strip()
    return LibraryReward(path.stem, code, description, family, role)  # type: ignore[arg-type]
