"""Fixtures of the search's tests. Every module that uses them has a fixture `run`: the folder of a search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from search.ledger import Ledger


@pytest.fixture
def ledger(run: Path) -> Iterator[Ledger]:
    opened = Ledger.open(run)
    yield opened
    opened.close()
