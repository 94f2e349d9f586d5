"""An OpenAI-compatible chat server on the loopback interface, started by a test and scripted by it.

with OpenAIServer([Answer("..."), Failure(429), Silence()]) as server:
    settings = {"models": "openai/any-name", "api_base": server.url}
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A reply. Tokens default to a quarter of the characters, never more than the request's limit."""

    content: str | None
    finish_reason: str = "stop"
    refusal: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    with_usage: bool = True
    seconds: float = 0.0
    """Until it is sent."""


@dataclass(frozen=True)
class Failure:
    """An error status; `retry_after` in seconds goes into the header."""

    status: int
    message: str = "the server says no"
    retry_after: float | None = None


@dataclass(frozen=True)
class Silence:
    """Works for nothing: bills the longest possible reply, and sends none before the client has given up."""

    seconds: float = 30.0


@dataclass(frozen=True)
class HangUp:
    """Bills the longest possible reply, then closes the connection without a word."""


Step = Answer | Failure | Silence | HangUp
Script = Iterable[Step] | Callable[[dict[str, Any]], Step]


@dataclass
class OpenAIServer:
    """Plays its script, one step per request; a function decides by the request's body. Counts what it would bill."""

    script: Script
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the requests, in order."""
    headers: list[dict[str, str]] = field(default_factory=list)
    billed_tokens: int = 0
    port: int = 0
    """0: any that is free."""

    def __post_init__(self) -> None:
        self._steps: Iterator[Step] | None = None if callable(self.script) else iter(self.script)
        self._lock = threading.Lock()
        self._closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def prompts(self) -> list[str]:
        return [body["messages"][-1]["content"] for body in self.requests]

    def __enter__(self) -> OpenAIServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer._handle(self)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            self.requests.append(body)
            self.headers.append(dict(handler.headers))
            step = self.script(body) if callable(self.script) else next(self._steps or iter(()), None)
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or 0
        prompt_tokens = len(json.dumps(body["messages"])) // 4
        match step:
            case None:
                self._send(handler, 418, {"error": {"message": "the script of the test has ended"}})
            case Failure():
                headers = {} if step.retry_after is None else {"Retry-After": str(step.retry_after)}
                self._send(handler, step.status, {"error": {"message": step.message, "type": "test"}}, headers)
            case Silence() | HangUp():
                self._bill(prompt_tokens + limit)
                if isinstance(step, Silence):
                    self._closing.wait(step.seconds)
                handler.close_connection = True
                handler.connection.close()
            case Answer():
                self._closing.wait(step.seconds)
                self._answer(handler, body, step, prompt_tokens, limit)

    def _answer(
        self, handler: BaseHTTPRequestHandler, body: dict[str, Any], step: Answer, prompt_tokens: int, limit: int
    ) -> None:
        completion_tokens = step.completion_tokens
        if completion_tokens is None:
            completion_tokens = min(limit, len(step.content or "") // 4 + 1)
        usage = {
            "prompt_tokens": step.prompt_tokens if step.prompt_tokens is not None else prompt_tokens,
            "completion_tokens": completion_tokens,
        }
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
        self._bill(usage["total_tokens"])
        message: dict[str, Any] = {"role": "assistant", "content": step.content}
        if step.refusal is not None:
            message["refusal"] = step.refusal
        answer: dict[str, Any] = {
            "id": "test",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": step.finish_reason}],
        }
        if step.with_usage:
            answer["usage"] = usage
        self._send(handler, 200, answer)

    def _bill(self, tokens: int) -> None:
        with self._lock:
            self.billed_tokens += tokens

    def _send(
        self, handler: BaseHTTPRequestHandler, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        content = json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **(headers or {}),
        }.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)
