"""`reward-search export`: of a finished search, of a saved ensemble, and what a user can get wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rewards_generated import load
from rewards_generated.ensemble import how_found
from search.cli import main
from search.ledger import Ledger
from tests.rewards_generated.export.hosts import load as load_module
from tests.search.searches import run_search

SAVED = """
aggregation = "sum"

[[members]]
name = "answer_check"

[[members]]
name = "{member}"
"""


CONSTANT = "code = '''def reward(prompt, completion, answer): return 1.0'''\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, folder = run_search(tmp_path_factory.mktemp("search"))
    assert code == 0
    return folder


def finalists(run: Path) -> dict[str, object]:
    ledger = Ledger.open(run)
    try:
        return {item.name: item.ensemble for item in ledger.finalists()}
    finally:
        ledger.close()


@pytest.mark.slow
def test_every_ensemble_of_a_run_can_be_exported(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, ensemble in finalists(run).items():
        target = tmp_path / name
        assert main(["export", str(run), "--ensemble", name, "--to", str(target)]) == 0
        assert "without a sandbox" in capsys.readouterr().out
        assert load(target) == ensemble
        module = load_module(target / "reward.py")
        assert name == module.NAME


def test_the_named_winner_is_the_default_and_its_card_tells_the_story(run: Path, tmp_path: Path) -> None:
    ledger = Ledger.open(run)
    milestone = ledger.milestone("winner_named")
    assert milestone is not None
    winner = milestone.detail["name"]
    digest = ledger.fact("config_digest")
    ledger.close()
    assert main(["export", str(run), "--to", str(tmp_path / "out")]) == 0
    assert load(tmp_path / "out").name == winner
    text = " ".join((tmp_path / "out" / "README.md").read_text(encoding="utf-8").replace("\\", "").split())
    assert "Brackets hold new questions and new training seeds." in text
    assert digest in text
    assert "testbed is a task and a policy made" in text
    assert f"| {winner} (this one) | test | 0." in text
    assert f"| {winner} (this one) | validation | 0." in text
    for control in ("untrained-base", "base-rewards-only", "random-"):
        assert f"| {control}" in text
    assert "was named the winner on validation" in text
    assert "of 28 checks" in text
    assert "(from test)" in text


def test_saved_ensembles_are_exported_by_name_and_by_file(tmp_path: Path) -> None:
    assert main(["export", "base_rewards", "--to", str(tmp_path / "by_name")]) == 0
    assert load(tmp_path / "by_name") == load("base_rewards")
    file = tmp_path / "mine.toml"
    file.write_text(SAVED.format(member="repair"), encoding="utf-8")
    assert main(["export", str(file), "--to", str(tmp_path / "by_file")]) == 0
    assert load(tmp_path / "by_file") == load(file)
    assert main(["export", str(tmp_path / "by_file"), "--to", str(tmp_path / "again")]) == 0
    text = (tmp_path / "by_file" / "reward.py").read_text(encoding="utf-8")
    assert (tmp_path / "again" / "reward.py").read_text(encoding="utf-8") == text


def test_how_an_ensemble_was_found_travels_with_it(tmp_path: Path) -> None:
    assert main(["export", "testbed_top_5", "--to", str(tmp_path / "once")]) == 0
    assert main(["export", str(tmp_path / "once"), "--to", str(tmp_path / "twice")]) == 0
    assert how_found(tmp_path / "twice") == how_found("testbed_top_5")
    text = (tmp_path / "twice" / "README.md").read_text(encoding="utf-8")
    assert "answers 0.748" in text
    assert "This export measured nothing itself." in text
    assert load(tmp_path / "twice") == load("testbed_top_5")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{run}", "--ensemble", "top-9"], "has no ensemble and no candidate 'top-9': did you mean 'top-3'?"),
        (
            ["{tmp}/none"],
            "neither the folder of a run, a TOML file nor a saved ensemble (saved: base_rewards, testbed_top_5)",
        ),
        (["{tmp}/none", "--ensemble", "top-2"], "is not the folder of a run"),
        (["{tmp}", "--ensemble", "top-2"], "holds no search"),
        (["base_rewards", "--ensemble", "top-2"], "is not the folder of a run"),
        (["{tmp}/bad.toml"], "'constant' of ensemble 'bad' is not exported, the gate rejected it"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], said: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.toml").write_text(SAVED.format(member="constant") + CONSTANT, encoding="utf-8")
    given = [argument.format(run=run, tmp=tmp_path) for argument in arguments]
    capsys.readouterr()
    assert main(["export", *given, "--to", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


def test_the_folder_is_checked_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    capsys.readouterr()
    assert main(["export", "base_rewards", "--to", str(tmp_path)]) == 2
    assert "is not an empty folder; export to another one" in capsys.readouterr().err
    assert main(["export", "base_rewards"]) == 2
    assert "--to" in capsys.readouterr().err


def test_a_run_before_its_end_has_no_ensembles_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, folder = run_search(
        tmp_path, executor={"name": "tests.search.instant:InstantExecutor"}, proposer={"name": "manual"}
    )
    assert code == 0
    capsys.readouterr()
    assert main(["export", str(folder), "--to", str(tmp_path / "out")]) == 2
    assert (
        "has no named winner; choose an ensemble (none yet, they are fixed after the last round)"
        in capsys.readouterr().err
    )


def test_a_candidate_can_be_taken_home_with_the_base_rewards(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger.open(run)
    candidate = ledger.candidates()[0]
    ledger.close()
    assert main(["source", str(run), candidate.name]) == 0
    assert capsys.readouterr().out.strip() == candidate.code.strip()
    assert main(["export", str(run), "--ensemble", candidate.name, "--to", str(tmp_path / "out")]) == 0
    taken = load(tmp_path / "out")
    assert [member.name for member in taken.members] == [
        "format_exact",
        "format_approximate",
        "answer_check",
        candidate.name,
    ]
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8").replace("\\", "")
    assert f"| {candidate.name} (this one) | validation | 0." in text
    assert "candidate with the base rewards" in text
    assert "seeds of its own" not in text
    rollouts = tmp_path / "rollouts.jsonl"
    rollouts.write_text('{"prompt": "p", "completion": "<solution>2</solution>", "answer": "2"}\n')
    capsys.readouterr()
    assert main(["score", f"{run}:{candidate.name}", str(rollouts)]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert scores["answer_check"] == 3.0
    assert candidate.name in scores


def test_a_python_file_can_be_exported(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def closeness(completions, answer, **kwargs):\n"
        "    pairs = zip(completions, answer)\n"
        "    return [1.0 if f'<solution> {gold} </solution>' in text else len(text) / 1e5 for text, gold in pairs]\n"
    )
    assert main(["export", f"{tmp_path}/mine.py:closeness", "--to", str(tmp_path / "out")]) == 0
    assert load(tmp_path / "out").name == "closeness"
