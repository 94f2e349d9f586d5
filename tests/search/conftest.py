"""Fixtures of the search's tests. Every module that uses them has a fixture `run`: the folder of a search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from search.ledger import Ledger
from tests.search.bucket_servers import gs_server, s3_server


@pytest.fixture
def ledger(run: Path) -> Iterator[Ledger]:
    opened = Ledger.open(run)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """URL of an empty bucket of a server that speaks S3; the environment opens it."""
    with s3_server() as url:
        yield url


@pytest.fixture(scope="module")
def gs() -> Iterator[str]:
    """The same of Google Cloud Storage."""
    with gs_server() as url:
        yield url


@pytest.fixture(scope="module", params=["s3", "gs"])
def bucket(request: pytest.FixtureRequest) -> str:
    """The same of each kind."""
    url: str = request.getfixturevalue(request.param)
    return url
