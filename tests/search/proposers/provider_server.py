"""Local servers that speak what the providers speak: each protocol's own paths, replies, stops, usages and errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal

Stop = Literal["end", "length", "blocked"]


@dataclass(frozen=True)
class Reply:
    """An HTTP response."""

    body: dict[str, Any]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Protocol:
    """`model`: as litellm writes it. `path`: what a request's path ends with. `base`: what of the address is given as
    `api_base`. `key`: the header, or the part of the address, that holds the key."""

    model: str
    path: str
    base: str
    answer: Callable[[str, Stop], dict[str, Any]]
    error: Callable[[int, str], dict[str, Any]]
    key: str | None
    busy: int
    limit: Callable[[dict[str, Any]], int | None]
    """The limit of tokens in a request's body."""


PROMPT_TOKENS, COMPLETION_TOKENS = 120, 45


def _openai_answer(text: str, stop: Stop) -> dict[str, Any]:
    refusal = "I can't help with that." if stop == "blocked" else None
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None if refusal else text, "refusal": refusal},
                "logprobs": None,
                "finish_reason": {"end": "stop", "length": "length", "blocked": "stop"}[stop],
            }
        ],
        "usage": {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": COMPLETION_TOKENS,
            "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


def _openai_error(status: int, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def _responses_answer(text: str, stop: Stop) -> dict[str, Any]:
    content: dict[str, Any] = {"type": "output_text", "text": text, "annotations": []}
    if stop == "blocked":
        content = {"type": "refusal", "refusal": "I can't help with that."}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "incomplete" if stop == "length" else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if stop == "length" else None,
        "instructions": None,
        "model": "gpt-5-pro",
        "output": [
            {"id": "rs_1", "type": "reasoning", "summary": []},
            {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [content]},
        ],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": PROMPT_TOKENS,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": COMPLETION_TOKENS,
            "output_tokens_details": {"reasoning_tokens": 20},
            "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
        },
    }


def _anthropic_answer(text: str, stop: Stop) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [] if stop == "blocked" else [{"type": "text", "text": text}],
        "stop_reason": {"end": "end_turn", "length": "max_tokens", "blocked": "refusal"}[stop],
        "stop_sequence": None,
        "usage": {
            "input_tokens": PROMPT_TOKENS,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": COMPLETION_TOKENS,
        },
    }


def _anthropic_error(status: int, message: str) -> dict[str, Any]:
    kinds = {401: "authentication_error", 404: "not_found_error", 529: "overloaded_error"}
    return {"type": "error", "error": {"type": kinds.get(status, "invalid_request_error"), "message": message}}


def _gemini_answer(text: str, stop: Stop) -> dict[str, Any]:
    usage = {"promptTokenCount": PROMPT_TOKENS, "totalTokenCount": PROMPT_TOKENS + COMPLETION_TOKENS}
    usage |= {"candidatesTokenCount": COMPLETION_TOKENS - 20, "thoughtsTokenCount": 20}
    if stop == "blocked":
        return {"candidates": [{"finishReason": "SAFETY", "index": 0}], "usageMetadata": usage}
    candidate = {
        "content": {"parts": [{"text": text}], "role": "model"},
        "finishReason": {"end": "STOP", "length": "MAX_TOKENS"}[stop],
        "index": 0,
    }
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash", "responseId": "r"}


def _gemini_error(status: int, message: str) -> dict[str, Any]:
    names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 503: "UNAVAILABLE"}
    return {"error": {"code": status, "message": message, "status": names.get(status, "UNKNOWN")}}


def _ollama_answer(text: str, stop: Stop) -> dict[str, Any]:
    return {
        "model": "llama3",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": "" if stop == "blocked" else text},
        "done": True,
        "done_reason": "length" if stop == "length" else "stop",
        "total_duration": 1,
        "prompt_eval_count": PROMPT_TOKENS,
        "eval_count": COMPLETION_TOKENS,
    }


PROTOCOLS = {
    "openai chat": Protocol(
        "openai/gpt-4o", "/chat/completions", "/v1", _openai_answer, _openai_error, "Authorization", 503,
        lambda body: body.get("max_tokens"),
    ),
    "openai responses": Protocol(
        "openai/gpt-5-pro", "/responses", "/v1", _responses_answer, _openai_error, "Authorization", 503,
        lambda body: body.get("max_output_tokens"),
    ),
    "anthropic messages": Protocol(
        "anthropic/claude-3-7-sonnet-20250219", "/v1/messages", "", _anthropic_answer, _anthropic_error, "x-api-key",
        529, lambda body: body.get("max_tokens"),
    ),
    "gemini": Protocol(
        "gemini/gemini-2.5-flash", ":generateContent", "/v1beta", _gemini_answer, _gemini_error, "x-goog-api-key", 503,
        lambda body: body["generationConfig"].get("max_output_tokens"),
    ),
    "ollama": Protocol(
        "ollama_chat/llama3", "/api/chat", "", _ollama_answer, lambda status, message: {"error": message}, None, 503,
        lambda body: body["options"].get("num_predict"),
    ),
}  # fmt: skip


@dataclass
class ProviderServer:
    """Answers every request with what `play` makes of its body and its number. Keeps requests and paths."""

    play: Callable[[dict[str, Any], int], Reply]
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> ProviderServer:
        outer, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *ignored: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    outer.requests.append(body)
                    outer.headers.append(dict(self.headers))
                    outer.paths.append(self.path)
                    reply = outer.play(body, len(outer.requests) - 1)
                text = json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
