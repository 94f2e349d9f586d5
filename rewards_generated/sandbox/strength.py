"""How strong the sandbox is on this machine, found by trying what it must forbid."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import socket
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rewards_generated.errors import SandboxUnavailable
from rewards_generated.rollout import Sample
from rewards_generated.sandbox.process import BatchTimeout, WorkerDied, WorkerProcess
from rewards_generated.sandbox.protocol import ProtocolViolation
from rewards_generated.sandbox.settings import SandboxSettings, Seal
from rewards_generated.sandbox.setup import MIB, landlock_version

Level = Literal["strict", "standard", "basic", "reduced", "none"]
RANK: dict[str, int] = {"none": 0, "reduced": 1, "basic": 2, "standard": 3, "strict": 4}
"""Levels in order: `strict` is the whole seal; `standard` seccomp without Landlock or the other way round; `basic` a
clean process and limits; `reduced` what macOS gives; `none` if not even the memory limit holds."""

ATTEMPTS = Path(__file__).with_name("attempts.py")
_TEST_SECONDS = 10.0
_TRIES = 3
"""Of a self-test whose worker ends, and of an attempt whose child is killed: that may be whoever frees memory."""
_SELF_TEST_MEMORY_MIB = 512
CORE = (
    "read_file",
    "write_file",
    "read_parent_environment",
    "connect",
    "signal_parent",
    "trace_parent",
    "fork",
    "execute",
)
"""What no level above `basic` may let through, by whichever mechanism."""
BASIC = ("environment", "exceed_memory")


@dataclass(frozen=True, slots=True)
class SandboxStrength:
    """Outcome of the self-test. `denied` tells for every attempt whether it was refused."""

    level: Level
    denied: dict[str, bool]
    seccomp: bool
    landlock: bool
    landlock_version: int
    own_network: bool
    own_root: bool
    unprivileged_user: bool
    system: str
    kernel: str
    machine: str
    python: str
    problem: str | None = None
    """Why the self-test could not run, for level `none`."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def confirm(self, process: WorkerProcess) -> None:
        """Raise SandboxUnavailable if a worker put on less of the seal than the self-test's worker did."""
        seccomp, landlock = process.flags[:2]
        if (self.seccomp and not seccomp) or (self.landlock and not landlock):
            process.kill()
            raise SandboxUnavailable(
                f"A worker could not be sealed as the self-test was (level {self.level}); run `reward-search doctor`."
            )


def measure_strength(seal: Seal | None = None) -> SandboxStrength:
    """Try the forbidden things in a worker of this machine; once per process, then remembered."""
    seal = replace(seal or Seal(), extra_modules=())
    with _measuring:
        known = _measured.get(seal)
        if known is None:
            known = _measure(seal)
            if known.problem is None:
                _measured[seal] = known
        return known


_measuring = threading.Lock()
_measured: dict[Seal, SandboxStrength] = {}


def _measure(seal: Seal) -> SandboxStrength:
    flags: tuple[bool, ...] = (False,) * 5
    denied: dict[str, bool] = {}
    problem = None
    for _ in range(_TRIES):
        try:
            flags, denied = _self_test(seal)
        except (BatchTimeout, WorkerDied, ProtocolViolation, OSError) as error:
            problem = f"the self-test worker failed: {error or type(error).__name__}"
        else:
            problem = None
            break
    seccomp, landlock, own_network, own_root, unprivileged_user = flags
    return SandboxStrength(
        level=_level(denied, seccomp, landlock),
        denied=denied,
        seccomp=seccomp,
        landlock=landlock,
        landlock_version=landlock_version(),
        own_network=own_network,
        own_root=own_root,
        unprivileged_user=unprivileged_user,
        system=platform.system(),
        kernel=platform.release(),
        machine=platform.machine(),
        python=platform.python_version(),
        problem=problem,
    )


def _level(denied: dict[str, bool], seccomp: bool, landlock: bool) -> Level:
    if not denied:
        return "none"
    if sys.platform != "linux":
        return "reduced" if denied["environment"] else "none"
    if not all(denied[name] for name in BASIC):
        return "none"
    if seccomp and landlock and all(denied.values()):
        return "strict"
    if (seccomp or landlock) and all(denied[name] for name in CORE):
        return "standard"
    return "basic"


def _self_test(seal: Seal) -> tuple[tuple[bool, ...], dict[str, bool]]:
    settings = SandboxSettings(memory_mib=_SELF_TEST_MEMORY_MIB)
    with tempfile.TemporaryDirectory(prefix="reward-self-test-") as directory, socket.socket() as listener:
        canary = Path(directory, "canary")
        canary.write_text("canary")
        canary.chmod(0o666)
        Path(directory).chmod(0o755)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        attempts = {
            "environment": "",
            "exceed_memory": str(2 * _SELF_TEST_MEMORY_MIB * MIB),
            "read_file": str(canary),
            "write_file": str(canary),
            "read_parent_environment": str(os.getpid()),
            "connect": str(listener.getsockname()[1]),
            "create_socket": "",
            "signal_parent": str(os.getpid()),
            "trace_parent": str(os.getpid()),
            "fork": "",
            "execute": "",
            "start_thread": "",
            "leave_group": "",
            "executable_memory": "",
        }
        worker = WorkerProcess(ATTEMPTS.read_text(encoding="utf-8"), settings, seal=seal)
        try:
            denied = {name: _denied(worker, name, argument) for name, argument in attempts.items()}
        finally:
            worker.kill()
        with contextlib.suppress(OSError):
            denied["write_file"] = denied["write_file"] and canary.read_text() == "canary"
        return worker.flags, denied


def _denied(worker: WorkerProcess, attempt: str, argument: str) -> bool:
    """True if the attempt returned failure or cost the child its life; an error of the attempt itself is no denial, nor
    is a child that somebody else killed meanwhile."""
    for _ in range(_TRIES):
        reply = worker.call([Sample(attempt, argument, "")], _TEST_SECONDS)
        if reply.exit_code != -signal.SIGKILL:
            break
    if reply.exit_code is not None:
        return reply.exit_code < 0
    return reply.scores is not None and reply.scores[0].value == 0.0


def require_strength(settings: SandboxSettings, seal: Seal | None = None) -> SandboxStrength:
    """The measured strength, or SandboxUnavailable if the settings demand more than this machine can give."""
    strength = measure_strength(seal)
    found = f"the sandbox of this machine reaches level {strength.level}" + (
        f" ({strength.problem})" if strength.problem else ""
    )
    # macOS has no level between `reduced` and none, so that `basic` with the user's insistence means it there.
    demanded = "reduced" if settings.require == "basic" and settings.allow_weak else settings.require
    if RANK[strength.level] < RANK[demanded]:
        raise SandboxUnavailable(
            f"sandbox.require is {settings.require}, but {found}; "
            "run `reward-search doctor` to see what is missing, or lower sandbox.require."
        )
    if RANK[strength.level] <= RANK["basic"] and not settings.allow_weak:
        raise SandboxUnavailable(
            f"{found[0].upper()}{found[1:]}, which runs no reward written by an LLM; "
            "use another machine, or insist with sandbox.allow_weak = true."
        )
    return strength
