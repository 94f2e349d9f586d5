"""The Python interface: the page that shows it is run, and what it promises beyond that page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas
import pytest

import search
from rewards_generated import Ensemble, Member, UserError, __version__
from search.events import Event
from tests.search.searches import small_config

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def write_predictions(folder: Path) -> None:
    for name, right in (("base", 40), ("tuned", 60)):
        lines = [json.dumps({"id": number, "correct": number < right}) for number in range(100)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def test_the_page_on_the_python_interface_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_predictions(tmp_path)
    names: dict[str, Any] = {"config": small_config(), "folder": tmp_path}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    assert len(blocks) == 6
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102
    shown = capsys.readouterr().out
    assert re.search(r"round 2: \S+ leads with F1 0\.\d+ \[0\.\d+, 0\.\d+\]", shown)
    board, candidates, predictions = names["board"], names["candidates"], names["predictions"]
    assert names["result"].winner in set(board.name)
    assert (tmp_path / "mine" / "leaderboard.json").is_file()
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert list(candidates["round"]) == [1, 1, 2, 2]
    assert candidates.f1.notna().all()
    recorded = json.loads((tmp_path / "mine" / "leaderboard.json").read_text())
    for entry in recorded:
        own = predictions[(predictions.subject == entry["name"]) & (predictions.split == "test")]
        if len(own):
            assert own.correct.mean() == pytest.approx(entry["test"]["accuracy"]["value"])
    assert {"completion", "total", "step"} <= set(names["rollouts"].columns)
    assert names["total"] is not None
    assert len(names["scores"].totals) == 2
    assert names["done"].result.failure is None
    assert len(names["done"].result.predictions[0]["test"]) == 4


@pytest.mark.slow
def test_events_come_in_order_and_nothing_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Event] = []
    search.run(small_config(), tmp_path / "run", on_event=seen.append)
    assert capsys.readouterr().out == ""
    phases = [event.label for event in seen if isinstance(event, search.PhaseStarted)]
    assert phases[0] == "untrained base policy"
    assert [event.round for event in seen if isinstance(event, search.RoundRanked)] == [1, 2]
    jobs = [event for event in seen if isinstance(event, search.JobEnded)]
    assert len(jobs) == sum(event.jobs for event in seen if isinstance(event, search.PhaseStarted))
    ranking = [event.ranking for event in seen if isinstance(event, search.RoundRanked)][-1]
    accuracies = [scores.accuracy.value for _, scores in ranking]
    assert accuracies == sorted(accuracies, reverse=True)


def test_mistakes_are_said_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(UserError, match="choose another"):
        search.run(small_config(), tmp_path / "taken")
    with pytest.raises(UserError, match="is not a known engine"):
        search.run(small_config(engine={"name": "transformer"}), tmp_path / "run")
    with pytest.raises(UserError, match="stands above the options"):
        search.run(small_config(executor={"options": {"parallel_jobs": 3}}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError):
        search.open_run(tmp_path)


@pytest.mark.slow
def test_a_finished_run_is_read_again_and_refuses_another_configuration(tmp_path: Path) -> None:
    first = search.run(small_config(), tmp_path / "run")
    again = search.run(small_config(), tmp_path / "run", resume=True)
    assert again == first
    with pytest.raises(UserError, match="`seed` changed"):
        search.run({**small_config(), "seed": 9}, tmp_path / "run", resume=True)
    with first.reader() as run:
        assert run.ensemble().name == first.winner
        with pytest.raises(UserError, match="no candidate 'nobody'"):
            run.source("nobody")
        with pytest.raises(UserError, match="no ensemble 'top-9'"):
            run.ensemble("top-9")
        assert "finished" in run.status


def test_what_is_unscored_is_missing(tmp_path: Path) -> None:
    config = small_config()
    config["executor"]["options"] = {"fail": "screening reward-1"}
    with search.run(config, tmp_path / "run").reader() as run:
        failed = run.candidates().query("status == 'failed'")
        assert len(failed)
        assert failed.f1.isna().all()
        assert failed.reasons.str.contains("reward calls failed").all()
        assert isinstance(run.predictions(), pandas.DataFrame)


def test_an_ensemble_says_what_it_is() -> None:
    ensemble = Ensemble(name="mine", members=(Member(name="format_exact"), Member(name="answer_check", weight=0.5)))
    assert repr(ensemble) == "<Ensemble 'mine': sum of 1 format_exact, 0.5 answer_check>"


def test_importing_the_packages_is_light() -> None:
    code = (
        "import sys, search, eval, trainer, rewards_generated; "
        "heavy = {'torch', 'pandas', 'pydantic', 'litellm', 'numpy', 'rich'} & set(sys.modules); "
        "assert not heavy, heavy; assert search.__version__; assert 'run' in dir(search); search.load_config"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert __version__


@pytest.mark.parametrize("package", ["search", "eval", "trainer", "rewards_generated"])
def test_every_offered_name_is_there_and_typed(package: str) -> None:
    module = __import__(package)
    assert all(getattr(module, name) is not None for name in module.__all__)
    assert set(module.__all__) < set(dir(module))
    assert (Path(module.__file__).parent / "py.typed").is_file()
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing
