"""Questions of a study that people or agents answer blind: text files under drawn names, which tell of no arm."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from rewards_generated.files import write_whole

KEY, QUESTIONS, ANSWERS = "key.json", "questions", "answers"


class Questions:
    """`questions/NAME.md` is answered by writing `answers/NAME.md`; `key.json`, for no answerer's eyes, knows whose
    they are. Names are drawn afresh for every question, so that their order is that of no arm and no seed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = folder / KEY

    @property
    def unanswered(self) -> list[str]:
        """Names, sorted."""
        return sorted(self._open())

    @property
    def waiting(self) -> set[str]:
        """Units whose question is not answered."""
        return set(self._open().values())

    def take(self, tell: Callable[[str, str, Path], None]) -> None:
        """Calls `tell` with unit, question and the answer's file for everything answered so far. Taken twice if that is
        interrupted: `tell` sees from the question whether it is still open."""
        for name, unit in self._open().items():
            answer = self._folder / ANSWERS / f"{name}.md"
            if answer.is_file() and answer.stat().st_size:  # an empty one is about to be written
                tell(unit, self._question(name).read_text(encoding="utf-8"), answer)
                self._write({other: whose for other, whose in self._open().items() if other != name})

    def ask(self, unit: str, question: str) -> None:
        """Puts up the question of a unit."""
        (self._folder / QUESTIONS).mkdir(exist_ok=True)
        (self._folder / ANSWERS).mkdir(exist_ok=True)
        name = secrets.token_hex(4)
        write_whole(self._question(name), question)
        self._write({**self._open(), name: unit})

    def _question(self, name: str) -> Path:
        return self._folder / QUESTIONS / f"{name}.md"

    def _open(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self._key.read_text(encoding="utf-8")) if self._key.is_file() else {}
        return found

    def _write(self, units: Mapping[str, str]) -> None:
        write_whole(self._key, json.dumps(units, indent=1, sort_keys=True) + "\n")
