"""A server that answers as vLLM does, of a model that always says the same; it keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SAID = [5, 6, 1]


class FakeVllm(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, at: Any = ("127.0.0.1", 0), answers: type[Answers] | None = None) -> None:
        super().__init__(at, answers or Answers)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.version = "0.30.0+cpu"
        self.root = "/models/base"
        self.takes_adapters = self.processed = self.sees_files = self.healthy = True
        self.adapters: dict[str, str] = {}
        self.loaded: list[str] = []
        """Every name that was ever given to an adapter."""
        self.asked: list[dict[str, Any]] = []
        self.asleep = False
        self.slept = 0


class Answers(BaseHTTPRequestHandler):
    server: FakeVllm

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        fake = self.server
        if self.path == "/version":
            self._say({"version": fake.version})
        elif self.path == "/v1/models":
            adapters = [{"id": name, "root": path, "parent": "base"} for name, path in fake.adapters.items()]
            self._say({"data": [*adapters, {"id": "base", "root": fake.root, "parent": None}]})
        else:
            self._say({}, 200 if self.path == "/health" and fake.healthy else 503)

    def do_POST(self) -> None:
        fake, body = self.server, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path in ("/sleep?level=1", "/wake_up"):
            fake.asleep = self.path != "/wake_up"
            fake.slept += fake.asleep
            self._say("")
        elif fake.asleep:
            self._refuse(500, "its memory is not there")
        elif self.path == "/v1/completions":
            self._complete(body)
        elif not fake.takes_adapters:
            self._refuse(404, "Not Found")
        elif "lora_name" not in body:
            self._refuse(400, "lora_name is missing")
        elif self.path == "/v1/unload_lora_adapter":
            del fake.adapters[body["lora_name"]]
            self._say("Success")
        elif not fake.sees_files or not Path(body["lora_path"]).is_dir():
            self._refuse(404, f"Loading lora {body['lora_name']} failed: No adapter found for {body['lora_path']}")
        else:
            fake.adapters[body["lora_name"]] = body["lora_path"]
            fake.loaded.append(body["lora_name"])
            self._say("Success")

    def _complete(self, body: dict[str, Any]) -> None:
        fake = self.server
        fake.asked.append(body)
        if not fake.healthy:
            self._refuse(500, "EngineCore encountered an issue")
        elif body["model"] not in {"base", fake.root, *fake.adapters}:
            self._refuse(404, f"The model `{body['model']}` does not exist.")
        else:
            ids = SAID[: body["max_tokens"]]
            value = -0.5 * (body["temperature"] if fake.processed else 1.0)
            steps = [{f"token_id:{id}": value for id in {id, *body.get("logprob_token_ids", ())}} for id in ids]
            asked = body.get("logprobs") is not None
            self._say({"choices": [{"token_ids": ids, "logprobs": {"top_logprobs": steps} if asked else None}]})

    def _refuse(self, status: int, message: str) -> None:
        self._say({"error": {"message": message}}, status)

    def _say(self, content: Any, status: int = 200) -> None:
        written = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)


@contextmanager
def fake_vllm() -> Iterator[FakeVllm]:
    with FakeVllm() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
