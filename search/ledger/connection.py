"""Reaching the file of a ledger, where nothing can be written too; and one sentence where it is damaged."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import wraps
from inspect import isfunction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from pydantic import ValidationError

from rewards_generated.errors import UserError
from search.ledger.lock import is_driven

LEDGER_FILE = "ledger.sqlite"
UNREACHABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM}
"""What SQLite says where it can make no shared-memory file, without which it reads no write-ahead log."""
RESTORE = (
    "`reward-search check RUN --repair` saves what can be read of it; or put back a copy of the whole run directory"
)

L = TypeVar("L")


def connected(folder: Path, *, write: bool = False) -> sqlite3.Connection:
    """To the ledger in the folder. A reader of a folder in which nothing can be written gets what is there now, in
    memory."""
    path = folder / LEDGER_FILE
    # A reader opens read-write too: SQLite needs to make the shared-memory file where no writer is alive.
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    if write:
        return connection
    try:
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF not in UNREACHABLE:
            raise
        connection = _in_memory(folder)
    connection.execute("PRAGMA query_only = 1")
    return connection


def mark(folder: Path) -> list[tuple[int, int] | None]:
    """Another one whenever something was written to the ledger in the folder, without opening it."""
    found: list[tuple[int, int] | None] = []
    for name in (LEDGER_FILE, f"{LEDGER_FILE}-wal"):
        try:
            state = (folder / name).stat()
            found.append((state.st_mtime_ns, state.st_size))
        except OSError:
            found.append(None)
    return found


def _in_memory(folder: Path) -> sqlite3.Connection:
    """A copy of the ledger with its write-ahead log, which opening the file as immutable would leave out."""
    if is_driven(folder):
        raise UserError(
            f"{folder / LEDGER_FILE} cannot be read from here while a search writes it: read it where that search "
            "runs, or wait for its end"
        )
    with TemporaryDirectory(prefix="reward-search-ledger-") as temporary:
        try:
            for name in (LEDGER_FILE, f"{LEDGER_FILE}-wal"):
                if os.path.isfile(folder / name):
                    shutil.copyfile(folder / name, Path(temporary) / name)
        except OSError as error:
            raise UserError(f"{folder / LEDGER_FILE} cannot be read: {error.strerror}") from None
        with closing(sqlite3.connect(Path(temporary) / LEDGER_FILE)) as copy:
            memory = sqlite3.connect(":memory:", isolation_level=None)
            copy.backup(memory)
    return memory


@contextmanager
def told_of_damage(folder: Path) -> Iterator[None]:
    """Raises UserError for what SQLite says of a file that is damaged or cannot be used, and for contents that are
    none."""
    path = folder / LEDGER_FILE
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise  # a mistake of ours
    except (sqlite3.DatabaseError, json.JSONDecodeError, ValidationError) as error:
        if isinstance(error, sqlite3.OperationalError) and "decode" not in str(error):
            raise UserError(f"{path} cannot be used: {error}; see to its disk and its permissions") from None
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise UserError(f"{path} is no SQLite file, or damaged at its beginning: {RESTORE}") from None
        lost = _lost(folder)
        tables = f"of its tables {', '.join(lost)} cannot be read in full" if lost else "not all of it can be read"
        raise UserError(f"{path} is damaged: {tables}; {RESTORE}") from None


def _lost(folder: Path) -> list[str]:
    """Names of the tables that cannot be read to their ends; none where not even their names can be read."""
    lost = []
    try:
        with closing(connected(folder)) as connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                try:
                    connection.execute(f"SELECT * FROM {name}").fetchall()
                except sqlite3.DatabaseError:
                    lost.append(name)
    except (sqlite3.DatabaseError, UserError):
        return []
    return lost


def telling_of_damage(ledger: type[L]) -> type[L]:
    """A class decorator: the public methods of the ledger raise UserError as `told_of_damage` does."""

    def told(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def telling(self: Any, *values: Any, **named: Any) -> Any:
            with told_of_damage(self.folder):
                return method(self, *values, **named)

        return telling

    for name, method in list(vars(ledger).items()):
        if isfunction(method) and not name.startswith("_"):
            setattr(ledger, name, told(method))
    return ledger
