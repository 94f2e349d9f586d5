"""Ledgers that cannot be written, and ledgers that are damaged."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from rewards_generated.errors import UserError
from search.ledger import LEDGER_FILE, Ledger, driver_lock
from tests.search.ledger.test_ledger import prediction

LONG = {"text": "é" * 9000}
"""More than fits on a page."""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger.create(tmp_path / "run", {"config": {"a": 1}, "long": LONG})
    made.record_round(1, 1, [], [], 0.0)
    return made


@pytest.fixture
def unwritable(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite in a folder where it can make no file: root may write anywhere, so that it has to be said for it."""
    connect = sqlite3.connect

    class Refused(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if statement != "PRAGMA schema_version":
                return super().execute(statement, *values)
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error

    monkeypatch.setattr(sqlite3, "connect", lambda path, **more: connect(path, **{"factory": Refused} | more))


@pytest.mark.usefixtures("unwritable")
def test_a_folder_that_cannot_be_written_is_read_with_its_log(ledger: Ledger, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    copied.mkdir()
    for name in (LEDGER_FILE, f"{LEDGER_FILE}-wal"):  # as a killed driver leaves them; without the shared memory
        shutil.copyfile(ledger.folder / name, copied / name)
    assert (copied / f"{LEDGER_FILE}-wal").stat().st_size
    reader = Ledger.open(copied)
    assert [item.number for item in reader.rounds()] == [1]
    with pytest.raises(UserError, match="readonly"):
        reader.record_fact("a", 1)
    assert sorted(file.name for file in copied.iterdir()) == [LEDGER_FILE, f"{LEDGER_FILE}-wal"]


@pytest.mark.usefixtures("unwritable")
def test_what_is_being_written_is_never_read_without_its_shared_memory(ledger: Ledger) -> None:
    with driver_lock(ledger.folder), pytest.raises(UserError, match="while a search writes it"):
        Ledger.open(ledger.folder)


def damaged(ledger: Ledger, start: int, content: bytes) -> Path:
    ledger.close()
    path = ledger.folder / LEDGER_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:start] + content + whole[start + len(content) :])
    return ledger.folder


def test_a_damaged_page_is_one_sentence_that_names_the_table(ledger: Ledger) -> None:
    folder = damaged(ledger, 4096, bytes(range(256)) * 16)
    with pytest.raises(
        UserError, match="is damaged: of its tables facts cannot be read in full; `reward-search check RUN --repair`"
    ):
        Ledger.open(folder).fact("config")
    with pytest.raises(UserError, match="is damaged"):
        Ledger.open(folder, write=True)


def test_text_that_is_no_json_any_more_is_damage(ledger: Ledger) -> None:
    ledger._connection.execute("UPDATE facts SET value = substr(value, 1, 100) WHERE name = 'long'")
    with pytest.raises(UserError, match="is damaged"):
        ledger.fact("long")


def test_text_that_is_no_text_any_more_is_damage(ledger: Ledger) -> None:
    ledger._connection.execute("UPDATE facts SET value = CAST(x'ff22' AS TEXT) WHERE name = 'long'")
    with pytest.raises(UserError, match="is damaged: of its tables facts"):
        ledger.fact("long")


@pytest.mark.parametrize("size", [0, 50, 5000])
def test_a_ledger_that_was_cut_off(ledger: Ledger, size: int) -> None:
    ledger.close()
    path = ledger.folder / LEDGER_FILE
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match="or put back a copy"):
        Ledger.open(ledger.folder).fact("long")


def test_a_mistake_of_ours_is_no_damage(ledger: Ledger) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        ledger.record_round(1, 1, [], [], 0.0)


def test_a_file_of_completions_that_is_missing_or_cut(ledger: Ledger) -> None:
    name = ledger.files.put_predictions([prediction(number) for number in range(50)])
    path = ledger.files.folder / name
    content = path.read_bytes()
    for damage in (content[:-20], content[:-1] + b"\x01", b""):
        path.write_bytes(damage)
        with pytest.raises(UserError, match=f"{name} is damaged: the completions of one evaluation are lost"):
            ledger.files.predictions(name)
    path.unlink()
    with pytest.raises(UserError, match=f"{name} cannot be read .*No such file"):
        ledger.files.predictions(name)
