"""The starter library: hand-written rewards, one file each, that searches draw from and compare with.

Each file opens with a docstring: one line saying what is rewarded, then `family:` and `role:`, then why. The loader
reads that from the text; no file of the library is imported or run outside the sandbox.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

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


def load_library() -> list[LibraryReward]:
    """Every reward of the library, by name. Raises ValueError if a file's docstring lacks its fields."""
    return list(_library())


def library_codes() -> dict[str, str]:
    """Name → code."""
    return {item.name: item.code for item in _library()}


@cache
def _library() -> tuple[LibraryReward, ...]:
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
