"""Who may read the page, and how changes reach it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rewards_generated.errors import UserError
from search.cli import main
from search.watch.server import Server, Watcher
from tests.eval.report.page import Page


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    watcher = Watcher(tmp_path)
    watcher.parts, watcher.number = {"state": (1, "<p>as it is</p>")}, 1
    with Server(watcher, 0) as started:
        threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield started
        started.shutdown()


def asked(server: Server, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path, headers=headers)
    return connection.getresponse()


def test_only_this_machine_reaches_it(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.server_port}/{server.token}/"
    assert len(server.token) >= 24


def test_without_the_token_nothing_is_there(server: Server) -> None:
    for path in (
        "/",
        "/events",
        "/report",
        "/wrong/",
        "/wrong/events",
        f"/{server.token[:-1]}/",
        f"/{server.token}/other",
    ):
        answer = asked(server, path)
        assert (answer.status, answer.read()) == (404, b""), path


def test_a_page_elsewhere_cannot_have_its_name_lead_here(server: Server) -> None:
    assert asked(server, f"/{server.token}/", Host="evil.example:80").status == 403
    assert asked(server, f"/{server.token}/", Host=f"localhost:{server.server_port}").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
def test_it_can_only_be_read(server: Server, method: str) -> None:
    assert asked(server, f"/{server.token}/", method).status == 501


def test_the_page_runs_its_own_script_alone_and_asks_nobody_else(server: Server) -> None:
    answer = asked(server, f"/{server.token}/")
    html = answer.read().decode()
    page, policy = Page(html), answer.headers["Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(page.script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in html.replace("http-equiv", "")
    assert page.unbalanced == []
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    places = {a["data-place"] for a in page.all("div") if "data-place" in a}
    assert places == {"state", "jobs", "ranking", "rounds", "finalists", "cost", "events"}


def event(answer: http.client.HTTPResponse) -> dict[str, str]:
    while not (line := answer.readline()).startswith(b"data: "):
        assert line
    return json.loads(line[6:])


def test_a_reader_gets_all_that_is_there_and_then_what_changes(server: Server) -> None:
    answer = asked(server, f"/{server.token}/events")
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert event(answer) == {"state": "<p>as it is</p>"}
    watcher = server.watcher
    with watcher.changed:
        watcher.number = 2
        watcher.parts["jobs"] = (2, "line one\nline two")
        watcher.changed.notify_all()
    assert event(answer) == {"jobs": "line one\nline two"}


def test_the_ledger_is_read_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    monkeypatch.setattr(
        "search.watch.server.recorded_parts", lambda folder: reads.append(1) or {"state": str(len(reads))}
    )
    watcher = Watcher(tmp_path)
    watcher.look()
    watcher.look()
    assert len(reads) == 1
    (tmp_path / "ledger.sqlite").write_bytes(b"x")
    watcher.look()
    assert len(reads) == 2
    assert watcher.since(0, 0)[1]["state"] == "2"


def test_a_folder_without_a_search_or_a_port_that_is_taken_is_told(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", str(tmp_path)]) == 2
    assert "holds no search" in capsys.readouterr().err
    with pytest.raises(UserError, match=f"--port {server.server_port} cannot be used"):
        Server(server.watcher, server.server_port)
