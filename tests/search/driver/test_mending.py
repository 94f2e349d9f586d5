"""A stopped search is resumed under other settings: what may change, what is written down, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import search
from rewards_generated.errors import UserError
from search.cli import main
from search.config.models import SearchConfig
from search.config.source import load_config, parse_config
from search.driver.launch import recorded_config
from search.driver.mending import mended, record_mending
from search.ledger import Candidate, Ledger
from search.ledger.database import FIRST_CONFIG
from search.proposers.base import LanguageModelCall, UnusableItem
from search.rounds.inputs import TEMPLATE, template_digest
from tests.search.searches import reward_code, run_search, small_config

LITELLM = {"name": "litellm", "options": {"models": "openai/test", "temperature": 0.6}}


def stopped(folder: Path, **changes: Any) -> tuple[SearchConfig, Ledger]:
    config = parse_config(small_config(proposer=LITELLM, **changes))
    facts = {"config": config.plain(), "config_digest": config.digest, TEMPLATE: template_digest(config)}
    return config, Ledger.create(folder / "run", facts)


def resumed(folder: Path, ledger: Ledger, *assignments: str) -> list[tuple[str, Any, Any]]:
    """The changes that these assignments make of the recorded configuration."""
    config = load_config(values=ledger.fact("config"), assignments=assignments)
    return mended(ledger, folder / "run", config)[1]


@pytest.mark.parametrize(
    ("assignment", "before", "after"),
    [
        ("proposer.options.temperature=1", 0.6, 1.0),
        ("proposer.options.temperature=null", 0.6, None),
        ("proposer.options.budget_usd=3", None, 3.0),
        ("proposer.options.budget_calls=null", 200, None),
        ("proposer.options.api_base=http://localhost:8000/v1", None, "http://localhost:8000/v1"),
        ("proposer.options.max_attempts=9", 5, 9),
        ("proposer.options.questions=3", 12, 3),
        ("executor.parallel_jobs=4", "auto", 4),
        ("executor.job_timeout_seconds=60", None, 60.0),
        ("search.rounds=5", 2, 5),
    ],
)
def test_what_mixes_no_results_may_change(tmp_path: Path, assignment: str, before: Any, after: Any) -> None:
    _, ledger = stopped(tmp_path)
    assert resumed(tmp_path, ledger, assignment) == [(assignment.partition("=")[0], before, after)]


def test_models_may_change_and_are_written_out(tmp_path: Path) -> None:
    _, ledger = stopped(tmp_path)
    [(field, before, after)] = resumed(tmp_path, ledger, "proposer.options.models=[{model: openai/other, weight: 2}]")
    assert field == "proposer.options.models"
    assert [item["model"] for item in (*before, *after)] == ["openai/test", "openai/other"]


def test_a_default_written_out_is_no_change(tmp_path: Path) -> None:
    _, ledger = stopped(tmp_path)
    assert resumed(tmp_path, ledger, "proposer.options.budget_calls=200", "proposer.options.budget_usd=null") == []


@pytest.mark.parametrize(
    "assignment",
    [
        "seed=9",
        "task.options.train=39",
        "task.options.seed=null",
        "base_model=other",
        "search.feedback=none",
        "search.select_on=test",
        "search.candidates_per_round=3",
        "screening.questions=30",
        "screening.grpo.steps=6",
        "finals.seeds=1",
        "hardware.threads=2",
        "executor.pack=2",
        "prescreen.enabled=false",
        "proposer.name=manual",
    ],
)
def test_what_would_mix_results_is_refused_by_name(tmp_path: Path, assignment: str) -> None:
    _, ledger = stopped(tmp_path)
    with pytest.raises(UserError, match=f"`{assignment.partition('=')[0]}`.* changed; resume without them"):
        resumed(tmp_path, ledger, assignment, "executor.parallel_jobs=3")


def test_fewer_rounds_than_were_proposed_are_refused(tmp_path: Path) -> None:
    _, ledger = stopped(tmp_path, search={"rounds": 3})
    for number in (1, 2):
        ledger.record_round(number, 2, [], [], 0.0)
    assert resumed(tmp_path, ledger, "search.rounds=2") == [("search.rounds", 3, 2)]
    with pytest.raises(UserError, match=r"`search\.rounds` = 1 is less than the 2 rounds"):
        resumed(tmp_path, ledger, "search.rounds=1")


def test_once_ensembles_are_chosen_the_rounds_are_over(tmp_path: Path) -> None:
    _, ledger = stopped(tmp_path)
    ledger.record_milestone("ensembles_fixed", {})
    with pytest.raises(UserError, match="its rounds are over"):
        resumed(tmp_path, ledger, "search.rounds=3")
    assert resumed(tmp_path, ledger, "executor.parallel_jobs=3")
    ledger.record_milestone("finished", {})
    with pytest.raises(UserError, match="is finished"):
        resumed(tmp_path, ledger, "search.rounds=3")
    for without_effect in ("executor.parallel_jobs=3", "proposer.options.temperature=1"):
        assert resumed(tmp_path, ledger, without_effect) == []
    with pytest.raises(UserError, match="`seed` changed"):
        resumed(tmp_path, ledger, "seed=99")


def test_changes_are_recorded_and_the_first_configuration_is_kept(tmp_path: Path) -> None:
    first, ledger = stopped(tmp_path)
    for assignment in ("proposer.options.temperature=null", "proposer.options.temperature=1"):
        config = load_config(values=ledger.fact("config"), assignments=[assignment])
        record_mending(ledger, *mended(ledger, tmp_path / "run", config))
    assert [str(change) for change in ledger.changes()] == [
        "proposer.options.temperature: 0.6 -> null",
        "proposer.options.temperature: null -> 1.0",
    ]
    assert recorded_config(tmp_path / "run") == config
    assert ledger.fact("config_digest") == config.digest
    assert parse_config(ledger.fact(FIRST_CONFIG)) == first


def test_an_edited_template_is_a_change(tmp_path: Path) -> None:
    template = tmp_path / "prompt.j2"
    template.write_text("one", encoding="utf-8")
    config = parse_config(small_config(proposer={"name": "manual", "options": {"template": str(template)}}))
    facts = {"config": config.plain(), "config_digest": config.digest, TEMPLATE: template_digest(config)}
    ledger = Ledger.create(tmp_path / "run", facts)
    assert mended(ledger, tmp_path / "run", config)[1] == []
    template.write_text("two", encoding="utf-8")
    mended_config, changes = mended(ledger, tmp_path / "run", config)
    assert [field for field, _, _ in changes] == ["proposer.options.template"]
    record_mending(ledger, mended_config, changes)
    assert mended(ledger, tmp_path / "run", config)[1] == []
    template.unlink()
    with pytest.raises(UserError, match=r"proposer\.options\.template.*cannot be read"):
        mended(ledger, tmp_path / "run", config)


def test_empty_rounds_at_the_end_are_proposed_again_from_what_was_answered(tmp_path: Path) -> None:
    _, ledger = stopped(tmp_path)
    made = Candidate("a", 1, 0, "i", reward_code(1), "m", "", "", ())
    ledger.record_round(1, 2, [made], [UnusableItem("malformed", "why", "text")], 0.0)
    ledger.record_call(2, LanguageModelCall("m", "?", "no idea"))
    ledger.record_round(2, 2, [], [UnusableItem("malformed", "why", "text")], 0.0)
    ledger.record_fact("races", {"1.0": ["a"], "2.0": []})
    config = load_config(values=ledger.fact("config"), assignments=["proposer.options.budget_calls=5"])
    record_mending(ledger, *mended(ledger, tmp_path / "run", config))
    assert [item.number for item in ledger.rounds()] == [1]
    assert len(ledger.rounds()[0].unusable) == 1
    assert [call.reply for call in ledger.calls(2)] == ["no idea"]
    assert ledger.fact("races") == {"1.0": ["a"]}


def test_a_mended_search_says_so_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = {"rounds": 1, "candidates_per_round": 1}
    finals = {"ensembles": ["top-1"], "seeds": 1, "random_controls": {"pool": 0, "first_round": 0}}
    code, run = run_search(tmp_path, executor={"options": {"interrupt": "screening"}}, search=one, finals=finals)
    assert code == 130
    changed = ["--set", "executor.options.interrupt=none", "--set", "executor.job_timeout_seconds=60"]
    assert main(["run", "--run-dir", str(run), "--resume", *changed]) == 0
    line = "executor.job_timeout_seconds: null -> 60.0"
    assert line in capsys.readouterr().out
    assert main(["status", str(run)]) == 0
    assert "changed while it ran: 20" in capsys.readouterr().out
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "changed while it ran" in report
    assert "executor.job_timeout_seconds: null -&gt; 60.0" in report


def test_from_python_too(tmp_path: Path) -> None:
    config = small_config(executor={"options": {"interrupt": "untrained"}})
    with pytest.raises(KeyboardInterrupt):
        search.run(config, tmp_path / "run")
    with pytest.raises(UserError, match="`seed` changed"):
        search.run({**config, "seed": 9}, tmp_path / "run", resume=True)
    with pytest.raises(KeyboardInterrupt):
        search.run({**config, "search": {**config["search"], "rounds": 3}}, tmp_path / "run", resume=True)
    assert recorded_config(tmp_path / "run").search.rounds == 3
