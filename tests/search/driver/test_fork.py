"""A search that goes on from where another one stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewards_generated.errors import UserError
from search.cli import main
from search.config.source import load_config, parse_config
from search.driver.launch import fork
from search.ledger import Ledger
from tests.search.searches import run_search


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, run = run_search(tmp_path_factory.mktemp("fork"), finals={"seeds": 1, "ensembles": ["top-2"]})
    assert code == 0
    return run


def test_a_fork_has_all_that_is_recorded_under_its_own_configuration(source: Path, tmp_path: Path) -> None:
    before = (source / "ledger.sqlite").read_bytes()
    ledger = Ledger.open(source)
    config = load_config(values=ledger.fact("config"), assignments=["search.feedback=none"])
    fork(source, tmp_path / "forked", config)
    copy = Ledger.open(tmp_path / "forked")
    try:
        assert parse_config(copy.fact("config")).search.feedback == "none"
        assert copy.fact("config_digest") == config.digest != ledger.fact("config_digest")
        assert copy.candidates() == ledger.candidates()
        assert copy.jobs() == ledger.jobs()
        for evaluation in copy.evaluations():
            assert copy.completions(evaluation) == ledger.completions(evaluation)
    finally:
        copy.close()
        ledger.close()
    assert (source / "ledger.sqlite").read_bytes() == before
    assert main(["run", "--run-dir", str(tmp_path / "forked"), "--resume"]) == 0


def test_a_fork_overwrites_nothing(source: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    ledger = Ledger.open(source)
    config = parse_config(ledger.fact("config"))
    ledger.close()
    with pytest.raises(UserError, match="exists already"):
        fork(source, tmp_path, config)
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]
