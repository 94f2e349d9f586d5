"""One worker process as its parent holds it: start, call under a deadline, kill."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import platform
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rewards_generated.rollout import Sample
from rewards_generated.sandbox import limits, macos, seccomp
from rewards_generated.sandbox.entry import EntryPoint
from rewards_generated.sandbox.landlock import landlock_version, ruleset
from rewards_generated.sandbox.modules import PRELOADED, preloaded_for
from rewards_generated.sandbox.protocol import (
    HEADER,
    ProtocolViolation,
    Reply,
    decode_reply,
    encode_request,
    encode_setup,
    reply_length,
)
from rewards_generated.sandbox.seal import Seal
from rewards_generated.sandbox.settings import SandboxSettings
from rewards_generated.sandbox.spawner import spawn

BOOT = Path(__file__).with_name("boot.py")
START_SECONDS = 60.0
"""A worker starts in a tenth of a second; this only ends the wait on a machine that has stopped."""
_PIPE_BYTES = 2**20
_F_SETPIPE_SZ = 1031
_CLOSING_SECONDS = 0.2


class BatchTimeout(Exception):
    """The batch was not scored within its time."""


class WorkerDied(Exception):
    """The worker ended or closed its pipe; the message says how."""


def death(exit_code: int) -> str:
    """What an exit code of a worker means, as a sentence without subject."""
    if exit_code == -signal.SIGSYS:
        return "was killed for a forbidden system call (network, processes or another way out of the sandbox)"
    if exit_code == -signal.SIGXCPU:
        return "was killed for using too much processor time"
    if exit_code < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended its process with exit code {exit_code}"


def _setup(code: str, entry: EntryPoint, settings: SandboxSettings, seal: Seal, nonce: bytes) -> dict[str, Any]:
    preload, paths = preloaded_for(code)
    filtered = seal.seccomp and sys.platform == "linux" and seccomp.supported()
    return {
        "code": code,
        "entry": entry.name,
        "kind": entry.kind,
        "columns": list(entry.answer_columns),
        "conversational": entry.conversational,
        "mode": settings.mode,
        "modules": [*PRELOADED, *seal.extra_modules],
        "preload": preload,
        "paths": paths,
        "limits": limits.worker_limits(settings.memory_mib),
        "cpu_seconds": limits.cpu_seconds(settings.batch_seconds),
        "isolation": seal.isolation,
        "ruleset": ruleset(landlock_version()).hex() if seal.landlock else "",
        "seccomp": seccomp.system_call_number("seccomp") if filtered else 0,
        "filter": seccomp.filter_program(zygote=settings.mode == "default").hex() if filtered else "",
        "child_filter": seccomp.filter_program(zygote=False).hex() if filtered else "",
        "nonce": nonce.hex(),
    }


class WorkerProcess:
    """A started, sealed process that has loaded nothing but the source of one reward.

    Raises WorkerDied, BatchTimeout or ProtocolViolation if it does not get ready; it is dead then. `flags` tells which
    parts of the seal it put on: seccomp, Landlock, own network, own root directory, unprivileged user.
    """

    def __init__(
        self,
        code: str,
        settings: SandboxSettings,
        entry: EntryPoint | None = None,
        seal: Seal | None = None,
        hash_seed: int = 0,
    ) -> None:
        self._settings = settings
        nonce = os.urandom(8)
        setup = encode_setup(_setup(code, entry or EntryPoint(), settings, seal or Seal(), nonce))
        environment = {
            "PYTHONHASHSEED": str(hash_seed),
            "LC_ALL": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        child_request, self._request = os.pipe()
        self._reply, child_reply = os.pipe()
        try:
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._request, _F_SETPIPE_SZ, _PIPE_BYTES)
            os.set_blocking(self._request, False)
            os.set_blocking(self._reply, False)
            directory = tempfile.mkdtemp(prefix="reward-worker-")
            command = [sys.executable, "-S", "-s", "-P", str(BOOT)]
            command += [str(child_request), str(child_reply), str(os.getpid())]
            try:
                if platform.system() == "Darwin":
                    command = macos.confined(command)
                self._process: subprocess.Popen[bytes] = spawn(
                    command, environment, directory, (child_request, child_reply)
                )
                os.close(child_request)
                os.close(child_reply)
                self._started = time.monotonic()
                self._cpu_limit = 0
                self._readable = select.poll()
                self._readable.register(self._reply, select.POLLIN)
                self._both = select.poll()
                self._both.register(self._reply, select.POLLIN)
                self._both.register(self._request, select.POLLOUT)
                deadline = self._started + START_SECONDS
                try:
                    self._send(setup, deadline)
                    _, payload = self._receive(nonce, 0, deadline)
                except BaseException:
                    self.kill()
                    raise
            finally:
                # Its own directory is unlinked, so that not even a relative path leads anywhere.
                os.rmdir(directory)
        except BaseException:
            self._close_pipes()
            raise
        self.flags = tuple(bool(flag) for flag in struct.unpack(f"<{len(payload) // 8}d", payload))

    @property
    def pid(self) -> int:
        return self._process.pid

    def call(self, samples: Sequence[Sample], seconds: float) -> Reply:
        """Score one batch. After BatchTimeout, WorkerDied or ProtocolViolation the process must be killed."""
        deadline = time.monotonic() + seconds
        if self._readable.poll(0):
            self._unsolicited()
        nonce = os.urandom(8)
        self._refresh_cpu_limit(deadline)
        self._send(encode_request(nonce, samples), deadline)
        status, payload = self._receive(nonce, len(samples), deadline)
        return decode_reply(status, payload, len(samples))

    def kill(self) -> int:
        """Kill the whole process group; its exit code."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._close_pipes()
        return self._process.wait()

    def _close_pipes(self) -> None:
        for name in ("_request", "_reply"):
            descriptor = getattr(self, name)
            if descriptor >= 0:
                os.close(descriptor)
                setattr(self, name, -1)

    def _refresh_cpu_limit(self, deadline: float) -> None:
        """RLIMIT_CPU counts the life of a process, so a long-lived one gets more with every call."""
        if self._settings.mode != "fast" or not hasattr(resource, "prlimit"):
            return
        limit = math.ceil(deadline - self._started) + 2
        if limit != self._cpu_limit:
            self._cpu_limit = limit
            with contextlib.suppress(OSError):
                hard = resource.prlimit(self._process.pid, resource.RLIMIT_CPU)[1]
                resource.prlimit(self._process.pid, resource.RLIMIT_CPU, (limit, hard))

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._request, view) :]
            except BlockingIOError:
                for descriptor, _ in self._wait(self._both, deadline):
                    if descriptor == self._reply:
                        self._unsolicited()
            except BrokenPipeError:
                raise WorkerDied(self._end()) from None

    def _receive(self, nonce: bytes, count: int, deadline: float) -> tuple[bytes, bytes]:
        """(status byte, payload) of the one frame that may come now."""
        data = b""
        total = HEADER.size
        while len(data) < total:
            self._wait(self._readable, deadline)
            # One byte more than expected is enough to see that it sent too much.
            part = os.read(self._reply, total - len(data) + 1)
            if not part:
                raise WorkerDied(self._end())
            data += part
            if total == HEADER.size and len(data) >= HEADER.size:
                total += reply_length(data[: HEADER.size], nonce, count)
        if len(data) > total:
            raise ProtocolViolation("sent more than it was asked for")
        return data[:1], data[HEADER.size :]

    def _wait(self, poll: select.poll, deadline: float) -> list[tuple[int, int]]:
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise BatchTimeout
            if macos.RUNNING and macos.resident_mib(self._process.pid) > self._settings.memory_mib:
                raise WorkerDied("used more memory than its limit")
            step = min(remaining, macos.POLL_SECONDS) if macos.RUNNING else remaining
            if ready := poll.poll(math.ceil(step * 1000)):
                return ready

    def _unsolicited(self) -> None:
        if os.read(self._reply, 1):
            raise ProtocolViolation("sent a reply that nobody had asked for")
        raise WorkerDied(self._end())

    def _end(self) -> str:
        try:
            return death(self._process.wait(_CLOSING_SECONDS))
        except subprocess.TimeoutExpired:
            return "closed its pipe"
