"""Serves the page: on the loopback interface, to who knows the token, reading alone.

The standard library's server is enough for one reader on one machine, and asks for no further package.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rewards_generated.errors import UserError
from search.ledger import Ledger
from search.ledger.connection import mark
from search.watch.page import page, recorded_parts, running_parts, whole_report

LOOPBACK = "127.0.0.1"
LOOK_SECONDS, SILENCE_SECONDS = 2.0, 15.0
"""How often the run is looked at, and after how long without a change a reader is told that all is well."""


class Watcher:
    """Looks at a run and keeps what its page shows, part by part, each with the number of its last change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changed = threading.Condition()
        self.parts: dict[str, tuple[int, str]] = {}
        self.number = 0
        self._seen: Any = None

    def look(self) -> None:
        found = running_parts(self.folder)
        now = mark(self.folder)
        if now != self._seen:
            try:
                found |= recorded_parts(self.folder)
                self._seen = now
            except UserError as error:
                found["state"] = f'<p class="soft">{_escaped(str(error))}</p>'
        new = {name: html for name, html in found.items() if self.parts.get(name, (0, None))[1] != html}
        if new:
            with self.changed:
                self.number += 1
                self.parts |= {name: (self.number, html) for name, html in new.items()}
                self.changed.notify_all()

    def since(self, number: int, seconds: float) -> tuple[int, dict[str, str]]:
        """The number of the last change and the parts that changed after `number`; waits for one."""
        with self.changed:
            self.changed.wait_for(lambda: self.number > number, seconds)
            return self.number, {name: html for name, (at, html) in self.parts.items() if at > number}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, watcher: Watcher, port: int) -> None:
        """Port 0: a free one. Raises UserError if it is taken."""
        self.watcher, self.token = watcher, secrets.token_urlsafe(18)
        try:
            super().__init__((LOOPBACK, port), _Reader)
        except (OSError, OverflowError) as error:
            raise UserError(f"--port {port} cannot be used ({error}); leave it out for a free one") from None

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/{self.token}/"


class _Reader(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        # A page elsewhere that has its own name resolved to this machine must not read it.
        if self.headers.get("Host") not in (
            f"{LOOPBACK}:{self.server.server_port}",
            f"localhost:{self.server.server_port}",
        ):
            return self._refuse(HTTPStatus.FORBIDDEN)
        _, token, *rest = [*self.path.split("?")[0].split("/"), ""]
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            return self._refuse(HTTPStatus.NOT_FOUND)
        answers: dict[str, Callable[[], None]] = {"": self._page, "events": self._events, "report": self._report}
        return answers.get(rest[0], lambda: self._refuse(HTTPStatus.NOT_FOUND))()

    def _page(self) -> None:
        html, policy = page(self.server.token)
        self._send(html, {"Content-Security-Policy": policy})

    def _report(self) -> None:
        # The report has a policy of its own inside it.
        self._send(whole_report(self.server.watcher.folder), {})

    def _events(self) -> None:
        self._head({"Content-Type": "text/event-stream"})
        number = 0
        try:
            while True:
                number, parts = self.server.watcher.since(number, SILENCE_SECONDS)
                words = f"event: parts\ndata: {json.dumps(parts)}\n\n" if parts else ": nothing new\n\n"
                self.wfile.write(words.encode())
                self.wfile.flush()
        except OSError:
            return  # The reader has gone.

    def _send(self, html: str, headers: dict[str, str]) -> None:
        content = html.encode()
        self._head({"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(content)), **headers})
        self.wfile.write(content)

    def _head(self, headers: dict[str, str]) -> None:
        self.send_response(HTTPStatus.OK)
        always = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
        for name, value in {**always, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def version_string(self) -> str:
        return "reward-search"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the address with its token is for the reader alone."""


def watch_run(folder: Path, port: int, say: Callable[[str], None]) -> None:
    """Serves until Ctrl-C. Raises UserError if the folder holds no search, or the port is taken."""
    Ledger.open(folder).close()
    watcher = Watcher(folder)
    with Server(watcher, port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        say(f"watching {folder} at {server.address}")
        say("only this machine reaches it; Ctrl-C ends it, the search goes on")
        try:
            while True:
                watcher.look()
                time.sleep(LOOK_SECONDS)
        finally:
            server.shutdown()


def _escaped(words: str) -> str:
    from markupsafe import escape

    return str(escape(words))
