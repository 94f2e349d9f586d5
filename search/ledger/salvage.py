"""What can still be read of a damaged ledger, with what its copy has besides, as a new ledger in its place."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from rewards_generated.errors import UserError
from search.ledger.backup import KEYS, altered, sound_backup
from search.ledger.connection import LEDGER_FILE, RESTORE, connected
from search.ledger.ledger import Ledger
from search.ledger.schema import SCHEMA, SCHEMA_VERSION

TABLES = ("facts", "changes", "packs", *KEYS)
DAMAGED = f"{LEDGER_FILE}.damaged"
"""Where the damaged file is kept."""


def problems(folder: Path) -> list[str]:
    """What is wrong with the file of the ledger, a sentence each: its pages, and rows that the copy has otherwise.
    The folder must hold a ledger of this version."""
    path = folder / LEDGER_FILE
    try:
        with closing(connected(folder)) as connection:
            said = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
            if said != ["ok"]:
                return [f"{path}: {' '.join(line.split())}" for line in said]
            if not config_is_whole(dict(connection.execute("SELECT name, value FROM facts"))):
                return [f"{path}: the configuration in it is not the one that the search was started with"]
            return [
                f"{path}: {len(rows)} of the rows in {table} {'is' if len(rows) == 1 else 'are'} not what was written"
                for table, rows in altered(connection, folder).items()
            ]
    except sqlite3.DatabaseError as error:
        return [f"{path}: {error}"]


def require_unaltered(ledger: Ledger) -> None:
    """Raises UserError where rows of the ledger are not what was written, before more is built on them."""
    if altered(ledger._connection, ledger.folder):
        raise UserError(
            f"{ledger.folder / LEDGER_FILE} is damaged: rows in it are not what was written; `reward-search check "
            f"{ledger.folder} --repair` takes them from its copy"
        )


def salvage(folder: Path) -> dict[str, int]:
    """Puts a sound ledger in the place of a damaged one, which is kept as `DAMAGED`. Returns, by table, how many rows
    came from the copy. Raises UserError where neither has the tables that nothing can make again."""
    path, rows, restored = folder / LEDGER_FILE, dict[str, list[tuple[Any, ...]]](), {}
    copy = sound_backup(folder)
    with closing(sqlite3.connect(path, isolation_level=None)) as main:
        for table in TABLES:
            rows[table] = _readable(main, table)
    if copy is not None:
        with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True, isolation_level=None)) as other:
            for table in TABLES:
                kept = other.execute(f"SELECT * FROM {table}").fetchall()
                rows[table], restored[table] = _together(table, rows[table], kept)
    if not rows["facts"] or not rows["milestones"]:
        raise UserError(f"{path} cannot be read, and there is no sound copy beside it: {RESTORE}")
    fresh = folder / f".{LEDGER_FILE}.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.executescript(SCHEMA)
        for table, content in rows.items():
            if content:
                places = ", ".join("?" * len(content[0]))
                connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({places})", content)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("PRAGMA journal_mode=WAL")
    (folder / DAMAGED).unlink(missing_ok=True)
    path.rename(folder / DAMAGED)
    for log in (f"{LEDGER_FILE}-wal", f"{LEDGER_FILE}-shm"):
        (folder / log).unlink(missing_ok=True)
    fresh.rename(path)
    return {table: count for table, count in restored.items() if count}


def _readable(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    """In order, the rows from the beginning as far as they can be read, and those from the end."""
    columns = KEYS[table] if table == "predictions" else ("rowid",)
    ends: list[list[tuple[Any, ...]]] = [[], []]
    for found, direction in zip(ends, ("ASC", "DESC"), strict=True):
        order = ", ".join(f"{column} {direction}" for column in columns)
        with suppress(sqlite3.DatabaseError):
            found.extend(connection.execute(f"SELECT * FROM {table} NOT INDEXED ORDER BY {order}"))
    return list(dict.fromkeys([*ends[0], *reversed(ends[1])]))


def _together(
    table: str, main: list[tuple[Any, ...]], copy: list[tuple[Any, ...]]
) -> tuple[list[tuple[Any, ...]], int]:
    """The rows of both, in order, and how many of the copy's the ledger does not have."""
    width = {"facts": 1, "packs": 1, "changes": 4}.get(table) or len(KEYS[table])
    # Keys are the first columns; of evaluations as well.
    merged = {row[:width]: row for row in copy}
    for row in main:
        if row[:width] not in merged or _newer(table, row, main, merged[row[:width]]):
            merged[row[:width]] = row
    return list(merged.values()), len(set(copy) - set(main))


def _newer(table: str, row: tuple[Any, ...], main: list[tuple[Any, ...]], copied: tuple[Any, ...]) -> bool:
    """Whether the ledger's row stands, and not the copy's: where rows change, and the ledger's is sound."""
    if table == "calls":
        return json.loads(copied[-1])["reply"] is None
    return table == "packs" or (table == "facts" and config_is_whole(dict(main)))


def config_is_whole(facts: Mapping[str, str]) -> bool:
    """Whether the recorded configuration is the one of the recorded digest; `facts`: their JSON by name."""
    try:
        config, digest = json.loads(facts["config"]), json.loads(facts["config_digest"])
    except (KeyError, ValueError):
        return False
    return bool(hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest() == digest)
