"""The live page in a real browser; see tests/browser.py."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from search.ledger import Ledger
from search.watch.control import Control
from search.watch.server import Server, Watcher
from tests.accessibility import violations
from tests.browser import browser
from tests.search.searches import run_search
from tests.search.watch.test_jobs import job, line


@contextmanager
def served(watcher: Watcher) -> Iterator[tuple[Any, Server]]:
    """A browser, and the server of the page."""
    with browser() as chromium, Server(watcher, 0) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield chromium, server
        finally:
            server.shutdown()


def test_parts_appear_change_and_keep_open_what_a_reader_opened(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path)
    log = '<details data-key="a"><summary>log</summary><p>{}</p></details><img src="x" onerror="document.title = 1">'
    watcher.parts, watcher.number = {"jobs": (1, log.format("one"))}, 1
    with served(watcher) as (chromium, server):
        page = chromium.new_page()
        page.goto(server.address)
        page.locator("summary").click()
        page.get_by_text("one").wait_for()
        with watcher.changed:
            watcher.number, watcher.parts = 2, {"jobs": (2, log.format("two"))}
            watcher.changed.notify_all()
        page.get_by_text("two").wait_for(state="visible")
        assert "live, last change" in page.text_content("#connection")
        # Whatever came in a part, the page's policy runs its own script alone.
        assert page.title() == "reward search"


class Told(Control):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.told: list[str] = []

    def stop(self) -> None:
        self.told.append("stop")


@pytest.mark.slow
def test_a_running_search_is_stopped_by_its_button_and_axe_finds_nothing_to_object_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, run = run_search(tmp_path)
    assert code == 0
    log = line("one, seed 1", 1, "2.5") + line("one, seed 1", 10, "3.5") + line("two, seed 1", 1, "2")
    job(run / "jobs", "pack", ["one, seed 1", "two, seed 1"], log, steps=12, stop=None)
    for name in ("search.watch.page.is_driven", "search.watch.server.is_driven"):
        monkeypatch.setattr(name, lambda folder: True)
    monkeypatch.setattr("search.watch.control.state_of", lambda folder, ledger: "running")
    control = Told(run)
    watcher = Watcher(run, control)
    watcher.look()
    with served(watcher) as (chromium, server):
        for scheme in ("light", "dark"):
            for width in (390, 1280):
                page = chromium.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
                page.goto(server.address)
                page.get_by_role("button", name="Stop").wait_for()
                page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
                assert page.locator("[data-place=jobs] svg").count() > 0
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert violations(page) == [], (scheme, width)
        questions: list[str] = []
        page.once("dialog", lambda dialog: (questions.append(dialog.message), dialog.dismiss()))
        page.get_by_role("button", name="Stop").click()
        assert control.told == []
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("stopping …").wait_for()
        assert control.told == ["stop"]
        assert page.get_by_role("button", name="Stop").is_disabled()
        assert "it can be resumed" in questions[0]


@contextmanager
def command(*words: str, **how: Any) -> Iterator[subprocess.Popen[str]]:
    """`reward-search WORDS`, interrupted at the end of the block if it still runs."""
    with subprocess.Popen([sys.executable, "-u", "-m", "search.cli", *words], text=True, **how) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)


@pytest.mark.slow
def test_a_real_quick_search_is_seen_from_its_first_round_to_its_report(tmp_path: Path) -> None:
    run, log = tmp_path / "quick", tmp_path / "log.txt"
    with (
        log.open("w") as out,
        browser() as chromium,
        command("run", "--preset", "testbed-quick", "--run-dir", str(run), stdout=out, stderr=out) as search,
    ):
        until = time.monotonic() + 120
        while not (run / "ledger.sqlite").exists() and time.monotonic() < until and search.poll() is None:
            time.sleep(0.2)
        with command("watch", str(run), stdout=subprocess.PIPE) as watch:
            assert watch.stdout is not None
            address = re.search(r"at (http://\S+)", watch.stdout.readline())
            assert address is not None, log.read_text()
            page, complaints = chromium.new_page(), []
            page.set_default_timeout(1_200_000)
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(address[1])
            # A run in training, with its curves.
            page.locator("[data-place=jobs] progress").first.wait_for()
            page.locator("[data-place=jobs] .curves svg").first.wait_for(state="attached")
            assert search.poll() is None
            # Candidates are ranked while the search goes on, and the round stands in the figure.
            scored = page.locator("[data-place=ranking] tbody .value")
            scored.first.wait_for()
            while_running = scored.count()
            assert search.poll() is None, log.read_text()
            # Its end, told without a reload.
            page.locator("[data-place=state] .eyebrow", has_text="finished").wait_for()
            page.locator("[data-place=finalists] table").first.wait_for()
            page.locator("[data-place=jobs] h2").wait_for(state="detached")
            assert search.wait(120) == 0, log.read_text()
            assert scored.count() > while_running
            names = page.locator("[data-place=ranking] .name").all_text_contents()
            with closing(Ledger.open(run)) as ledger:
                assert sorted(names) == sorted(candidate.name for candidate in ledger.candidates())
            page.get_by_role("link", name="The whole report").click()
            assert page.locator("h1").first.text_content()
            assert complaints == []
