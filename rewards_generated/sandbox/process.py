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
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from rewards_generated.rollout import Sample
from rewards_generated.sandbox import macos
from rewards_generated.sandbox.protocol import (
    HEADER,
    STATUS,
    ProtocolViolation,
    Reply,
    decode_reply,
    encode_request,
    encode_setup,
    reply_length,
)
from rewards_generated.sandbox.settings import EntryPoint, SandboxSettings, Seal
from rewards_generated.sandbox.setup import cpu_seconds, worker_setup

BOOT = Path(__file__).with_name("boot.py")
START_SECONDS = 60.0
"""A worker starts in a tenth of a second; this only ends the wait on a machine that has stopped."""
_PIPE_BYTES = 2**20
_F_SETPIPE_SZ = 1031
_CLOSING_SECONDS = 0.2
_LOOK_SECONDS = 0.25
"""After so long, and then as often, a wait looks whether the worker was kept from running."""
_MOST_STARVED = 20.0
"""Times its limit that a call may take on a machine where others leave it no processor."""

_spawning = threading.Lock()
_spawner: ThreadPoolExecutor | None = None
_spawner_owner: int | None = None


class BatchTimeout(Exception):
    """The batch was not scored within its time, that for which others kept the worker from running left out."""


class _ForkDied(Exception):
    """The fork that should score died; the worker lives and makes another."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


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
        self._worked_solutions = entry is not None and entry.worked_solution
        nonce = os.urandom(8)
        setup = encode_setup(worker_setup(code, entry or EntryPoint(), settings, seal or Seal(), nonce))
        environment = {
            "PYTHONHASHSEED": str(hash_seed),
            "LC_ALL": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        child_request, self._request = os.pipe()
        self._reply, child_reply = os.pipe()
        child_turn, self._turn = os.pipe()
        self._status, child_status = os.pipe()
        self._forks = settings.mode == "default"
        self._scored = False
        self.starved = 0.0
        """Seconds for which it was ready to run during the last call, and had no processor; in calls of some length."""
        self._seen: tuple[int, float] | None = None
        self._most_starved = _MOST_STARVED * START_SECONDS
        theirs = (child_request, child_reply, child_turn, child_status)
        try:
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._request, _F_SETPIPE_SZ, _PIPE_BYTES)
            os.set_blocking(self._request, False)
            os.set_blocking(self._reply, False)
            directory = tempfile.mkdtemp(prefix="reward-worker-")
            command = [sys.executable, "-S", "-s", "-P", str(BOOT)]
            command += map(str, (child_request, child_reply, os.getpid(), child_turn, child_status))
            try:
                if platform.system() == "Darwin":
                    command = macos.confined(command)
                try:
                    self._process: subprocess.Popen[bytes] = _spawn(command, environment, directory, theirs)
                finally:
                    for descriptor in theirs:
                        os.close(descriptor)
                self._started = time.monotonic()
                self._cpu_limit = 0
                self._readable = select.poll()
                self._readable.register(self._reply, select.POLLIN)
                self._ended = select.poll()
                self._ended.register(self._status, select.POLLIN)
                self._both = select.poll()
                self._both.register(self._reply, select.POLLIN)
                self._both.register(self._request, select.POLLOUT)
                if self._forks:
                    self._readable.register(self._status, select.POLLIN)
                    self._both.register(self._status, select.POLLIN)
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

    def call(self, samples: Sequence[Sample], seconds: float, groups: Sequence[int] | None = None) -> Reply:
        """Score one batch; `groups` as in `encode_request`. After BatchTimeout, WorkerDied or ProtocolViolation the
        process must be killed."""
        deadline = time.monotonic() + seconds
        self.starved, self._seen, self._most_starved = 0.0, None, _MOST_STARVED * seconds
        nonce = os.urandom(8)
        try:
            if self._scored:
                self._await_end(deadline)
            if self._readable.poll(0):
                self._unsolicited()
            self._refresh_cpu_limit(deadline)
            self._send(encode_request(nonce, samples, groups, worked_solutions=self._worked_solutions), deadline)
            status, payload = self._receive(nonce, len(samples), deadline)
        except _ForkDied as died:
            self._next_fork()
            return Reply(exit_code=died.exit_code)
        if self._forks:
            self._scored = True
            self._next_fork()
        return decode_reply(status, payload, len(samples))

    def _await_end(self, deadline: float) -> None:
        """Until the fork that scored the batch before is dead, so that it cannot read the next one."""
        self._wait(self._ended, deadline)
        self._scored = False
        self._exit_code()

    def _exit_code(self) -> int:
        """Of the fork whose end is reported now."""
        report = os.read(self._status, STATUS.size)
        if len(report) < STATUS.size:
            raise WorkerDied(self._end())
        status, left = STATUS.unpack(report)
        code = os.waitstatus_to_exitcode(status)
        if left:
            raise WorkerDied(death(code) if code else "left a part of its request unread")
        return code

    def _next_fork(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._turn, b"n")

    def kill(self) -> int:
        """Kill the whole process group; its exit code."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._close_pipes()
        return self._process.wait()

    def _close_pipes(self) -> None:
        for name in ("_request", "_reply", "_turn", "_status"):
            descriptor = getattr(self, name)
            if descriptor >= 0:
                os.close(descriptor)
                setattr(self, name, -1)

    def _refresh_cpu_limit(self, deadline: float) -> None:
        """RLIMIT_CPU counts the life of a process, so a long-lived one gets more with every call."""
        if self._settings.mode != "fast" or not hasattr(resource, "prlimit"):
            return
        limit = cpu_seconds(deadline - self._started)
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
                ready = {descriptor for descriptor, _ in self._wait(self._both, deadline)}
                if self._reply in ready:
                    self._unsolicited()
                if self._status in ready:
                    raise _ForkDied(self._exit_code()) from None
            except BrokenPipeError:
                raise WorkerDied(self._end()) from None

    def _receive(self, nonce: bytes, count: int, deadline: float) -> tuple[bytes, bytes]:
        """(status byte, payload) of the one frame that may come now."""
        data = b""
        total = HEADER.size
        while len(data) < total:
            ready = {descriptor for descriptor, _ in self._wait(self._readable, deadline)}
            if self._reply not in ready:
                raise _ForkDied(self._exit_code())
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
            remaining = max(0.0, deadline + self.starved - time.monotonic())
            if macos.RUNNING and macos.resident_mib(self._process.pid) > self._settings.memory_mib:
                raise WorkerDied("used more memory than its limit")
            if ready := poll.poll(math.ceil(min(remaining, _LOOK_SECONDS) * 1000)):
                return ready  # also after the deadline: it came while this process was held up
            self._look()
            if time.monotonic() > deadline + self.starved:
                raise BatchTimeout

    def _look(self) -> None:
        """Adds to `starved` what has come since the last look."""
        found = _run_delay(self._process.pid)
        if found is not None and self._seen is not None and found[0] == self._seen[0]:
            self.starved = min(self.starved + found[1] - self._seen[1], self._most_starved)
        self._seen = found

    def _unsolicited(self) -> None:
        """Something came before or while the request was sent: bytes, or the end of a fork or of the worker."""
        with contextlib.suppress(BlockingIOError):
            if os.read(self._reply, 1):
                raise ProtocolViolation("sent a reply that nobody had asked for")
            raise WorkerDied(self._end())
        raise _ForkDied(self._exit_code())

    def _end(self) -> str:
        try:
            return death(self._process.wait(_CLOSING_SECONDS))
        except subprocess.TimeoutExpired:
            return "closed its pipe"


def _run_delay(pid: int) -> tuple[int, float] | None:
    """Of the fork of a worker, or of one that has none: its process id, and the seconds of its life that it was ready
    to run and waited for a processor (Linux, Documentation/scheduler/sched-stats.rst). None where nobody tells."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        chosen = int(children[0]) if children else pid
        return chosen, int(Path(f"/proc/{chosen}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def _spawn(
    command: Sequence[str], environment: Mapping[str, str], directory: str, descriptors: Sequence[int]
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own that inherits nothing but `descriptors`, by one thread for all workers.

    The kernel sends the parent-death signal when the *thread* that spawned a process exits, so workers must not be
    spawned by short-lived ones.
    """
    global _spawner, _spawner_owner
    with _spawning:
        if _spawner is None or _spawner_owner != os.getpid():
            _spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-spawner")
            _spawner_owner = os.getpid()
        started: Future[subprocess.Popen[bytes]] = _spawner.submit(
            subprocess.Popen,
            command,
            env=environment,
            cwd=directory,
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    return started.result()
