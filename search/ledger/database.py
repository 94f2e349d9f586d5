"""The file of a ledger: opening it, transactions, and what is known of the run as a whole."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from rewards_generated.errors import UserError
from search.ledger.backup import write_backup
from search.ledger.connection import LEDGER_FILE, RESTORE, connected, telling_of_damage, told_of_damage
from search.ledger.files import Files
from search.ledger.records import Change, Milestone
from search.ledger.schema import SCHEMA, SCHEMA_VERSION

FIRST_CONFIG = "first_config"
"""The fact with the configuration that a search was started with, where it was changed since."""


@telling_of_damage
class Database:
    """What a ledger is built on."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.files = Files(folder / "files")
        self._connection = connection

    @classmethod
    def create(cls, folder: Path, facts: Mapping[str, Any]) -> Self:
        """A new ledger with its first facts. The folder must not hold one."""
        folder.mkdir(parents=True, exist_ok=True)
        with told_of_damage(folder):
            return cls._created(folder, facts)

    @classmethod
    def _created(cls, folder: Path, facts: Mapping[str, Any]) -> Self:
        connection = sqlite3.connect(folder / LEDGER_FILE, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        ledger = cls(folder, connection)
        with ledger._transaction():
            for statement in SCHEMA.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            for name, value in facts.items():
                ledger._set_fact(name, value)
            ledger._milestone("started", {})
        return ledger

    @classmethod
    def open(cls, folder: Path, *, write: bool = False) -> Self:
        """Opens what is there. Raises UserError if there is no run in the folder, or it is damaged or of another
        version; so do all that read or write later, where they come upon damage."""
        path = folder / LEDGER_FILE
        if not cls.exists(folder):
            if os.path.isfile(path):
                raise UserError(f"{path} is empty or was cut off before anything was in it: {RESTORE}")
            raise UserError(f"{folder} holds no search: there is no {LEDGER_FILE} in it; give the folder of a run")
        with told_of_damage(folder):
            connection = connected(folder, write=write)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            # Before anything more is paid and trained on top of it, all of it is looked at.
            if write and connection.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("damaged")
        if version != SCHEMA_VERSION:
            raise UserError(
                f"{path} has version {version}, this program reads version {SCHEMA_VERSION}: read it with the version "
                "that wrote it, or start a new search"
            )
        return cls(folder, connection)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether the folder holds a ledger whose creation was completed."""
        if not os.path.isfile(folder / LEDGER_FILE):
            return False
        with told_of_damage(folder), closing(connected(folder)) as connection:
            return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'facts'").fetchone())

    def close(self) -> None:
        self._connection.close()

    def back_up(self) -> None:
        """Replaces the second copy beside the ledger by what is in it now (see `search.ledger.backup`)."""
        write_backup(self.folder, self._connection)

    def copy_to(self, folder: Path) -> None:
        """The whole file, with what is still in its write-ahead log."""
        with closing(sqlite3.connect(folder / LEDGER_FILE)) as copy:
            self._connection.backup(copy)

    # Facts and milestones

    def fact(self, name: str) -> Any:
        """None if there is none."""
        row = self._one("SELECT value FROM facts WHERE name = ?", name)
        return None if row is None else json.loads(row[0])

    def record_fact(self, name: str, value: Any) -> None:
        """`value` is anything that JSON holds; None removes the fact."""
        with self._transaction():
            self._set_fact(name, value)

    def milestone(self, name: str) -> Milestone | None:
        row = self._one("SELECT at, detail FROM milestones WHERE name = ?", name)
        return None if row is None else Milestone(datetime.fromisoformat(row[0]), json.loads(row[1]))

    def record_milestone(self, name: str, detail: Mapping[str, Any]) -> None:
        with self._transaction():
            self._milestone(name, detail)

    def changes(self) -> list[Change]:
        """Of the configuration, in order."""
        rows = self._all("SELECT at, field, before, after FROM changes ORDER BY rowid")
        return [Change(datetime.fromisoformat(row[0]), row[1], *map(json.loads, row[2:])) for row in rows]

    def record_changes(self, changes: Sequence[tuple[str, Any, Any]], facts: Mapping[str, Any]) -> None:
        """Field, old and new value of each, with the facts that follow. The first configuration stays as a fact of its
        own. A question that was asked under the old one is asked anew, and rounds at the end that brought no candidate
        are taken back, to be proposed again: what was answered in them is kept."""
        at = now()
        with self._transaction():
            if self.fact(FIRST_CONFIG) is None:
                self._set_fact(FIRST_CONFIG, self.fact("config"))
            for name, value in facts.items():
                self._set_fact(name, value)
            self._set_fact("question", None)
            for field, before, after in changes:
                self._insert("changes", at, field, json.dumps(before), json.dumps(after))
            last = "(SELECT ifnull(max(round), 0) FROM candidates)"
            self._connection.execute(f"DELETE FROM unusable WHERE round > {last}")
            self._connection.execute(f"DELETE FROM rounds WHERE number > {last}")

    # Below the surface

    def _set_fact(self, name: str, value: Any) -> None:
        self._connection.execute("DELETE FROM facts WHERE name = ?", (name,))
        if value is not None:
            self._insert("facts", name, json.dumps(value))

    def _milestone(self, name: str, detail: Mapping[str, Any]) -> None:
        self._insert("milestones", name, now(), json.dumps(dict(detail)))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._connection:  # commits, or rolls back after an exception
            self._connection.execute("BEGIN IMMEDIATE")
            yield

    def _insert(self, table: str, *values: Any) -> int | None:
        """A row with all columns of the table in order; returns its number."""
        places = ", ".join("?" * len(values))
        return self._connection.execute(f"INSERT INTO {table} VALUES ({places})", values).lastrowid

    def _one(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(statement, values).fetchone()
        return row

    def _all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values).fetchall()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
