"""Damage in a run directory is found, named and mended; only what is lost runs again."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from search.cli import main
from search.driver.check import check
from search.ledger import LEDGER_FILE, Ledger, driver_lock
from search.ledger.reopening import reopen
from tests.search.instant import InstantExecutor
from tests.search.searches import rows, run_search

SLOW = pytest.mark.slow
SMALL = {
    "search": {"rounds": 1},
    "finals": {
        "ensembles": ["top-2"],
        "seeds": 1,
        "random_controls": {"first_round": 0, "pool": 0},
    },
}
CONTENT = (
    "SELECT evaluations.stage, subject, seed, question, strict, correct, completion_tokens, completions "
    "FROM predictions JOIN evaluations ON evaluation = id ORDER BY 1, 2, 3, 4, 5"
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, run = run_search(tmp_path_factory.mktemp("sound"), **SMALL)
    assert code == 0
    return run


@pytest.fixture
def run(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "run"))


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 0x10
    file.write_bytes(content)


def resumed(run: Path) -> list[str]:
    """Resumes the search; labels of the jobs that ran."""
    ran: list[str] = []
    whole = InstantExecutor._done

    def noted(self: InstantExecutor, job: object, folder: Path) -> object:
        ran.append(job.label)  # type: ignore[attr-defined]
        return whole(self, job, folder)  # type: ignore[arg-type]

    InstantExecutor._done = noted  # type: ignore[method-assign,assignment]
    try:
        assert main(["run", "--run-dir", str(run), "--resume"]) == 0
    finally:
        InstantExecutor._done = whole  # type: ignore[method-assign]
    return ran


def assert_as(run: Path, sound: Path) -> None:
    assert check(run, repair=False) == ([], [])
    assert (run / "leaderboard.json").read_text() == (sound / "leaderboard.json").read_text()
    assert rows(run, CONTENT) == rows(sound, CONTENT)
    assert rows(run, "SELECT call FROM calls") == rows(sound, "SELECT call FROM calls")


def test_a_sound_run_is_called_whole(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(run)]) == 0
    assert capsys.readouterr().out == f"{run} is whole\n"
    assert sorted(path.name for path in run.iterdir() if path.name.startswith("ledger")) == ["ledger.sqlite"]
    assert main(["check", str(run / "nothing")]) == 2


def test_a_flipped_adapter_is_trained_again_and_nothing_else(
    run: Path, sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [(digest,)] = rows(run, "SELECT digest FROM jobs WHERE stage = 'retraining' AND subject = 'top-2'")
    flip(run / "jobs" / digest / "adapter" / "policy.json", 3)
    assert main(["check", str(run)]) == 1
    assert "retraining of top-2" in capsys.readouterr().out
    assert main(["check", str(run), "--repair"]) == 0
    ran = resumed(run)
    assert [label for label in ran if label.startswith("retraining")] == [f"retraining top-2, seed {seed_of(run)}"]
    assert len(ran) == 1
    assert_as(run, sound)


def test_a_damaged_adapter_is_named_before_it_is_asked_anything(
    run: Path, sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(Ledger.open(run, write=True)) as ledger:
        [digest] = [item.digest for item in ledger.jobs("test")]
        reopen(ledger, [digest])
    [(adapter,)] = rows(run, "SELECT digest FROM jobs WHERE stage = 'retraining' AND subject = 'top-2'")
    flip(run / "jobs" / adapter / "adapter" / "policy.json", 3)
    assert main(["run", "--run-dir", str(run), "--resume"]) == 2
    assert "of top-2 with seed" in capsys.readouterr().err
    assert main(["check", str(run), "--repair"]) == 0
    assert len(resumed(run)) == 2
    assert_as(run, sound)


def seed_of(run: Path) -> int:
    [(seed,)] = rows(run, "SELECT seed FROM jobs WHERE stage = 'retraining' AND subject = 'top-2'")
    return int(seed)


@pytest.mark.parametrize("how", ["flipped", pytest.param("truncated", marks=SLOW), pytest.param("gone", marks=SLOW)])
@pytest.mark.parametrize("stage", ["screening", "test", pytest.param("base-rollouts", marks=SLOW)])
def test_lost_completions_have_their_job_run_again(run: Path, sound: Path, how: str, stage: str) -> None:
    names = [row[0] for row in rows(run, f"SELECT completions FROM evaluations WHERE stage = '{stage}'")]
    file = run / "files" / names[-1]
    if how == "flipped":
        flip(file, 40)
    elif how == "truncated":
        file.write_bytes(file.read_bytes()[:-9])
    else:
        file.unlink()
    found, _ = check(run, repair=False)
    assert any(stage in sentence and file.name in sentence for sentence in found)
    check(run, repair=True)
    ran = resumed(run)
    assert len(ran) == 1, ran
    assert_as(run, sound)


def test_completions_that_the_job_kept_come_back_without_a_job(run: Path, sound: Path) -> None:
    [(digest, name)] = rows(
        run,
        "SELECT digest, completions FROM jobs JOIN evaluations USING (stage, subject, seed) WHERE stage = 'retraining' "
        "AND subject = 'top-2'",
    )
    with closing(Ledger.open(run)) as ledger:
        kept = ledger.files.predictions(name)
    listed = ", ".join(prediction.model_dump_json() for prediction in kept)
    (run / "jobs" / digest).mkdir(exist_ok=True)
    (run / "jobs" / digest / "result.json").write_text(f'{{"predictions": [{listed}]}}')
    flip(run / "files" / name, 40)
    assert check(run, repair=True)[1] == ["evaluations made whole again from what was kept of them: 1"]
    assert_as(run, sound)


def test_a_flipped_row_is_taken_from_the_copy(run: Path, sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(run, "UPDATE candidates SET description = 'never said' WHERE position = 0")
    write(run, "UPDATE predictions SET completion_tokens = 1 WHERE evaluation = 1 AND position = 0")
    write(run, "UPDATE milestones SET detail = '{\"name\": \"another\"}' WHERE name = 'winner_named'")
    assert main(["run", "--run-dir", str(run), "--resume"]) == 2
    assert "not what was written" in capsys.readouterr().err
    found, _ = check(run, repair=False)
    assert len(found) == 3
    check(run, repair=True)
    assert_as(run, sound)
    assert rows(run, "SELECT * FROM candidates") == rows(sound, "SELECT * FROM candidates")
    assert rows(run, "SELECT * FROM milestones") == rows(sound, "SELECT * FROM milestones")


def test_a_configuration_with_a_flipped_value_is_taken_from_the_copy(run: Path, sound: Path) -> None:
    write(
        run, "UPDATE facts SET value = replace(value, '\"questions\": 40', '\"questions\": 41') WHERE name = 'config'"
    )
    assert "configuration" in check(run, repair=False)[0][0]
    check(run, repair=True)
    assert_as(run, sound)
    assert rows(run, "SELECT * FROM facts ORDER BY 1") == rows(sound, "SELECT * FROM facts ORDER BY 1")


@pytest.mark.parametrize("page", [0, "middle", pytest.param(1, marks=SLOW), pytest.param("last", marks=SLOW)])
def test_a_page_of_zeros(run: Path, sound: Path, page: int | str) -> None:
    file = run / LEDGER_FILE
    with closing(sqlite3.connect(file)) as connection:
        [size] = connection.execute("PRAGMA page_size").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(file.read_bytes())
    pages = len(content) // size
    number = {"middle": pages // 2, "last": pages - 1}.get(str(page), page)
    content[int(number) * size : (int(number) + 1) * size] = bytes(size)
    file.write_bytes(content)
    assert check(run, repair=False)[0]
    check(run, repair=True)
    assert resumed(run) == []
    assert_as(run, sound)
    assert (run / f"{LEDGER_FILE}.damaged").is_file()


def test_without_a_copy_lost_rows_of_jobs_run_again(run: Path, sound: Path) -> None:
    shutil.rmtree(run / "backup")
    write(run, "DELETE FROM predictions WHERE evaluation = 3 AND position > 7")
    write(run, "DELETE FROM jobs WHERE stage = 'test'")
    write(run, "DELETE FROM evaluations WHERE stage = 'retraining' AND subject = 'top-2'")
    found, done = check(run, repair=True)
    assert len(found) > 3
    assert any("run again" in sentence for sentence in done)
    resumed(run)
    assert_as(run, sound)


def test_a_cut_off_ledger_without_a_copy_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run / "backup")
    (run / LEDGER_FILE).write_bytes(b"\0" * 5000)
    assert main(["check", str(run), "--repair"]) == 2
    assert "no sound copy" in capsys.readouterr().err


def test_a_damaged_copy_is_no_copy(run: Path) -> None:
    [copy] = (run / "backup").iterdir()
    flip(copy, 5000)
    write(run, "UPDATE candidates SET description = 'never said' WHERE position = 0")
    assert check(run, repair=False) == ([], [])


def test_nothing_is_repaired_under_a_driver(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with driver_lock(run):
        assert main(["check", str(run), "--repair"]) == 2
    assert "driven by another process" in capsys.readouterr().err


def write(run: Path, statement: str) -> None:
    with closing(sqlite3.connect(run / LEDGER_FILE, isolation_level=None)) as connection:
        assert connection.execute(statement).rowcount > 0
