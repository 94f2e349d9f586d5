"""A second copy of the ledger beside it, named by its SHA-256: what a damaged page loses is taken from there."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rewards_generated.files import write_whole

BACKUP_FOLDER = "backup"

KEYS = {
    "milestones": ("name",),
    "rounds": ("number",),
    "unusable": ("round", "position"),
    "candidates": ("name",),
    "verdicts": ("candidate", "member"),
    "prescreenings": ("candidate",),
    "audits": ("candidate",),
    "ensembles": ("name",),
    "jobs": ("stage", "subject", "seed"),
    "rungs": ("stage", "subject", "seed", "rung"),
    "evaluations": ("id",),
    "predictions": ("evaluation", "position"),
    "calls": ("round", "position"),
}
"""Tables whose rows never change once they are written (of calls, once they were answered), with their keys."""


def write_backup(folder: Path, connection: sqlite3.Connection) -> None:
    """Replaces the copy in the folder of a run. Where the disk is full, the one that is there stays."""
    with suppress(OSError, sqlite3.Error):
        content = connection.serialize()
        # Bytes 18 and 19 of the file format say that there is a write-ahead log beside it, which there is not.
        content = content[:18] + b"\x01\x01" + content[20:]
        place = folder / BACKUP_FOLDER
        target = place / f"{hashlib.sha256(content).hexdigest()}.sqlite"
        if target.exists():
            return
        place.mkdir(exist_ok=True)
        write_whole(target, content)
        for other in place.glob("*.sqlite"):
            if other != target:
                other.unlink()


def sound_backup(folder: Path) -> Path | None:
    """The newest copy that is as it was written; None if there is none."""
    found = []
    for file in (folder / BACKUP_FOLDER).glob("*.sqlite"):
        with suppress(OSError):
            if hashlib.sha256(file.read_bytes()).hexdigest() == file.stem:
                found.append((file.stat().st_mtime_ns, file))
    return max(found)[1] if found else None


def altered(connection: sqlite3.Connection, folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """By table, the rows of the copy that the ledger has otherwise: a bit has turned over where nothing but the copy
    shows it. Empty without a sound copy."""
    copy = sound_backup(folder)
    found: dict[str, list[tuple[object, ...]]] = {}
    if copy is None:
        return found
    with _attached(connection, copy):
        for table, keys in KEYS.items():
            same = " AND ".join(f"here.{key} = other.{key}" for key in keys)
            settled = " AND json_extract(other.call, '$.reply') IS NOT NULL" if table == "calls" else ""
            rows = connection.execute(
                f"SELECT other.* FROM (SELECT * FROM copy.{table} EXCEPT SELECT * FROM main.{table}) AS other "
                f"JOIN main.{table} AS here ON {same}{settled}"
            ).fetchall()
            if rows:
                found[table] = rows
    return found


@contextmanager
def _attached(connection: sqlite3.Connection, copy: Path) -> Iterator[None]:
    connection.execute("ATTACH DATABASE ? AS copy", (str(copy),))
    try:
        yield
    finally:
        connection.execute("DETACH DATABASE copy")
