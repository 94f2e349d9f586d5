"""The record of a study: its facts, and one file per unit that ended."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rewards_generated.errors import UserError
from search.driver.launch import require_free
from search.study.base import Result

FACTS_FILE = "study.json"
RESULTS_FOLDER = "results"


class StudyLedger:
    """A unit's file is written by atomic rename when the unit has ended: it is there wholly or not at all."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.folder = folder
        self.facts = dict(facts)

    @classmethod
    def create(cls, folder: Path, facts: Mapping[str, Any]) -> StudyLedger:
        """A new study's folder with its facts, by one rename. Raises UserError if the folder is not free."""
        require_free(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            prepared = Path(temporary) / "study"
            (prepared / RESULTS_FOLDER).mkdir(parents=True)
            write_json(prepared / FACTS_FILE, {**facts, "started": _now()})
            try:
                prepared.rename(folder)
            except OSError:
                require_free(folder)
                raise
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> StudyLedger:
        """Raises UserError if the folder holds no study."""
        path = folder / FACTS_FILE
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
        except OSError:
            raise UserError(
                f"{folder} holds no study: there is no {FACTS_FILE} in it; give the folder of one"
            ) from None
        except ValueError:
            raise UserError(f"{path} is not the record of a study: it is no JSON") from None
        return cls(folder, facts)

    def record(self, unit: str, result: Result, seconds: float) -> None:
        """`seconds`: wall-clock of the unit since it was last started."""
        record = {"unit": unit, "ended": _now(), "seconds": round(seconds, 2), "result": result}
        write_json(self.folder / RESULTS_FOLDER / f"{unit}.json", record)

    def results(self) -> dict[str, Result]:
        """Of the units that ended, by name."""
        return {name: record["result"] for name, record in self._records().items()}

    def seconds(self) -> dict[str, float]:
        """Wall-clock of the units that ended, by name."""
        return {name: record["seconds"] for name, record in self._records().items()}

    def _records(self) -> dict[str, dict[str, Any]]:
        files = sorted((self.folder / RESULTS_FOLDER).glob("[!.]*.json"))
        return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def write_text(path: Path, text: str) -> None:
    """By atomic rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
