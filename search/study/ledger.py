"""The record of a study: its facts, and one file per unit that ended."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from rewards_generated.errors import UserError
from rewards_generated.files import write_whole
from rewards_generated.validation import mistake
from search.driver.launch import surroundings, written_whole
from search.study.base import Record, Size, Study, Unit, plain

FACTS_FILE = "study.json"
RESULTS_FOLDER = "results"

M = TypeVar("M", bound=BaseModel)


class StudyFacts(Record):
    """What all results of a study depend on, and where they come from."""

    study: str
    size: Size
    seeds: int
    config: dict[str, Any]
    versions: dict[str, str]
    hardware: str
    started: str


class UnitFile(Record):
    unit: str
    ended: str
    seconds: float
    result: dict[str, Any]


class Ended(NamedTuple):
    record: BaseModel
    seconds: float
    """Wall-clock of the unit since it was last started."""


class StudyLedger:
    """A unit's file is written by atomic rename when the unit has ended: it is there wholly or not at all."""

    def __init__(self, folder: Path, facts: StudyFacts) -> None:
        self.folder, self.facts = folder, facts

    @classmethod
    def create(cls, folder: Path, study: Study) -> StudyLedger:
        """A new study's folder with its facts, by one rename. Raises UserError if the folder is not free."""
        facts = StudyFacts(
            study=study.name,
            size=study.size,
            seeds=study.seeds,
            config=study.config.plain(),
            started=_now(),
            **surroundings(),
        )
        with written_whole(folder) as prepared:
            (prepared / RESULTS_FOLDER).mkdir()
            _write(prepared / FACTS_FILE, facts)
        return cls(folder, facts)

    @classmethod
    def open(cls, folder: Path) -> StudyLedger:
        """Raises UserError if the folder holds no study."""
        path = folder / FACTS_FILE
        if not path.is_file():
            raise UserError(f"{folder} holds no study: there is no {FACTS_FILE} in it; give the folder of one")
        return cls(folder, _read(path, StudyFacts, "the record of a study"))

    def record(self, unit: Unit, record: BaseModel, seconds: float) -> None:
        file = UnitFile(unit=unit.name, ended=_now(), seconds=round(seconds, 2), result=plain(record))
        _write(self.folder / RESULTS_FOLDER / f"{unit.name}.json", file)

    def ended(self, units: Iterable[Unit]) -> dict[str, Ended]:
        """Those of the units that ended, by name. Raises UserError for a file that is no record of its unit."""
        found = {}
        for unit in units:
            path = self.folder / RESULTS_FOLDER / f"{unit.name}.json"
            if path.is_file():
                what = f"the record of the unit {unit.name!r}"
                file = _read(path, UnitFile, what)
                found[unit.name] = Ended(_checked(path, unit.record, file.result, what), file.seconds)
        return found


def _write(path: Path, values: BaseModel) -> None:
    write_whole(path, json.dumps(plain(values), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _read(path: Path, form: type[M], what: str) -> M:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(f"{path} is not {what}: it is no JSON") from None
    return _checked(path, form, values, what)


def _checked(path: Path, form: type[M], values: object, what: str) -> M:
    try:
        return form.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path} is not {what}: {mistake(error, form, owner=what)}; delete it or restore it") from None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
