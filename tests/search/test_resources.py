"""A search that runs out of something says so in one sentence, and goes on once there is enough."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from search.cli import main
from search.executors.job_process import exhausted
from search.ledger import driver_lock
from tests.search.searches import run_search, write_config
from tests.search.test_resume import ROOT, leaderboard

SMALL = {
    "search": {"rounds": 1},
    "finals": {"ensembles": ["top-2"], "seeds": 1, "random_controls": {"first_round": 0, "pool": 0}},
}


def search(*arguments: str, **how: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "search.cli", "run", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        **how,  # type: ignore[call-overload]
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code, run = run_search(tmp_path_factory.mktemp("whole"), **SMALL)
    assert code == 0
    return run


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [150, 400, 700, 900, 1100])
def test_a_full_disk_is_a_sentence_and_the_search_goes_on_with_room(
    tmp_path: Path, whole: Path, kilobytes: int
) -> None:
    """On a file system of its own; it needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        config, run = write_config(tmp_path, **SMALL), place / "run"
        done = search("--config", str(config), "--run-dir", str(run))
        assert done.returncode in (0, 2), done.stderr
        assert "Traceback" not in done.stderr
        if done.returncode == 2:
            assert done.stderr.count("\n") == 1
            assert "full" in done.stderr or "No space left" in done.stderr
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        how = ["--resume"] if run.is_dir() else ["--config", str(config)]
        assert main(["run", "--run-dir", str(run), *how]) == 0
        assert leaderboard(run) == leaderboard(whole)
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
def test_without_a_descriptor_left_a_search_ends_in_a_sentence(tmp_path: Path, whole: Path) -> None:
    config, run = write_config(tmp_path, **SMALL), tmp_path / "run"

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (14, 14))

    done = search("--config", str(config), "--run-dir", str(run), preexec_fn=few)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    how = ["--resume"] if run.is_dir() else ["--config", str(config)]
    assert main(["run", "--run-dir", str(run), *how]) == 0
    assert leaderboard(run) == leaderboard(whole)


def test_what_a_job_ran_out_of_is_told_from_its_log() -> None:
    assert exhausted("OSError: [Errno 28] No space left on device: 'x'") == "No space left on device"
    assert exhausted("SafetensorError: I/O error: Too many open files (os error 24)") == "Too many open files"
    assert exhausted("RuntimeError: the reward is wrong") is None


@pytest.mark.slow
def test_a_clock_that_goes_backwards_changes_no_result(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter(range(10_000, 0, -1))
    monkeypatch.setattr(
        "search.ledger.database.now", lambda: f"2026-01-01T00:00:00.{next(moments) % 1000:03}+00:00", raising=True
    )
    monkeypatch.setattr("search.ledger.ledger.now", lambda: "1999-01-01T00:00:00.000+00:00", raising=True)
    code, run = run_search(tmp_path, **SMALL)
    assert code == 0
    assert leaderboard(run) == leaderboard(whole)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "run", "report", "leaderboard", "check", "export", "watch"])
@pytest.mark.parametrize("readable", [False, True])
def test_a_run_of_another_user_is_a_sentence_or_only_read(
    tmp_path: Path, whole: Path, command: str, readable: bool
) -> None:
    """With the rights that any other user has."""
    if os.getuid() != 0 or (setpriv := shutil.which("setpriv")) is None:
        pytest.skip("it takes root to give a folder away, and setpriv to give up what root may")
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    for path in (run, *run.rglob("*")):
        os.chown(path, 65534, 65534)
        path.chmod((0o755 if path.is_dir() else 0o644) if readable else (0o700 if path.is_dir() else 0o600))
    more = {"run": ["--resume"], "export": ["--to", str(tmp_path / "export")]}.get(command, [])
    arguments = ["run", "--run-dir", str(run)] if command == "run" else [command, str(run)]
    if command == "watch" and readable:
        pytest.skip("it serves until it is stopped")
    done = subprocess.run(
        [
            setpriv,
            "--bounding-set",
            "-dac_override,-dac_read_search",
            sys.executable,
            "-m",
            "search.cli",
            *arguments,
            *more,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    reads = readable and command in ("status", "leaderboard", "check", "export")
    assert done.returncode == (0 if reads else 2), done.stderr
    assert reads or done.stderr.count("\n") == 1


def test_the_second_driver_says_who_holds_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, run = run_search(tmp_path, proposer={"name": "manual"})
    assert code == 0
    with driver_lock(run):
        assert main(["run", "--run-dir", str(run), "--resume"]) == 2
    assert f"driven by another process (process {os.getpid()} on " in capsys.readouterr().err
