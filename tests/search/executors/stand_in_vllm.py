"""What runs in place of vLLM's server where `lay_out` has put it before the installed packages: `FakeVllm`, on the
socket that it is told of.

With a file `slow` beside the package it takes half a second for a row, and leaves a file `asked`.
"""

from __future__ import annotations

import argparse
import os
import socketserver
import time
from pathlib import Path
from socket import AF_UNIX

import psutil

from tests.eval.engines.fake_vllm import Answers, FakeVllm

VERSION = "vllm 0.30.0"


class Slow(Answers):
    def _complete(self, body: dict[str, object]) -> None:
        place = Path(os.environ["PYTHONPATH"].partition(os.pathsep)[0])
        if (place / "slow").exists():
            (place / "asked").touch()
            time.sleep(0.5)
        super()._complete(body)


class OnSocket(FakeVllm):
    address_family = AF_UNIX
    server_bind = socketserver.TCPServer.server_bind


def lay_out(folder: Path) -> str:
    """Where Python looks first for the package `vllm`."""
    module = folder / "vllm" / "entrypoints" / "openai" / "api_server.py"
    module.parent.mkdir(parents=True)
    for package in (module.parent, module.parent.parent, module.parent.parent.parent):
        (package / "__init__.py").touch()
    module.write_text(f"from {__name__} import main\n\nmain()\n")
    information = folder / "vllm-0.30.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.30.0\n")
    return str(folder)


def servers(folder: Path) -> list[psutil.Process]:
    """Those that run, started where `lay_out` has been here."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ", "status"]):
        there = (process.info["environ"] or {}).get("PYTHONPATH", "").startswith(str(folder))
        if there and "eval.engines.vllm_process" in (process.info["cmdline"] or ()):
            found.append(process)
    return [process for process in found if process.info["status"] != psutil.STATUS_ZOMBIE]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--uds")
    parser.add_argument("--model")
    told, _ = parser.parse_known_args()
    with OnSocket(told.uds, Slow) as server:
        server.root = told.model
        server.serve_forever()
