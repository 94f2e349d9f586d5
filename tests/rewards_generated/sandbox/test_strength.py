"""The level of the sandbox is measured, demanded and shown."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from rewards_generated.errors import SandboxUnavailable, UserError
from rewards_generated.rollout import Sample
from rewards_generated.sandbox import RewardWorker, SandboxSettings, Seal, measure_strength, require_strength
from rewards_generated.sandbox.process import WorkerProcess
from rewards_generated.sandbox.protocol import Reply
from rewards_generated.sandbox.settings import WEAKEST
from rewards_generated.sandbox.setup import landlock_version, ruleset
from rewards_generated.sandbox.strength import CORE, _denied, _level, _measure

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the seal exists on Linux only")

CODE = "def reward(prompt, completion, answer):\n    return 1.0\n"


def test_the_whole_seal_is_strict_where_the_kernel_has_it() -> None:
    strength = measure_strength()
    if not (strength.seccomp and strength.landlock):
        pytest.skip("this kernel lacks a part of the seal")
    assert strength.level == "strict"
    assert all(strength.denied.values())


def test_a_seal_without_seccomp_or_landlock_is_at_most_standard() -> None:
    assert measure_strength(Seal(landlock=False)).level in ("standard", "basic")
    assert measure_strength(Seal(seccomp=False)).level in ("standard", "basic")


def test_the_weakest_seal_is_basic_and_says_what_got_through() -> None:
    strength = measure_strength(WEAKEST)
    assert strength.level == "basic"
    assert not strength.denied["read_file"]
    assert not strength.denied["connect"]
    assert strength.denied["exceed_memory"]
    assert strength.denied["environment"]


def test_the_self_test_leaves_a_parent_running_that_it_could_trace() -> None:
    """In a process of its own, for an attached and forgotten parent would stay stopped."""
    code = (
        "from rewards_generated.sandbox.settings import WEAKEST\n"
        "from rewards_generated.sandbox.strength import _measure\n"
        "for _ in range(5):\n"
        "    print(_measure(WEAKEST).denied['trace_parent'])\n"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert len(finished.stdout.split()) == 5


@pytest.mark.parametrize("killed", [2, 3])
def test_a_self_test_whose_worker_is_killed_from_outside_is_made_again(
    monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    left = [None] * killed

    def kill_first(worker: WorkerProcess, attempt: str, argument: str) -> bool:
        if left:
            left.pop()
            worker._process.kill()
        return _denied(worker, attempt, argument)

    monkeypatch.setattr("rewards_generated.sandbox.strength._denied", kill_first)
    found = _measure(Seal())
    if killed < 3:
        assert found == measure_strength()
    else:
        assert found.level == "none"
        assert found.problem == "the self-test worker failed: was killed by SIGKILL"


def test_an_attempt_whose_child_is_killed_from_outside_is_no_denial(monkeypatch: pytest.MonkeyPatch) -> None:
    left = [-signal.SIGKILL, -signal.SIGKILL]
    real = WorkerProcess.call

    def killed(worker: WorkerProcess, samples: Sequence[Sample], seconds: float) -> Reply:
        reply = real(worker, samples, seconds)
        if samples[0].prompt == "connect" and left:
            return Reply(exit_code=left.pop())
        return reply

    monkeypatch.setattr(WorkerProcess, "call", killed)
    assert not _measure(WEAKEST).denied["connect"]
    left[:] = [-signal.SIGKILL] * 3
    assert _measure(WEAKEST).denied["connect"]


def test_the_measurement_is_made_once() -> None:
    assert measure_strength() is measure_strength(Seal())


def test_the_measurement_is_plain_data() -> None:
    strength = measure_strength()
    assert json.loads(json.dumps(strength.as_dict()))["level"] == strength.level


@pytest.mark.parametrize("name", CORE)
def test_one_core_attempt_that_succeeds_lowers_the_level(name: str) -> None:
    denied = {**measure_strength().denied, name: False}
    assert _level(denied, True, True) == "basic"


def test_an_attempt_beside_the_core_costs_the_strict_level() -> None:
    denied = dict.fromkeys(measure_strength().denied, True)
    assert _level(denied, True, True) == "strict"
    assert _level({**denied, "leave_group": False}, True, True) == "standard"
    assert _level({**denied, "exceed_memory": False}, True, True) == "none"
    assert _level({}, True, True) == "none"


@pytest.mark.parametrize(
    ("settings", "seal"),
    [
        ({"require": "strict"}, Seal(landlock=False)),
        ({"require": "standard"}, WEAKEST),
        ({"require": "standard", "allow_weak": False}, WEAKEST),
        ({"require": "basic"}, WEAKEST),
    ],
)
def test_a_level_below_the_demanded_one_runs_nothing(settings: dict[str, object], seal: Seal) -> None:
    with (
        RewardWorker(CODE, SandboxSettings.model_validate(settings), seal=seal) as worker,
        pytest.raises(SandboxUnavailable) as caught,
    ):
        worker.score([Sample("", "", "")])
    assert isinstance(caught.value, UserError)
    assert "\n" not in str(caught.value)
    assert "sandbox." in str(caught.value)
    assert worker.counts.starts == 0


def test_the_user_can_insist_on_a_weak_sandbox() -> None:
    settings = SandboxSettings(require="basic", allow_weak=True)
    with RewardWorker(CODE, settings, seal=WEAKEST) as worker:
        assert worker.score([Sample("", "", "")])[0].value == 1.0


def test_insisting_does_not_lower_a_higher_demand() -> None:
    with pytest.raises(SandboxUnavailable):
        require_strength(SandboxSettings(require="standard", allow_weak=True), WEAKEST)


def test_no_environment_variable_weakens_the_seal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SANDBOX", "SECCOMP", "LANDLOCK", "PYTHONSTARTUP", "PYTHONPATH", "LD_PRELOAD_", "REWARD_SANDBOX_SEAL"):
        monkeypatch.setenv(name, "0")
    with RewardWorker("import os\ndef reward(p, c, a):\n    return len(os.environ)\n", SandboxSettings()) as worker:
        assert worker.score([Sample("", "", "")])[0].value == 0.0
        assert worker._process is not None
        assert worker._process.flags[:2] == (measure_strength().seccomp, measure_strength().landlock)


def test_the_ruleset_handles_what_each_version_knows() -> None:
    assert ruleset(0) == b""
    assert [len(ruleset(version)) for version in range(1, 8)] == [8, 8, 8, 16, 16, 24, 24]
    assert int.from_bytes(ruleset(7)[:8], "little") == 0xFFFF
    assert landlock_version() >= 0


def test_a_parent_that_ignores_its_children_changes_nothing_of_the_level() -> None:
    """What ignores SIGCHLD hands that on to all that it starts."""
    code = (
        "import signal\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from rewards_generated.sandbox.strength import measure_strength\n"
        "print(measure_strength().level)\n"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert finished.stdout.strip() == measure_strength().level
