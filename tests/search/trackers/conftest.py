"""One search for all tests of trackers; they leave its ledger as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.search.searches import run_search


@pytest.fixture(scope="package")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In which the screening of `reward-101` failed."""
    code, folder = run_search(tmp_path_factory.mktemp("tracked"), executor={"options": {"fail": "reward-101"}})
    assert code == 0
    return folder
