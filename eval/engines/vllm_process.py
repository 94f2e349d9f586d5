"""A vLLM server as a child of this process: `python -P -m eval.engines.vllm_process PARENT` and vLLM's own arguments.

It listens on a socket in a folder of its user's own, so nobody else reaches it, and ends when its parent does.
"""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from eval.engines.vllm_served import ENVIRONMENT
from rewards_generated.children import PASSED_ON, end_with, keep_exit_codes

LOG_FILE = "vllm.txt"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class ServerProcess:
    """Started, with all that it starts in a session of its own."""

    def __init__(self, fields: Mapping[str, Any], folder: Path | None) -> None:
        """`fields`: as `model_fields` gives them. What it says is appended to its log in the folder; None: it is not
        kept."""
        keep_exit_codes()
        place = tempfile.mkdtemp(prefix="vllm-")
        self.log = (folder or Path(place)) / LOG_FILE
        self.socket = f"{place}/socket"
        said = [*flags(fields), f"--uds={self.socket}", "--uvicorn-log-level=warning"]
        # -P: what lies in the user's folder must not stand in for this project's packages.
        command = [sys.executable, "-P", "-m", "eval.engines.vllm_process", str(os.getpid()), *said]
        with self.log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=server_environment(
                    eager=bool(fields.get("enforce_eager")), sleeps=bool(fields.get("enable_sleep_mode"))
                ),
                start_new_session=True,
            )
        self.stop = weakref.finalize(self, _stop, self._process, place)

    def ended(self) -> str | None:
        """How, after `it`; None: it runs."""
        code = self._process.poll()
        if code is None:
            return None
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def killed(self) -> bool:
        return (self._process.poll() or 0) < 0

    def last_words(self) -> str:
        """The last line of its log that names an error, or the last of all."""
        lines = [line.strip() for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines()]
        errors = [line for line in lines if "Error" in line and "Engine core initialization failed" not in line]
        return next(iter([*reversed(errors), *reversed([line for line in lines if line])]), "(nothing)")[:500]


def flags(fields: Mapping[str, Any]) -> list[str]:
    """Of vLLM's server."""
    found = []
    for name, value in fields.items():
        flag = name.replace("_", "-")
        found.append(f"--{'' if value else 'no-'}{flag}" if isinstance(value, bool) else f"--{flag}={value}")
    return found


def server_environment(*, eager: bool, sleeps: bool = False) -> dict[str, str]:
    """What the server inherits, and what tells it to take adapters while it runs. `sleeps`: it can be sent to sleep."""
    passed = {name: os.environ[name] for name in (*PASSED_ON, *THREADS, "HOME", "HF_HOME") if name in os.environ}
    own = {name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()}
    # Even an eager vLLM builds some kernels on a CPU, for minutes.
    own |= {"TORCHDYNAMO_DISABLE": "1"} if eager else {}
    own |= {"VLLM_SERVER_DEV_MODE": "1"} if sleeps else {}
    return {**passed, **own, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}


def _stop(process: subprocess.Popen[bytes], place: str) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    shutil.rmtree(place, ignore_errors=True)


def main() -> None:
    end_with(int(sys.argv[1]))
    sys.argv[1:2] = []
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
