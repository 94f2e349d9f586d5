"""Searches on the testbed under faults of all kinds, over and over: what stays of each, and whether anything is left.

    python -m tests.benchmarks.soak --minutes 120 --out tests/benchmarks/soak.json

One search runs undisturbed first, with real jobs, its proposer a language model behind a local server. Then the same
search runs again and again while, every few seconds, its driver is killed, a job, a sandbox's worker, or the driver
stopped for a while; the server fails, is silent or hangs up at every other request; and each time that the driver is
dead a file that is kept may be damaged, whereupon `check --repair` comes before `--resume`. Each search has to come to
the leaderboard of the first. Meanwhile the processes, descriptors and memory of the driver and of all that it started
are counted once a second, and after each search what it left: processes, files of the temporary folder.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.machine import machine
from tests.search.proposers.openai_server import Answer, Failure, HangUp, OpenAIServer, Silence, Step
from tests.search.searches import SMALL, reward_code, write_config

ROOT = Path(__file__).parents[2]
_PR_SET_CHILD_SUBREAPER = 36
LONGEST_SEARCH = 1800.0
"""Seconds after which a search that has not come to its end counts as stuck."""
KINDS = ("driver", "job", "sandbox worker", "pause")
CHANCES = (1, 3, 3, 1)
DAMAGED = ("adapter_model.safetensors", "result.json", "files/*")


@dataclass
class Soak:
    """What happened so far."""

    draws: random.Random
    faults: Counter[str] = field(default_factory=Counter)
    searches: list[dict[str, Any]] = field(default_factory=list)
    spared: set[str] = field(default_factory=set)
    """Command lines of jobs that were killed once: a job that dies again and again is given up, rightly."""

    def served(self, body: dict[str, Any]) -> Step:
        """The same replies to the same questions, with trouble before every other one."""
        if self.draws.random() < 0.5:
            trouble = self.draws.choice([Failure(500), Failure(429, retry_after=0.05), Silence(1.5), HangUp()])
            self.faults[f"server: {type(trouble).__name__} {getattr(trouble, 'status', '')}".strip()] += 1
            return trouble
        return answer(body)


def answer(body: dict[str, Any]) -> Answer:
    numbers = (3, 4) if "bonus-1" in body["messages"][-1]["content"] else (1, 2)
    return Answer(
        "\n".join(f"name: bonus-{n}\n```python\n{reward_code(n)}```\n" for n in numbers), "stop", None, 100, 90
    )


def configured(folder: Path, url: str) -> Path:
    folder.mkdir()
    options = {"models": "openai/test", "api_base": url, "retry_wait_seconds": 0.1, "timeout_seconds": 1.0}
    return write_config(
        folder,
        proposer={"name": "litellm", "options": {**options, "max_tokens": 1000, "max_attempts": 12}},
        executor={"name": "local", "parallel_jobs": 2},
        screening={"grpo": {**SMALL["screening"]["grpo"], "max_completion_tokens": 112}},
        finals={"ensembles": ["top-2"], "seeds": 1, "random_controls": {"first_round": 0, "pool": 0}},
    )


def started(config: Path) -> subprocess.Popen[bytes]:
    run = config.parent / "run"
    how = ["--resume"] if run.exists() else ["--config", str(config)]
    with (config.parent / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "search.cli", "run", "--run-dir", str(run), *how],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def family(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return [process, *process.children(recursive=True)]
    return []


def measured(driver: psutil.Process) -> dict[str, float]:
    found = {"processes": 0.0, "descriptors of the driver": 0.0, "MiB of the driver": 0.0, "MiB in all": 0.0}
    for member in family(driver):
        with suppress(psutil.Error):
            mib = member.memory_info().rss / 2**20
            found["processes"] += 1
            found["MiB in all"] += mib
            if member.pid == driver.pid:
                found["MiB of the driver"] = mib
                found["descriptors of the driver"] = member.num_fds()
    return found


def disturb(soak: Soak, driver: psutil.Process) -> None:
    kind = soak.draws.choices(KINDS, CHANCES)[0]
    with suppress(psutil.Error):
        if kind == "driver":
            driver.kill()
        elif kind == "pause":
            driver.suspend()
            time.sleep(soak.draws.uniform(0.5, 3))
            driver.resume()
        else:
            word = "trainer.jobs.process" if kind == "job" else "boot"
            of_kind = [member for member in family(driver)[1:] if any(word in part for part in member.cmdline())]
            of_kind = [member for member in of_kind if kind != "job" or " ".join(member.cmdline()) not in soak.spared]
            if not of_kind:
                return
            chosen = soak.draws.choice(of_kind)
            soak.spared.add(" ".join(chosen.cmdline()))
            chosen.kill()
        soak.faults[kind] += 1


def damage(soak: Soak, run: Path) -> bool:
    """Turns a bit of a kept file, or cuts it; False where there is none."""
    files = sorted(
        {path for pattern in DAMAGED for path in run.rglob(pattern) if path.is_file() and path.stat().st_size}
    )
    if not files or soak.draws.random() < 0.5:
        return False
    path = soak.draws.choice(files)
    content = bytearray(path.read_bytes())
    if soak.draws.random() < 0.5:
        content[soak.draws.randrange(len(content))] ^= 1 << soak.draws.randrange(8)
    else:
        del content[soak.draws.randrange(len(content)) :]
    path.write_bytes(content)
    soak.faults["damaged file"] += 1
    return True


def left_behind(deadline: float = 30.0) -> list[str]:
    """Command lines of processes that outlive a driver: they come to us, the nearest reaper."""
    end = time.monotonic() + deadline
    while True:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.1)


def searched(soak: Soak, config: Path) -> dict[str, Any]:
    """One search to its end, disturbed all along; what was measured meanwhile."""
    run, began, drivers = config.parent / "run", time.monotonic(), 0
    sizes: list[dict[str, float]] = []
    while True:
        process = started(config)
        drivers += 1
        driver, next_fault = psutil.Process(process.pid), time.monotonic() + soak.draws.uniform(2, 20)
        while process.poll() is None:
            if time.monotonic() - began > LONGEST_SEARCH:
                driver.kill()
                process.wait()
                return {"outcome": "stuck", "drivers": drivers}
            if time.monotonic() > next_fault:
                disturb(soak, driver)
                next_fault = time.monotonic() + soak.draws.uniform(2, 20)
            sizes.append(measured(driver))
            time.sleep(1)
        if process.returncode == 0:
            break
        outlived = left_behind()
        if process.returncode != -signal.SIGKILL or outlived:
            last = (config.parent / "log").read_text(errors="replace").splitlines()[-3:]
            return {"outcome": f"exit code {process.returncode}", "outlived": outlived, "log": last, "drivers": drivers}
        if run.exists() and damage(soak, run):
            command = [sys.executable, "-m", "search.cli", "check", str(run), "--repair"]
            mended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            if mended.returncode:
                return {"outcome": f"check --repair: {mended.stderr.strip()[-300:]}", "drivers": drivers}
    return {
        "outcome": "ended",
        "outlived": left_behind(),
        "drivers": drivers,
        "seconds": round(time.monotonic() - began, 1),
        "largest": {name: round(max(size[name] for size in sizes), 1) for name in sizes[0]},
    }


def differences(wanted: str, board: Path) -> list[str]:
    """Of the leaderboards, as lines."""
    found = board.read_text() if board.is_file() else ""
    return list(unified_diff(wanted.splitlines(), found.splitlines(), "undisturbed", "disturbed", lineterm="", n=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for searches that ended otherwise than the first")
    arguments = parser.parse_args()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    soak = Soak(random.Random(arguments.seed))
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        place = Path(name)
        os.environ["TMPDIR"] = str(place / "tmp")
        (place / "tmp").mkdir()
        with OpenAIServer(answer) as server:
            config = configured(place / "whole", server.url)
            began = time.monotonic()
            assert started(config).wait() == 0, (config.parent / "log").read_text()
            undisturbed = time.monotonic() - began
        wanted = (place / "whole" / "run" / "leaderboard.json").read_text()
        untouched = sorted(path.name for path in (place / "tmp").iterdir())
        began = time.monotonic()
        with OpenAIServer(soak.served) as server:
            while time.monotonic() - began < 60 * arguments.minutes:
                config = configured(place / str(len(soak.searches)), server.url)
                found = searched(soak, config)
                board = config.parent / "run" / "leaderboard.json"
                found["same leaderboard"] = board.is_file() and board.read_text() == wanted
                if not found["same leaderboard"]:
                    found["differences"] = differences(wanted, board)
                    if arguments.keep is not None:
                        shutil.copytree(config.parent, arguments.keep / config.parent.name, dirs_exist_ok=True)
                left = sorted(path.name for path in (place / "tmp").iterdir() if path.name not in untouched)
                found["left in the temporary folder"] = left
                soak.searches.append(found)
                print(json.dumps(found), flush=True)
    ended = [search for search in soak.searches if search["outcome"] == "ended"]
    result = {
        "machine": machine(),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "seconds of the undisturbed search": round(undisturbed, 1),
        "faults": dict(sorted(soak.faults.items())),
        "drivers": sum(search["drivers"] for search in soak.searches),
        "searches": len(soak.searches),
        "ended with the same leaderboard": sum(search["same leaderboard"] for search in soak.searches),
        "processes that outlived a driver": sum(len(search.get("outlived", [])) for search in soak.searches),
        "largest, first and last third (medians)": {
            name: [
                statistics.median(search["largest"][name] for search in part)
                for part in (ended[: max(1, len(ended) // 3)], ended[-max(1, len(ended) // 3) :])
            ]
            for name in (ended[0]["largest"] if ended else ())
        },
        "each": soak.searches,
    }
    print(json.dumps({name: value for name, value in result.items() if name != "each"}, indent=1))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
