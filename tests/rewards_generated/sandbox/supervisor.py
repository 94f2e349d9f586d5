"""The disposable process that runs hostile rewards and tells what they did to it.

`python -m tests.rewards_generated.sandbox.supervisor MODE LEVEL` reads case names on standard input and answers each
with one JSON line. If an attack kills or freezes it, the test sees that, and starts another.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rewards_generated.rollout import Sample
from rewards_generated.sandbox import RewardWorker, SandboxSettings, Seal
from rewards_generated.sandbox.settings import WEAKEST
from tests.rewards_generated.sandbox.hostile import CASES, MODULES

SEALS = {
    "strongest": Seal(extra_modules=MODULES),
    "seccomp": Seal(landlock=False, isolation=False, extra_modules=MODULES),
    "landlock": Seal(seccomp=False, extra_modules=MODULES),
    "weakest": replace(WEAKEST, extra_modules=MODULES),
}
SECONDS = {"strongest": 0.5, "seccomp": 0.5, "landlock": 0.5, "weakest": 1.0}
"""What a batch may take. The weakest level gets more: there the attacks are expected to come to their end."""
VARIABLE = "CANARY_API_KEY"
BENIGN = "def reward(prompt, completion, answer):\n    return len(completion)\n"


def equal_answers(a: str, b: str) -> bool:
    """The verifier that some attacks try to replace."""
    return a == b


class Target:
    """Everything that an attack may aim at, made by this process."""

    def __init__(self, directory: str, other: subprocess.Popen[bytes]) -> None:
        self.secret = os.environ[VARIABLE].encode()
        self.directory = Path(directory)
        self.directory.chmod(0o777)
        self.canary = self.directory / "canary"
        self.canary.write_bytes(self.secret)
        self.canary.chmod(0o666)
        os.utime(self.canary, (10**9, 10**9))
        self.leaked = os.open(self.canary, os.O_RDWR)
        os.set_inheritable(self.leaked, True)
        self.other = other
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(self.directory / "socket"))
        (self.directory / "socket").chmod(0o777)
        self.unix.listen()
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0canary-{os.getpid()}")
        self.abstract.listen()
        self.listing = sorted(os.listdir(directory))

    def facts(self, sealed: bool) -> str:
        return json.dumps(
            {
                "canary": str(self.canary),
                "directory": str(self.directory),
                "digest": hashlib.sha256(self.secret).hexdigest(),
                "variable": VARIABLE,
                "pid": os.getpid(),
                "pids": [os.getpid(), self.other.pid],
                "address": id(self.secret) + bytes.__basicsize__ - 1,
                "length": len(self.secret),
                "tcp": self.tcp.getsockname()[1],
                "udp": self.udp.getsockname()[1],
                "unix": str(self.directory / "socket"),
                "abstract": f"canary-{os.getpid()}",
                "unprivileged": os.getuid() != 0,
                "sealed": sealed,
            }
        )

    def harm(self) -> list[str]:
        """What an attack has changed here."""
        harm = []
        if sorted(os.listdir(self.directory)) != self.listing:
            harm.append("the canary's directory was changed")
        else:
            state = self.canary.stat()
            if self.canary.read_bytes() != self.secret or state.st_mode & 0o777 != 0o666 or state.st_mtime != 10**9:
                harm.append("the canary was changed")
        readable, _, _ = select.select([self.tcp, self.udp, self.unix, self.abstract], [], [], 0)
        if readable:
            harm.append("a socket was reached")
        if self.other.poll() is not None:
            harm.append("another process was killed")
        if equal_answers("1", "2") or not equal_answers("1", "1"):
            harm.append("the verifier was replaced")
        return harm


def strays(alive: set[int]) -> list[int]:
    """Processes of workers of this supervisor that are none of the live ones."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            arguments = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
            mine = (
                len(arguments) > 7 and arguments[4].endswith(b"boot.py") and arguments[7] == str(os.getpid()).encode()
            )
            state = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            if mine and state[0] != "Z" and int(state[2]) not in alive and int(name) not in alive:
                found.append(int(name))
    return found


def run(
    name: str,
    settings: SandboxSettings,
    seal: Seal,
    benign: RewardWorker,
    other: subprocess.Popen[bytes],
    before: str = "",
) -> dict[str, object]:
    """Run one case and report the breaches it made, in words. `benign` and `other` are bystanders; `before`: code that
    stands before that of the case."""
    case = CASES[name]
    breaches = []
    with tempfile.TemporaryDirectory(prefix="reward-canary-") as directory:
        target = Target(directory, other)
        try:
            with RewardWorker(before + case.code, settings, seal=seal) as worker:
                worker.start()
                started = time.monotonic()
                (score,) = worker.score([Sample(target.facts(seal.seccomp), "completion", "1")])
                seconds = time.monotonic() - started
            alive = {benign.pid or 0}
            if strays(alive):
                time.sleep(0.2)
                for pid in strays(alive):
                    breaches.append("a process outlived its worker")
                    os.kill(pid, signal.SIGKILL)
            if benign.score([Sample("", "four", "")])[0].value != 4.0 or benign.counts.starts != 1:
                breaches.append("another worker was harmed")
            if score.value == 1.0:
                breaches.append("the attack reports success")
            if case.unscored and score.value is not None:
                breaches.append(f"the sample was scored {score.value!r}")
            if score.value is None and not score.error:
                breaches.append("no reason was given")
            if score.error and (not score.error.isprintable() or len(score.error) > 2000):
                breaches.append("the error text was not cleaned")
            if score.error and target.secret.decode() in score.error:
                breaches.append("the secret is in the error text")
            if seconds > settings.batch_seconds + 1:
                breaches.append(f"it took {seconds:.2f} s")
            breaches += target.harm()
        finally:
            os.close(target.leaked)
            for listener in (target.tcp, target.udp, target.unix, target.abstract):
                listener.close()
    return {"case": name, "breaches": breaches, "error": score.error, "value": score.value, "seconds": seconds}


def bystander() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "1000"])


def main() -> None:
    mode, level = sys.argv[1:3]
    seal = SEALS[level]
    settings = SandboxSettings(
        mode="fast" if mode == "fast" else "default",
        require="strict" if level == "strongest" else "basic",
        allow_weak=level == "weakest",
        batch_seconds=SECONDS[level],
        memory_mib=1024 if mode == "mathematics" else 256,
    )
    before = "import math_verify\n" if mode == "mathematics" else ""
    # The bystander never replays: its replaying process would be taken for one that an attack left behind.
    patient = settings.model_copy(update={"batch_seconds": 30.0, "replay_share": 0.0})
    other = bystander()
    with RewardWorker(BENIGN, patient, seal=seal) as benign:
        benign.start()
        for line in sys.stdin:
            print(json.dumps(run(line.strip(), settings, seal, benign, other, before)), flush=True)
            if other.poll() is not None:
                other = bystander()
    other.kill()


if __name__ == "__main__":
    main()
