"""The live page in a real browser; see tests/eval/report/test_browser.py."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from search.watch.server import Server, Watcher

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")


def test_parts_appear_change_and_keep_open_what_a_reader_opened(tmp_path: Path) -> None:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    watcher = Watcher(tmp_path)
    log = '<details data-key="a"><summary>log</summary><p>{}</p></details><img src="x" onerror="document.title = 1">'
    watcher.parts, watcher.number = {"jobs": (1, log.format("one"))}, 1
    with Server(watcher, 0) as server, playwright.sync_playwright() as run:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            chromium = run.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except playwright.Error as error:
            server.shutdown()
            pytest.skip(f"no Chromium to be started: {str(error).splitlines()[0]}")
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
        chromium.close()
        server.shutdown()
