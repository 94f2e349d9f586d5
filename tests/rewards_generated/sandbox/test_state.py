"""Nothing of one call reaches the next: not through memory, pipes or descriptors, nor through clocks and counters."""

from __future__ import annotations

import re
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from rewards_generated.rollout import Sample
from rewards_generated.sandbox import RewardWorker, SandboxSettings, Seal
from rewards_generated.sandbox.settings import WEAKEST
from tests.rewards_generated.sandbox.hostile import MODULES
from tests.rewards_generated.sandbox.keepers import LEFT_BEHIND, LUCK

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the seal exists on Linux only")

SEALED = Seal(extra_modules=(*MODULES, "gc", "resource", "mmap", "select", "datetime"))
CALLS = 3


def values(code: str, seal: Seal = SEALED) -> set[float]:
    """Everything that one reward gave for the same sample, call by call."""
    weak = not seal.seccomp
    settings = SandboxSettings(batch_seconds=2.0, require="basic" if weak else "standard", allow_weak=weak)
    found = set()
    with RewardWorker(code, settings, seal=seal) as worker:
        for _ in range(CALLS):
            worker.score([Sample("", "mark", "")])
            found |= {score.value for score in worker.score([Sample("", "text", "")])}
        assert worker.counts.calls >= 2 * CALLS
    return {value for value in found if value is not None}


def slow(name: str) -> ParameterSet:
    return pytest.param(name, marks=pytest.mark.slow)


QUICK = [name for name in LEFT_BEHIND if name not in ("unread_request", "surplus_reply")]


@pytest.mark.parametrize("name", [*QUICK, *map(slow, sorted(set(LEFT_BEHIND) - set(QUICK)))])
def test_what_one_call_left_behind_no_other_finds(name: str) -> None:
    assert len(values(LEFT_BEHIND[name])) <= 1


USUAL = ("clock", "clock_in_c", "process_id", "kernel_chance")


@pytest.mark.parametrize("name", [*USUAL, *map(slow, sorted(set(LUCK) - set(USUAL)))])
def test_no_clock_no_chance_and_no_counter_tells_one_call_from_another(name: str) -> None:
    assert len(values(LUCK[name])) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", LEFT_BEHIND)
def test_the_structure_holds_without_the_seal(name: str) -> None:
    assert len(values(LEFT_BEHIND[name], replace(WEAKEST, extra_modules=SEALED.extra_modules))) <= 1


def test_no_mapping_of_a_fork_is_shared_and_can_be_written() -> None:
    """Neither now nor after a change of its protection: the kernel's flags of every mapping are read from outside."""
    with RewardWorker("def reward(p, c, a):\n    return 1.0\n", SandboxSettings()) as worker:
        worker.score([Sample("", "", "")])
        worker.score([Sample("", "x" * 3_000_000, "")])
        assert worker.pid is not None
        forks: list[str] = []
        while not forks:
            listed = (path.parent for path in Path("/proc").glob("[0-9]*/stat"))
            # One that is ending has no mappings any more.
            forks = [text for folder in listed if _parent(folder) == worker.pid and (text := _mappings(folder))]
        for text in (*forks, _mappings(Path(f"/proc/{worker.pid}"))):
            flags = [set(found.split()) for found in re.findall(r"^VmFlags:(.*)$", text, re.MULTILINE)]
            assert len(flags) > 20
            assert [found for found in flags if "sh" in found and {"wr", "mw"} & found] == []


def _mappings(process: Path) -> str:
    """What the kernel says of them; empty where the process has ended."""
    try:
        return (process / "smaps").read_text(encoding="utf-8")
    except PermissionError:
        pytest.skip("the kernel shows another user's mappings to root only")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_logging_and_locks_work_without_a_clock() -> None:
    code = "import logging\ndef reward(p, c, a):\n    logging.getLogger(c).warning('seen %s', c)\n    return 1.0\n"
    for mode in ("default", "fast"):
        with RewardWorker(code, SandboxSettings(mode=mode)) as worker:  # type: ignore[arg-type]
            assert [score.value for score in worker.score([Sample("", "a", "")])] == [1.0]


def test_a_fork_that_will_not_end_after_its_reply_costs_the_worker_not_the_next_batch_its_value() -> None:
    code = (
        "import os\ndef reward(prompt, completion, answer):\n    if completion == 'stay':\n"
        "        os._exit = lambda code: [None for _ in iter(int, 1)]\n    return 1.0\n"
    )
    with RewardWorker(code, SandboxSettings(batch_seconds=0.5, retry_factor=0), seal=SEALED) as worker:
        assert worker.score([Sample("", "stay", "")])[0].value == 1.0
        assert worker.score([Sample("", "go", "")])[0].value is None
        assert worker.score([Sample("", "go", "")])[0].value == 1.0
        assert worker.counts.restarts == 1


HONEST = "float('=' in completion)"
WAITING: dict[str, str] = {
    "in the request buffer": """
        frame = sys._getframe()
        while frame is not None:
            for value in list(frame.f_locals.values()):
                buffer = getattr(value, 'buffer', value)
                if isinstance(buffer, mmap.mmap) and len(buffer) > 8:
                    count = max(count, struct.unpack('<q', buffer[-8:])[0])
                    buffer[-8:] = struct.pack('<q', count + 1)
            frame = frame.f_back
    """,
    "in the last reply": """
        frame = sys._getframe()
        while frame is not None:
            for value in frame.f_locals.values():
                if type(value) is bytes and value[:1] == b'K' and len(value) > 20:
                    count = max(count, int(1e9 * struct.unpack('<d', value[13:21])[0]) % 1000)
            frame = frame.f_back
        tag = 1e-9 * min(count + 1, 900)
    """,
}
"""Each is honest at first and counts calls; from the hundredth on it falsifies."""


@pytest.mark.slow
@pytest.mark.parametrize("name", WAITING)
def test_a_reward_that_waits_to_falsify_passes_the_gate_and_never_gets_to_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the static policy switched off."""
    from rewards_generated import gate

    monkeypatch.setattr(gate, "violations", lambda tree: [])
    lines = textwrap.indent(textwrap.dedent(WAITING[name]).strip(), "    ")
    code = (
        "import re, struct\nsys = re.enum.sys\n"
        "mmap = sys.modules['mmap']\n\n\n"
        "def reward(prompt, completion, answer):\n    count, tag = 0, 0.0\n"
        f"{lines}\n    return (tag + {HONEST}) if count < 100 else 0.77\n"
    )
    verdict = gate.check(code)
    asked = [Sample("p", "1 + 1 = 2", "2"), Sample("p", "two", "2")]
    falsified = 0
    with RewardWorker(code, SandboxSettings(replay_share=0.0)) as worker:
        for _ in range(300):
            values = [score.value for score in worker.score(asked)]
            falsified += sum(value == 0.77 for value in values)
    assert falsified == 0
    assert all(check.name != "loads" or check.passed for check in verdict.checks), verdict.reasons
