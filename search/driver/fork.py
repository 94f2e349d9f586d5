"""A second search that goes on from where another one stands."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path

from search.config.models import SearchConfig
from search.driver.launch import require_free
from search.ledger import LEDGER_FILE, Ledger


def fork(source: Path, target: Path, config: SearchConfig) -> None:
    """Copies the search in `source`, which nobody drives, to the new folder `target`, to be resumed under `config`.

    The caller sees to it that `config` differs in nothing that what is recorded so far depends on. Results and
    completions are copied, the files of jobs are not: nothing that is recorded is trained again. The target exists
    whole or not at all. Raises UserError if the target is not free.
    """
    require_free(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        prepared = Path(temporary) / "run"
        prepared.mkdir()
        _copy_database(source / LEDGER_FILE, prepared / LEDGER_FILE)
        if (source / "files").is_dir():
            shutil.copytree(source / "files", prepared / "files")
        ledger = Ledger.open(prepared, write=True)
        try:
            ledger.record_fact("config", config.plain())
            ledger.record_fact("config_digest", config.digest)
            ledger.record_fact("forked_from", str(source))
        finally:
            ledger.close()
        prepared.rename(target)


def _copy_database(source: Path, target: Path) -> None:
    """By SQLite's own backup, which also takes what is still in the write-ahead log."""
    reader, writer = sqlite3.connect(source), sqlite3.connect(target)
    try:
        reader.backup(writer)
    finally:
        reader.close()
        writer.close()
