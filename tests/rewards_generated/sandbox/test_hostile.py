"""Every hostile case, in the strongest and in the weakest level that Linux offers."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rewards_generated import sandbox
from rewards_generated.sandbox import measure_strength
from tests.rewards_generated.sandbox.hostile import CASES
from tests.rewards_generated.sandbox.supervisor import SEALS, VARIABLE

ROOT = Path(__file__).parents[3]
PATIENCE = 30.0
"""Seconds after which a silent supervisor counts as frozen; it needs about one per case."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the seal exists on Linux only")


class Supervisor:
    """A supervisor process, replaced when an attack broke it."""

    def __init__(self, mode: str, level: str) -> None:
        self._arguments = [mode, level]
        self._process: subprocess.Popen[str] | None = None

    def run(self, case: str) -> list[str]:
        """The breaches of one case."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.rewards_generated.sandbox.supervisor", *self._arguments],
                cwd=ROOT,
                env={**os.environ, VARIABLE: os.urandom(24).hex()},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(case + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            self.close()
            return ["the parent was frozen"]
        line = self._process.stdout.readline()
        if not line:
            self.close()
            return ["the parent was killed"]
        report: dict[str, Any] = json.loads(line)
        return list(report["breaches"])

    def close(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def _supervised(mode: str, level: str) -> Iterator[Supervisor]:
    supervisor = Supervisor(mode, level)
    yield supervisor
    supervisor.close()


@pytest.fixture(scope="module")
def strongest() -> Iterator[Supervisor]:
    if measure_strength().level != "strict":
        pytest.skip("this machine does not reach the strongest level")
    yield from _supervised("default", "strongest")


@pytest.fixture(scope="module")
def strongest_fast() -> Iterator[Supervisor]:
    if measure_strength().level != "strict":
        pytest.skip("this machine does not reach the strongest level")
    yield from _supervised("fast", "strongest")


@pytest.fixture(scope="module")
def weakest() -> Iterator[Supervisor]:
    yield from _supervised("default", "weakest")


def _listed(heading: str) -> set[str]:
    """The cases that a section of the sandbox's README names."""
    text = Path(sandbox.__file__).with_name("README.md").read_text(encoding="utf-8")
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"`([a-z]+\.[a-z0-9_]+)`", section)) - {"sandbox.allow_weak"}


UNCONTAINED = _listed("Not contained by `basic`")
UNDECIDED = _listed("Contained by `basic` only for some users")


def test_documented_cases_exist() -> None:
    assert set(CASES) >= UNCONTAINED | UNDECIDED


@pytest.mark.parametrize("case", CASES)
def test_strongest_level_contains(strongest: Supervisor, case: str) -> None:
    assert strongest.run(case) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith(("protocol.", "values."))])
def test_strongest_level_contains_in_one_process(strongest_fast: Supervisor, case: str) -> None:
    assert strongest_fast.run(case) == []


@pytest.fixture(scope="module")
def with_mathematics() -> Iterator[Supervisor]:
    if measure_strength().level != "strict":
        pytest.skip("this machine does not reach the strongest level")
    yield from _supervised("mathematics", "strongest")


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("values.")])
def test_the_packages_for_mathematics_open_no_way_out(with_mathematics: Supervisor, case: str) -> None:
    """A worker that has imported math-verify holds much of the standard library that others do not."""
    assert with_mathematics.run(case) == []


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("protocol.")])
def test_protocol_holds_in_one_process(strongest_fast: Supervisor, case: str) -> None:
    assert strongest_fast.run(case) == []


@pytest.mark.slow
@pytest.mark.parametrize("half", ["seccomp", "landlock"])
def test_half_the_seal_contains_what_the_standard_level_promises(half: str) -> None:
    if measure_strength(SEALS[half]).level != "standard":
        pytest.skip(f"this machine does not reach the standard level with {half} alone")
    for supervisor in _supervised("default", half):
        breached = [case for case in CASES if supervisor.run(case)]
    assert len(breached) <= 0.08 * len(CASES), breached


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case not in UNCONTAINED | UNDECIDED])
def test_weakest_level_contains(weakest: Supervisor, case: str) -> None:
    assert weakest.run(case) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", sorted(UNCONTAINED))
def test_weakest_level_fails_as_documented(weakest: Supervisor, case: str) -> None:
    breaches = weakest.run(case)
    if not breaches and os.getuid() != 0:
        pytest.skip("contained here because the tests do not run as root")
    assert breaches
