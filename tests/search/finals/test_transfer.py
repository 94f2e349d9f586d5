"""The winner under other settings: trained last, shown apart, and without any say in the search."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from rewards_generated.errors import UserError
from search.cli import main
from search.config.checks import checked_task
from search.config.names import BASE_ONLY
from search.config.plan import plan
from search.config.seeds import retraining_seeds
from search.config.source import parse_config
from search.finals.transfer import require_same_bases
from search.ledger import Ledger
from tests.search.instant import InstantExecutor
from tests.search.searches import rows, run_search, small_config
from trainer.jobs.base import Done, Job
from trainer.testbed import policy_path

FINALS: dict[str, Any] = {"transfer": [{"loss": "dapo"}, {"loss": "dr_grpo", "base_model": str(policy_path())}]}
NAMES = ("loss dapo", f"loss dr_grpo, base_model {policy_path()}")


class PressedOnce(InstantExecutor):
    """The user presses Ctrl-C once, at a run of the base rewards alone under another setting."""

    pressed: ClassVar[bool] = False

    def run(self, jobs: Sequence[Job], folder: Path) -> Iterator[Done]:
        for job in jobs:  # in their order
            if "transfer" in job.label and BASE_ONLY in job.label and not PressedOnce.pressed:
                PressedOnce.pressed = True
                raise KeyboardInterrupt
            yield self._done(job, folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interrupted in its last runs, and resumed."""
    place = tmp_path_factory.mktemp("transfer")
    executor = {"name": f"{__name__}:PressedOnce"}
    finals = {"ensembles": ["top-2"], "random_controls": {"first_round": 0, "pool": 0}, **FINALS}
    code, folder = run_search(place, finals=finals, search={"rounds": 1}, executor=executor)
    assert code == 130
    assert 0 < len(trained(folder)) < 6
    before = trained(folder)
    assert main(["run", "--run-dir", str(folder), "--resume"]) == 0
    assert trained(folder)[: len(before)] == before
    return folder


def trained(folder: Path) -> list[tuple[Any, ...]]:
    return rows(folder, "SELECT subject, seed, description, at FROM jobs WHERE stage = 'transfer' ORDER BY rowid")


def test_winner_and_base_rewards_are_trained_under_each_setting_after_the_test_was_opened(run: Path) -> None:
    ledger = Ledger.open(run)
    named, opened = ledger.milestone("winner_named"), ledger.milestone("test_opened")
    own = {(job.subject, job.seed) for job in ledger.jobs("retraining")}
    finalists = {finalist.name: finalist for finalist in ledger.finalists()}
    ledger.close()
    assert named is not None
    assert opened is not None
    winner = named.detail["name"]
    found = trained(run)
    assert {(subject, seed) for subject, seed, _, _ in found} == {
        (f"{name}: {finalist}", seed) for name in NAMES for finalist, seed in own if finalist in (winner, BASE_ONLY)
    }
    assert {seed for _, seed, _, _ in found} == set(retraining_seeds(3, 2))
    for subject, _, description, at in found:
        job = json.loads(description)
        assert at > opened.at.isoformat()
        assert job["grpo"]["loss"] == ("dapo" if subject.startswith(NAMES[0]) else "dr_grpo")
        assert job["base_model"] == ("testbed" if subject.startswith(NAMES[0]) else str(policy_path()))
        assert (job["evaluation"]["split"], job["evaluation"]["limit"], job["grpo"]["steps"]) == ("test", 50, 5)
        finalist = finalists[subject.rpartition(": ")[2]]
        assert job["ensemble"]["members"] == json.loads(finalist.ensemble.model_dump_json())["members"]


def test_it_is_shown_apart_and_ranks_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = json.loads((run / "leaderboard.json").read_text(encoding="utf-8"))
    assert [entry["name"] for entry in board if entry["transfer"]] == ["top-2"]
    assert not any("loss" in entry["name"] for entry in board)
    for name in NAMES:
        found = next(entry for entry in board if entry["winner"])["transfer"][name]
        sides = [found[side]["accuracy"]["value"] for side in ("winner", "control")]
        assert found["difference"]["value"] == pytest.approx(sides[0] - sides[1])
        assert (found["winner"]["n"], found["luck"], found["failure"]) == (50, "setting", None)
    for form in ("table", "md"):
        assert main(["leaderboard", str(run), "--format", form]) == 0
        assert "Under loss dapo top-2" in " ".join(capsys.readouterr().out.split())
    page = (run / "report.html").read_text(encoding="utf-8")
    assert 'id="transfer"' in page
    assert "Under loss dapo top-2" in page


def test_another_base_policy_whose_files_changed_is_not_trained_further(tmp_path: Path) -> None:
    base = shutil.copytree(policy_path(), tmp_path / "base")
    config = parse_config(small_config(finals={"transfer": [{"base_model": str(base)}]}))
    (tmp_path / "run").mkdir()
    ledger = Ledger.create(tmp_path / "run", {})
    run: Any = SimpleNamespace(config=config, ledger=ledger)
    require_same_bases(run)
    require_same_bases(run)
    (base / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match=r"`finals\.transfer` base_model = .* changed"):
        require_same_bases(run)
    ledger.close()


def test_the_plan_counts_its_runs() -> None:
    without, with_them = (plan(parse_config(small_config(finals=finals))) for finals in ({}, FINALS))
    runs = 2 * (2 + 2)  # two settings, two seeds of the winner and of the base rewards alone
    assert (without.transfers, with_them.transfers) == (0, runs)
    assert with_them.retrainings == without.retrainings
    assert with_them.steps == without.steps + runs * 5
    assert with_them.evaluated_questions == without.evaluated_questions + runs * 50


@pytest.mark.parametrize(
    ("finals", "said"),
    [
        ({"transfer": [{"loss": "grpo"}]}, "names loss grpo, which is how the search trains"),
        ({"transfer": [{}]}, "names nothing"),
        ({"transfer": [{"loss": "dapo"}, {"loss": "dapo", "base_model": "testbed"}]}, "twice"),
        ({"transfer": [{"base_model": "./none"}]}, r"`finals\.transfer` = '\./none'"),
        ({"transfer": [{"loss": "dapo"}], "base_only": False}, "finals.base_only"),
        ({"transfer": [{"loss": "dappo"}]}, "'dappo'"),
        ({"transfer": [{"learning_rate": 1}]}, "learning_rate"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_the_search(finals: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        checked_task(parse_config(small_config(finals=finals)))
