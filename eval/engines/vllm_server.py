"""One model on a vLLM server: started by this process, or running at an address for several jobs at once."""

from __future__ import annotations

import http.client
import json
import socket
import time
import uuid
import weakref
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from eval.engines.base import RETURN_SECONDS, EngineLost, EngineUnusable
from eval.engines.vllm_process import ServerProcess
from eval.engines.vllm_served import MOST_ROWS, Completed, Served, ServedModel, Warm
from rewards_generated.errors import UserError

START_SECONDS = 1800.0
"""A server that does not answer for so long after its start, with weights to fetch, never will."""
ANSWER_SECONDS = 1800.0
"""For a row; many rows of other jobs may come before it."""
NEUTRAL = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
"""Where a request says nothing, a server may take what the model's folder says."""


class Refused(Exception):
    """The server's answer to a request that it did not carry out: its status and what it said."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


class ServerClient:
    """Asks a vLLM server, each time over a connection of its own, so that threads may ask side by side."""

    def __init__(self, where: str) -> None:
        """`where`: an address, http://host:port, or the path of a socket."""
        self._where = where

    def ask(self, path: str, body: Mapping[str, Any] | None = None, seconds: float = ANSWER_SECONDS) -> Any:
        """The answer, from JSON where it is that. Raises Refused, OSError or HTTPException if it does not answer."""
        connection = self._connection(seconds)
        try:
            if body is None:
                connection.request("GET", path)
            else:
                connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        try:
            found = json.loads(text)
        except ValueError:
            found = text
        if answer.status != 200:
            error = found.get("error") if isinstance(found, dict) else None
            said = error.get("message") if isinstance(error, dict) else text
            raise Refused(answer.status, " ".join(str(said).split())[:300])
        return found

    def healthy(self) -> bool:
        try:
            self.ask("/health", seconds=10.0)
        except (OSError, http.client.HTTPException, Refused):
            return False
        return True

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        if self._where.startswith("/"):
            return _SocketConnection(self._where, seconds)
        parts = urlsplit(self._where)
        return http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=seconds)


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


_VERSIONS: dict[str, str] = {}
"""By address: what was told last."""


def known_version(address: str) -> str:
    """Of the vLLM at the address, or of that which was there when this process asked before: a search goes on while it
    is away, and its jobs wait for it. Raises EngineUnusable if there was none."""
    try:
        _VERSIONS[address] = running_version(address)
    except EngineUnusable:
        if address not in _VERSIONS:
            raise
    return _VERSIONS[address]


def running_version(address: str) -> str:
    """Raises EngineUnusable if there is no vLLM at the address."""
    try:
        answer = ServerClient(address).ask("/version", seconds=10.0)
        return f"vllm {str(answer['version']).partition('+')[0]}"
    except (OSError, http.client.HTTPException) as error:
        reason = f"does not answer ({error})"
    except (Refused, TypeError, KeyError):
        reason = "is no vLLM server: it does not tell its version at /version"
    raise EngineUnusable(
        f"engine.options.server = {address!r} {reason}; start vLLM there, or leave the option out: vLLM then runs in "
        "the process of each job"
    )


class ModelOnServer(ServedModel):
    """Rows are asked for side by side, and the server puts them into batches as it likes."""

    name: str
    """Of the model itself, in requests."""

    def __init__(self, served: Served, client: ServerClient) -> None:
        super().__init__(served)
        self._client = client
        self._own = uuid.uuid4().hex[:12]
        """What no other job's adapters are called by."""
        self._count = 0

    def complete(
        self, prompts: Sequence[Sequence[int]], asked: Sequence[Mapping[str, Any]], adapters: Sequence[str | None]
    ) -> list[Completed]:
        if not prompts:
            return []
        names = [known or self.name for known in self.hold(adapters)]
        with ThreadPoolExecutor(min(len(prompts), MOST_ROWS)) as threads:
            return list(threads.map(self._row, prompts, asked, names))

    @abstractmethod
    def _lost(self, why: str) -> Exception:
        """What to raise where the server does not answer any more."""

    @abstractmethod
    def _refused(self, folder: str, why: str) -> Exception:
        """What to raise where it does not take the adapter in the folder."""

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Raises Refused by a server that goes on, and what `_lost` says of one that does not."""
        try:
            return self._client.ask(path, body)
        except (OSError, http.client.HTTPException) as error:
            why = f"{type(error).__name__}: {error}"
        except Refused as error:
            if self._client.healthy():
                raise
            why = str(error)
        raise self._lost(why)

    def _row(self, prompt: Sequence[int], asked: Mapping[str, Any], name: str) -> Completed:
        body = {**NEUTRAL, **asked, "model": name, "prompt": list(prompt)}
        body |= {"return_token_ids": True, "return_tokens_as_token_ids": True}
        if "logprob_token_ids" in asked:
            body["logprobs"] = 0
        try:
            [choice] = self._ask("/v1/completions", body)["choices"]
        except Refused as error:
            if error.status == 404:  # it does not know the adapter any more: it was started again in between
                raise self._lost(str(error)) from None
            raise UserError(f"vLLM refuses a request: {error}") from None
        steps = (choice["logprobs"] or {}).get("top_logprobs") or ()
        return Completed(choice["token_ids"], [{_token(name): value for name, value in step.items()} for step in steps])

    def _load(self, folder: str) -> str:
        self._count += 1
        name = f"{self._own}-{self._count}"
        try:
            self._ask("/v1/load_lora_adapter", {"lora_name": name, "lora_path": folder})
        except Refused as error:
            raise self._refused(folder, str(error)) from None
        return name

    def _unload(self, held: str) -> None:
        _unload(self._client, held)


def started_server(fields: Mapping[str, Any], folder: Path | None) -> ServerProcess:
    """A server of this process's, once it answers. `fields`: as `model_fields` gives them. `folder`: where its log
    goes. Raises EngineUnusable if it ends before it is ready, EngineLost if it is killed."""
    process = ServerProcess(fields, folder)
    client, until = ServerClient(process.socket), time.monotonic() + START_SECONDS
    while not client.healthy():
        ended = process.ended()
        if ended or time.monotonic() > until:
            how = ended or f"was not ready after {START_SECONDS:.0f} s"
            kind, said = (EngineLost if process.killed() else EngineUnusable), process.last_words()
            process.stop()
            raise kind(f"the vLLM server of a job {how} while it started; its log {process.log} says: {said}")
        time.sleep(0.2)
    return process


class StartedModel(ModelOnServer):
    """On a server that this process starts and that ends with it."""

    def __init__(self, served: Served, fields: Mapping[str, Any], folder: Path | None) -> None:
        """As `started_server` does, and raises."""
        self._process = started_server(fields, folder)
        super().__init__(served, ServerClient(self._process.socket))
        self.name = served.source

    def stop(self) -> None:
        self._held = {}
        self._process.stop()

    def _fall_asleep(self) -> None:
        self._ask("/sleep?level=1", {})

    def _wake_up(self) -> None:
        self._ask("/wake_up", {})

    def _lost(self, why: str) -> Exception:
        # A connection breaks some moments before the process that held it counts as ended.
        until = time.monotonic() + 2.0
        while not (ended := self._process.ended()) and time.monotonic() < until:
            time.sleep(0.05)
        self._process.stop()
        how = ended or "does not answer any more"
        return EngineLost(f"the vLLM server of this job {how} ({why}); its log is {self._process.log}")

    def _refused(self, folder: str, why: str) -> Exception:
        return UserError(f"vLLM cannot serve the adapter {folder!r}: {why}")


class ModelAtAddress(ModelOnServer):
    """On a server that others started, and that other jobs use too. It has to read the folders that jobs write."""

    def __init__(self, served: Served, address: str) -> None:
        """Raises EngineUnusable if the server cannot do what is needed."""
        super().__init__(served, ServerClient(address))
        self._address = address
        base = next(model for model in self._ask("/v1/models")["data"] if model["parent"] is None)
        self.name = base["id"]
        if not _same(base["root"], served.source):
            raise self._unusable(
                f"serves {base['root']!r}, and the base policy is {served.source!r}: start it with that"
            )
        self._require_adapters()
        self._require_processed()
        # What it holds of this job's goes with the job.
        self._end = weakref.finalize(self, _unload_all, self._client, self._held)

    def stop(self) -> None:
        self._end()

    def _require_adapters(self) -> None:
        try:
            self._ask("/v1/load_lora_adapter", {})
        except Refused as error:
            if error.status == 404:
                raise self._unusable(
                    "takes no adapters: start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 and --enable-lora"
                ) from None

    def _require_processed(self) -> None:
        """Log-probabilities have to be those at the temperature of the sampling."""
        asked = [{"max_tokens": 1, "temperature": by, "seed": 0, "logprob_token_ids": [0]} for by in (1.0, 0.5)]
        one, other = (found.log_probabilities[0][0] for found in self.complete([[0], [0]], asked, [None, None]))
        if one == other:
            raise self._unusable(
                "gives log-probabilities that know nothing of the temperature: start it with --logprobs-mode "
                "processed_logprobs"
            )

    def _unusable(self, why: str) -> EngineUnusable:
        return EngineUnusable(f"vLLM at engine.options.server = {self._address!r} {why}")

    def _lost(self, why: str) -> Exception:
        until = time.monotonic() + RETURN_SECONDS
        while time.monotonic() < until:
            with suppress(EngineUnusable):
                running_version(self._address)
                return EngineLost(f"vLLM at {self._address} ended in the middle of the job ({why}), and answers again")
            time.sleep(1.0)
        return self._unusable(f"ended in the middle of a job ({why}) and is not back after {RETURN_SECONDS:.0f} s")

    def _refused(self, folder: str, why: str) -> Exception:
        if "No adapter found" in why:
            return self._unusable(
                f"does not see {folder}, where this job lies: server and jobs need the same files under the same paths"
            )
        return self._unusable(f"does not take the adapter {folder!r}: {why}; see to --enable-lora and --max-lora-rank")


class WarmModel(ModelAtAddress):
    """On a server that whoever runs the jobs keeps for them, and starts again where it ended."""

    def __init__(self, warm: Warm) -> None:
        """Raises EngineLost if it has ended."""
        super().__init__(warm.served, warm.socket)

    def _unusable(self, why: str) -> EngineUnusable:
        return EngineUnusable(f"the vLLM server that jobs of this machine share {why}")

    def _lost(self, why: str) -> Exception:
        return EngineLost(f"the vLLM server that jobs of this machine share has ended ({why})")

    def _refused(self, folder: str, why: str) -> Exception:
        return UserError(f"vLLM cannot serve the adapter {folder!r}: {why}")


def unload_under(where: str, folder: Path) -> None:
    """Takes from the server there the adapters that lie in the folder, as a job that was killed leaves them."""
    client, root = ServerClient(where), folder.resolve()
    with suppress(OSError, http.client.HTTPException, Refused):
        for model in client.ask("/v1/models", seconds=10.0)["data"]:
            if model["parent"] is not None and Path(model["root"]).resolve().is_relative_to(root):
                _unload(client, model["id"])


def _same(root: str, source: str) -> bool:
    """Whether both name one hub id or one folder."""
    if root == source:
        return True
    return Path(root).is_dir() and Path(source).is_dir() and Path(root).samefile(source)


def _token(name: str) -> int:
    """From `token_id:17`."""
    return int(name.removeprefix("token_id:"))


def _unload_all(client: ServerClient, held: dict[str, str]) -> None:
    for name in held.values():
        _unload(client, name)
    held.clear()


def _unload(client: ServerClient, name: str) -> None:
    """Where the server is gone, so are its adapters."""
    with suppress(OSError, http.client.HTTPException, Refused):
        client.ask("/v1/unload_lora_adapter", {"lora_name": name}, seconds=10.0)
