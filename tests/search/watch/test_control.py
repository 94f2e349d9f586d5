"""Stopping and resuming from the page: only where it was asked for, only by who has the page."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rewards_generated.errors import UserError
from search.ledger import Ledger
from search.ledger.lock import LOCK_FILE
from search.watch.control import Control
from search.watch.server import TOKEN_HEADER, Server, Watcher
from tests.search.instant import InstantExecutor
from tests.search.searches import run_search

DRIVER = """
import sys, time
from pathlib import Path
from search.driver.drive import stop_on_termination
from search.ledger import driver_lock
with stop_on_termination(), driver_lock(Path(sys.argv[1])):
    try:
        print("driving", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""


class Told(Control):
    """Notes what it is told in place of doing it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.told: list[str] = []

    def stop(self) -> None:
        self.told.append("stop")

    def resume(self) -> None:
        raise UserError("the search is running already")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(Watcher(tmp_path, Told(tmp_path)), 0) as started:
        threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield started
        started.shutdown()


def posted(server: Server, action: str = "stop", method: str = "POST", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    sent = {TOKEN_HEADER: server.token, **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection.request(method, f"/{server.token}/{action}", headers={k: v for k, v in sent.items() if v != "none"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def told(server: Server) -> list[str]:
    control = server.watcher.control
    assert isinstance(control, Told)
    return control.told


def test_the_page_can_stop_and_hears_why_it_cannot_resume(server: Server) -> None:
    assert posted(server) == (204, "")
    assert posted(server, Origin=f"http://127.0.0.1:{server.server_port}") == (204, "")
    assert told(server) == ["stop", "stop"]
    assert posted(server, "resume") == (409, "the search is running already")


def test_nobody_else_can(server: Server) -> None:
    assert posted(server, X_Reward_Search_Token="none")[0] == 404
    assert posted(server, X_Reward_Search_Token=server.token[:-1])[0] == 404
    assert posted(server, Origin="http://evil.example")[0] == 403
    assert posted(server, Origin="null")[0] == 403
    assert posted(server, Host="evil.example:80")[0] == 403
    assert posted(server, "../wrong/stop")[0] == 404
    assert posted(server, "other")[0] == 404
    assert told(server) == []


def test_reading_changes_nothing_and_no_page_elsewhere_is_allowed_the_header(server: Server) -> None:
    assert posted(server, method="GET")[0] == 404
    assert posted(server, method="OPTIONS", Origin="http://evil.example")[0] == 501
    assert told(server) == []


@contextmanager
def driven(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", DRIVER, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "driving\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_driver_is_stopped_as_by_a_person(tmp_path: Path) -> None:
    with driven(tmp_path) as process:
        Control(tmp_path).stop()
        assert process.stdout is not None
        assert process.stdout.readline() == "stopped\n"


def test_a_process_that_only_stands_in_the_lock_is_left_alone(tmp_path: Path) -> None:
    with driven(tmp_path) as process, subprocess.Popen(["sleep", "60"]) as other:
        lock = tmp_path / LOCK_FILE
        held = lock.read_text(encoding="utf-8")
        lock.write_text(held.replace(str(process.pid), str(other.pid)), encoding="utf-8")
        with pytest.raises(UserError, match="stop it with Ctrl-C"):
            Control(tmp_path).stop()
        lock.write_text(f"process {process.pid} on elsewhere", encoding="utf-8")
        with pytest.raises(UserError, match="another machine, 'elsewhere'"):
            Control(tmp_path).stop()
        with pytest.raises(UserError, match="running already"):
            Control(tmp_path).resume()
        assert process.poll() is None
        assert other.poll() is None
        other.kill()
    with pytest.raises(UserError, match="no process drives"):
        Control(tmp_path).stop()


def test_a_search_that_does_not_go_on_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho 'reward-search: the base policy changed'\nexit 2\n", encoding="utf-8")
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(failing))
    control = Control(tmp_path)
    control.resume()
    assert control._resumed is not None
    control._resumed.wait(10)
    assert control.problem == "reward-search: the base policy changed"


@pytest.mark.slow
def test_a_stopped_search_is_resumed_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as first:

        def interrupted(*anything: object) -> None:
            raise KeyboardInterrupt

        first.setattr(InstantExecutor, "_trained", interrupted)
        code, folder = run_search(tmp_path)
    assert code == 130
    control = Control(folder)
    assert control.state() == "stopped"
    control.resume()
    until = time.monotonic() + 300
    while control.state() != "finished" and time.monotonic() < until:
        assert control.problem is None
        time.sleep(0.2)
    ledger = Ledger.open(folder)
    assert ledger.milestone("finished") is not None
    ledger.close()
