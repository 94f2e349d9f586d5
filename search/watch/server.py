"""Serves the page: on the loopback interface, to who knows the token; reading alone, unless control is asked for.

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
from search.ledger import Ledger, is_driven
from search.ledger.connection import mark
from search.watch.control import Control
from search.watch.page import control_part, page, recorded_parts, running_parts, whole_report

LOOPBACK = "127.0.0.1"
TOKEN_HEADER = "X-Reward-Search-Token"
LOOK_SECONDS, SILENCE_SECONDS = 2.0, 15.0
"""How often the run is looked at, and after how long without a change a reader is told that all is well."""


class Watcher:
    """Looks at a run and keeps what its page shows, part by part, each with the number of its last change."""

    def __init__(self, folder: Path, control: Control | None = None) -> None:
        """`control`: where the page may stop and resume the search."""
        self.folder, self.control = folder, control
        self.changed = threading.Condition()
        self.parts: dict[str, tuple[int, str]] = {}
        self.number = 0
        self._seen: Any = None

    def look(self) -> None:
        found = running_parts(self.folder)
        now = mark(self.folder), is_driven(self.folder), self.control and self.control.problem
        if now != self._seen:
            try:
                found |= recorded_parts(self.folder)
                if self.control is not None:
                    found["control"] = control_part(self.control)
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
            super().__init__((LOOPBACK, port), _Reader if watcher.control is None else _Controller)
        except (OSError, OverflowError) as error:
            raise UserError(f"--port {port} cannot be used ({error}); leave it out for a free one") from None

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """By which this server is reached: a page elsewhere that has its own name resolved to this machine must not
        read it."""
        return f"{LOOPBACK}:{self.server_port}", f"localhost:{self.server_port}"

    def is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode("utf-8", "replace"), self.token.encode())


class _Reader(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        if self.headers.get("Host") not in self.server.hosts:
            return self._refuse(HTTPStatus.FORBIDDEN)
        _, token, *rest = [*self.path.split("?")[0].split("/"), ""]
        if not self.server.is_token(token):
            return self._refuse(HTTPStatus.NOT_FOUND)
        answers: dict[str, Callable[[], None]] = {"": self._page, "events": self._events, "report": self._report}
        return answers.get(rest[0], lambda: self._refuse(HTTPStatus.NOT_FOUND))()

    def _page(self) -> None:
        html, policy = page(self.server.token, control=self.server.watcher.control is not None)
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

    def _refuse(self, status: HTTPStatus, why: str = "") -> None:
        content = why.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def version_string(self) -> str:
        return "reward-search"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the address with its token is for the reader alone."""


class _Controller(_Reader):
    """Also stops and resumes. The token stands in a header of its own: a form or a page elsewhere cannot send it
    without being allowed to by this server first, which allows nothing."""

    def do_POST(self) -> None:
        control, (_, token, *rest) = self.server.watcher.control, [*self.path.split("/"), ""]
        origin = self.headers.get("Origin")
        own = origin is None or origin in [f"http://{host}" for host in self.server.hosts]
        if self.headers.get("Host") not in self.server.hosts or not own:
            return self._refuse(HTTPStatus.FORBIDDEN)
        if not (self.server.is_token(token) and self.server.is_token(self.headers.get(TOKEN_HEADER, ""))):
            return self._refuse(HTTPStatus.NOT_FOUND)
        assert control is not None
        action = {"stop": control.stop, "resume": control.resume}.get(rest[0])
        if action is None:
            return self._refuse(HTTPStatus.NOT_FOUND)
        try:
            action()
        except UserError as error:
            return self._refuse(HTTPStatus.CONFLICT, str(error))
        self._refuse(HTTPStatus.NO_CONTENT)


def watch_run(folder: Path, port: int, say: Callable[[str], None], *, control: bool = False) -> None:
    """Serves until Ctrl-C. `control`: the page can stop and resume the search. Raises UserError if the folder holds no
    search, or the port is taken."""
    Ledger.open(folder).close()
    watcher = Watcher(folder, Control(folder) if control else None)
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
