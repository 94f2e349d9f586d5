"""The study of feedback on the instant executor: what the arms share, what they are told, and what is compared."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import fmean

import pytest

from search.config.source import parse_config
from search.ledger import Ledger
from search.results.ranking import Outcome, outcomes
from search.study.questions import Questions
from tests.search.searches import reward_code
from tests.search.study.studies import (
    ARMS,
    InterruptedInThirdSearch,
    RecordingExecutor,
    opened,
    record,
    run_study,
    small,
)
from tests.search.study.studies import main as command


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    RecordingExecutor.trained.clear()
    folder = tmp_path_factory.mktemp("feedback") / "study"
    assert run_study(folder) == 0
    trained = list(RecordingExecutor.trained)
    (folder / "trained.json").write_text(json.dumps(trained))
    return folder


def candidates(folder: Path, seed: int, part: str, number: int) -> list[dict[str, object]]:
    ledger = opened(folder, seed, part)
    try:
        return [
            {"name": item.name, "identity": item.identity, "told": json.loads(item.description)}
            for item in ledger.candidates(number)
        ]
    finally:
        ledger.close()


def screenings(folder: Path, seed: int, part: str) -> dict[str, str]:
    """Digest of the screening by candidate."""
    ledger = opened(folder, seed, part)
    try:
        return {job.subject: job.digest for job in ledger.jobs("screening")}
    finally:
        ledger.close()


def test_the_arms_of_a_seed_share_a_first_round_that_is_trained_once(study: Path) -> None:
    trained = [digest for _, digest in json.loads((study / "trained.json").read_text())]
    for seed in (0, 1):
        first = candidates(study, seed, "first-round", 1)
        assert len(first) == 2
        shared = screenings(study, seed, "first-round")
        for arm in ARMS:
            assert candidates(study, seed, arm, 1) == first
            assert shared.items() <= screenings(study, seed, arm).items()
        assert all(trained.count(shared[str(item["name"])]) == 1 for item in first)


def test_a_candidate_of_several_arms_is_trained_once_and_scored_alike(study: Path) -> None:
    trained = [digest for _, digest in json.loads((study / "trained.json").read_text())]
    for seed in (0, 1):
        common = {arm: candidates(study, seed, arm, 2)[0] for arm in ARMS}
        assert len({str(item["identity"]) for item in common.values()}) == 1
        digests = {screenings(study, seed, arm)[str(common[arm]["name"])] for arm in ARMS}
        assert len(digests) == 1
        assert trained.count(digests.pop()) == 1
    units = record(study)["units"]
    for seed in (0, 1):
        scores = {next(c["f1"] for c in units[f"seed-{seed}-{arm}"]["candidates"] if c["round"] == 2) for arm in ARMS}
        assert len(scores) == 1


def test_seeds_are_common_to_arms_and_differ_between_searches(study: Path) -> None:
    seeds = {}
    for seed in (0, 1):
        for arm in ARMS:
            ledger = opened(study, seed, arm)
            seeds[seed, arm] = {job.seed for job in ledger.jobs("screening") if job.subject.startswith("reward")}
            ledger.close()
        assert len({frozenset(seeds[seed, arm]) for arm in ARMS}) == 1
    assert not seeds[0, "ranked"] & seeds[1, "ranked"]


def test_every_arm_is_told_what_it_is_called(study: Path) -> None:
    for seed in (0, 1):
        ledger = opened(study, seed, "first-round")
        truth = {s.candidate.name: s.scores.f1.value for s in _outcomes(ledger) if s.scores}
        ledger.close()
        order = sorted(truth, key=lambda name: -truth[name])
        mode, told, figures = candidates(study, seed, "ranked", 2)[0]["told"]  # type: ignore[misc]
        assert (mode, told) == ("ranked", order)
        assert figures == [truth[name] for name in order]
        assert candidates(study, seed, "none", 2)[0]["told"] == ["none", [], []]
        assert candidates(study, seed, "independent", 2)[0]["told"] == ["independent", [], []]
        mode, told, figures = candidates(study, seed, "shuffled", 2)[0]["told"]  # type: ignore[misc]
        assert mode == "shuffled"
        assert sorted(told) == sorted(order)
        assert figures == [truth[name] for name in order]


def test_what_is_compared_is_in_the_ledgers(study: Path) -> None:
    found = record(study)
    last: dict[tuple[str, int], float] = {}
    best: dict[tuple[str, int], float] = {}
    for seed in (0, 1):
        for arm in ARMS:
            ledger = opened(study, seed, arm)
            scored = {s.candidate: s.scores.f1.value for s in _outcomes(ledger) if s.scores}
            ledger.close()
            last[arm, seed] = fmean(f1 for candidate, f1 in scored.items() if candidate.round == 2)
            best[arm, seed] = max(scored.values())
    for family, values in zip(found["families"], (last, best), strict=False):
        for comparison in family["comparisons"]:
            first, second = comparison["first"], comparison["second"]
            expected = [values[first, seed] - values[second, seed] for seed in (0, 1)]
            assert comparison["differences"] == pytest.approx(expected)
            assert comparison["estimate"]["value"] == pytest.approx(fmean(expected))
    assert [family["primary"] for family in found["families"]] == [True, False, False]
    assert found["complete"]


def test_ensembles_come_from_the_right_pools_and_only_they_see_the_test_split(study: Path) -> None:
    for seed in (0, 1):
        for part in ("first-round", *ARMS):
            ledger = opened(study, seed, part)
            assert ledger.milestone("test_opened") is None
            assert ledger.finalists() == []
            ledger.close()
        known = {arm: {item["name"] for n in (1, 2) for item in candidates(study, seed, arm, n)} for arm in ARMS}
        ledger = opened(study, seed, "controls")
        named, test_opened = ledger.milestone("winner_named"), ledger.milestone("test_opened")
        finalists = {item.name: set(item.candidates) for item in ledger.finalists()}
        ledger.close()
        assert named is not None
        assert test_opened is not None
        assert named.at <= test_opened.at
        assert finalists.keys() == {"top-2", "base-rewards-only", "random-pool-1", "random-pool-2"}
        assert finalists["top-2"] <= known["ranked"]
        assert len(finalists["random-pool-1"]) == len(finalists["random-pool-2"]) == 2
        assert finalists["random-pool-1"] | finalists["random-pool-2"] <= known["none"]
        entries = {item["name"]: item for item in record(study)["units"][f"seed-{seed}-controls"]["entries"]}
        draws = [entries[f"random-pool-{n}"]["f1"] for n in (1, 2)]
        compared = record(study)["families"][2]["comparisons"][0]["differences"][seed]
        assert compared == pytest.approx(entries["top-2"]["f1"] - fmean(draws))


def test_resuming_a_finished_study_runs_nothing(study: Path) -> None:
    before = {file.name: file.stat().st_mtime_ns for file in (study / "results").iterdir()}
    figures = record(study)["families"]
    RecordingExecutor.trained.clear()
    (study / "report.html").unlink()
    assert command(["study", "feedback", "--run-dir", str(study), "--resume"]) == 0
    assert RecordingExecutor.trained == []
    assert {file.name: file.stat().st_mtime_ns for file in (study / "results").iterdir()} == before
    assert record(study)["families"] == figures
    assert (study / "report.html").is_file()


@pytest.mark.slow
def test_an_interrupted_study_reports_what_is_there_and_select(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    InterruptedInThirdSearch.pressed = False
    RecordingExecutor.trained.clear()
    folder = tmp_path / "study"
    assert run_study(folder, executor="InterruptedInThirdSearch") == 130
    assert f"reward-search study feedback --run-dir {folder} --resume" in capsys.readouterr().out.replace("\n", " ")
    assert not record(folder)["complete"]
    assert "not over" in (folder / "report.md").read_text()
    before = list(RecordingExecutor.trained)
    assert command(["study", "feedback", "--run-dir", str(folder), "--resume"]) == 0
    assert record(folder)["units"] == record(study)["units"]
    assert record(folder)["families"] == record(study)["families"]
    assert not set(before) & set(RecordingExecutor.trained[len(before) :])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "screening.grpo.steps=7"], "`screening.grpo.steps` changed"),
        (["--searches", "3"], "`seeds` changed"),
        (["--size", "full"], "`size` changed"),
    ],
)
def test_a_changed_study_is_not_resumed(
    arguments: list[str], said: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["study", "feedback", "--run-dir", str(study), "--resume", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "search.feedback=none"], "it is what the study varies"),
        (["--set", "search.rounds=1"], "set 2 or more"),
        (["--set", "finals.ensembles=[top-2, top-3]"], "finals.ensembles=[top-5]"),
        (["--set", "finals.random_controls.first_round=1"], "set it to 0"),
        (["--set", "search.select_on=test"], "set finals.random_controls.pool to 0"),
        (["--set", "search.round=3"], "did you mean 'rounds'"),
        (["--searches", "1"], "give at least 2"),
        (["--size", "huge"], "huge"),
        (["--resume"], "holds no study"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["study", "feedback", "--run-dir", str(tmp_path / "study"), *small(), *arguments]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "study").exists()


def test_a_study_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("precious")
    assert run_study(tmp_path) == 2
    assert "exists already" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_the_plan_counts_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_study(tmp_path / "study", "--searches", "4", "--dry-run") == 0
    out = " ".join(capsys.readouterr().out.split())
    # Per seed: three in the first round, two in each arm, and four ensembles and controls.
    assert f"{4 * (3 + 8 + 4)} training runs" in out
    assert f"{4 * (3 + 8 + 4) * 20:,} GRPO steps" in out
    assert "seeds 0 to 3" in out
    assert "no corrected p below 0.375" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_people_answer_blind_and_the_arms_are_told_what_they_should_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "study"
    asked: list[set[str]] = []
    assert run_study(folder, "--set", "proposer.name=manual") == 0
    while not (folder / "results.json").exists():
        told = capsys.readouterr().out
        assert not any(f"feedback {arm}" in told for arm in ARMS)
        assert "mean F1" not in told
        questions = open_questions(folder)
        asked.append({re.sub(r"data-[0-9a-f]{8}", "mark", question) for question in questions.values()})
        for number, name in enumerate(questions):
            answer(folder, name, 10 * len(asked) + 100 * number)
        assert command(["study", "feedback", "--run-dir", str(folder), "--resume"]) == 0
    first, second = asked
    assert len(first) == 2  # one of each seed, which all arms share
    assert len(second) == 8
    assert sum("# Results so far" in question for question in second) == 4
    assert sum("# Proposed so far" in question for question in second) == 2
    assert first < second  # those of `independent`
    assert record(folder)["complete"]
    assert "a name that tells of no arm" in (folder / "report.md").read_text()
    for seed in (0, 1):
        for arm in ARMS:
            ledger = opened(folder, seed, arm)
            assert len(ledger.calls(1)) == len(ledger.calls(2)) == 1
            assert {item.origin for item in ledger.candidates()} == {"manual"}
            ledger.close()


def test_some_of_the_questions_may_be_answered_and_others_stay_up(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    assert run_study(folder, "--set", "proposer.name=manual") == 0
    names = list(open_questions(folder))
    answer(folder, names[0], 10)
    (folder / "answers" / f"{names[1]}.md").touch()  # an editor has just opened it
    resume = ["study", "feedback", "--run-dir", str(folder), "--resume"]
    assert command(resume) == 0
    assert names[0] not in open_questions(folder)
    assert names[1] in open_questions(folder)
    assert len(open_questions(folder)) == 1 + len(ARMS)
    before = open_questions(folder)
    assert command(resume) == 0
    assert open_questions(folder) == before


def open_questions(folder: Path) -> dict[str, str]:
    """Text by name, of those without an answer."""
    return {
        name: (folder / "questions" / f"{name}.md").read_text(encoding="utf-8") for name in Questions(folder).unanswered
    }


def answer(folder: Path, name: str, number: int) -> None:
    candidates = (
        f"name: answer_{n}\nfamily: other\ndescription: one\n```python\n{reward_code(n)}\n```\n"
        for n in (number, number + 1)
    )
    (folder / "answers" / f"{name}.md").write_text("\n".join(candidates), encoding="utf-8")


def _outcomes(ledger: Ledger) -> list[Outcome]:
    return outcomes(parse_config(ledger.fact("config")), ledger)
