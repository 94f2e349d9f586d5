"""What a reward worker gives to those who train with it."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rewards_generated.adapters.batch import code_entry_point
from rewards_generated.rollout import Sample
from rewards_generated.sandbox import EntryPoint, RewardWorker, SandboxSettings
from rewards_generated.sandbox import worker as sandbox_worker
from rewards_generated.sandbox.process import WorkerDied, _run_delay
from rewards_generated.sandbox.recheck import Rechecks
from rewards_generated.score import Score

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the seal exists on Linux only")

SLOW = """
def reward(prompt, completion, answer):
    if completion == "slow":
        sum(range(60_000_000))
    return float(len(completion))
"""
LENGTH = """
import re
PATTERN = re.compile(r"\\w")

class Counter:
    def count(self, text):
        return sum(1 for _ in PATTERN.finditer(text))

def reward(prompt, completion, answer):
    if completion == "raise":
        raise ValueError("no " + answer)
    if completion == "text":
        return "1.0"
    if completion == "hang":
        while True:
            pass
    if completion == "die":
        import os
        os._exit(3)
    return Counter().count(completion)
"""

MODES = ("default", "fast")


def worker(code: str, mode: str, entry: EntryPoint | None = None, hash_seed: int = 0, **limits: float) -> RewardWorker:
    settings = SandboxSettings.model_validate({"mode": mode, **limits})
    return RewardWorker(code, settings, entry=entry, hash_seed=hash_seed)


def samples(*completions: str) -> list[Sample]:
    return [Sample("question", completion, "42") for completion in completions]


@pytest.mark.parametrize("mode", MODES)
def test_scores_come_in_order_and_errors_stay_with_their_sample(mode: str) -> None:
    with worker(LENGTH, mode) as reward:
        scores = reward.score(samples("a", "raise", "abc", "text", ""))
        assert [score.value for score in scores] == [1.0, None, 3.0, None, 0.0]
        assert scores[1].error == "raised ValueError: no 42"
        assert scores[3].error == "returned str, not a float"
        assert (reward.counts.samples, reward.counts.unscored, reward.counts.restarts) == (5, 2, 0)


@pytest.mark.parametrize("mode", MODES)
def test_every_failed_sample_has_a_reason(mode: str) -> None:
    with worker(LENGTH, mode) as reward:
        scores = reward.score(samples(*["raise"] * 30, "abc"))
    assert all(score.value is None and score.error for score in scores[:30])
    assert scores[30].value == 3.0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", ["hang", "die"])
def test_one_completion_that_breaks_a_batch_does_not_unscore_the_others(mode: str, bad: str) -> None:
    with worker(LENGTH, mode, batch_seconds=2.0) as reward:
        batch = samples(*["word"] * 11, bad, *["word"] * 20)
        scores = reward.score(batch)
        assert [index for index, score in enumerate(scores) if score.value is None] == [11]
        assert scores[11].error
        assert {score.value for index, score in enumerate(scores) if index != 11} == {4.0}


@pytest.mark.parametrize("mode", MODES)
def test_a_reward_that_always_hangs_gives_up_early(mode: str) -> None:
    with worker(LENGTH, mode, batch_seconds=0.5) as reward:
        scores = reward.score(samples(*["hang"] * 64))
        assert all(score.value is None for score in scores)
        assert reward.counts.timeouts <= 5


def test_without_retries_a_broken_batch_is_unscored_as_a_whole() -> None:
    with worker(LENGTH, "default", batch_seconds=0.5, retry_factor=0) as reward:
        scores = reward.score(samples("a", "hang"))
        assert [score.value for score in scores] == [None, None]
        assert reward.counts.calls == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_killed_worker_is_replaced(mode: str) -> None:
    with worker(LENGTH, mode) as reward:
        reward.start()
        first = reward.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        time.sleep(0.05)
        (score,) = reward.score(samples("abc"))
        assert score.value == 3.0
        assert reward.pid != first
        assert reward.counts.restarts == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("texts", [["slow"], ["slow", "abc", "slow"]])
def test_what_a_worker_was_asked_when_somebody_killed_it_is_asked_again(mode: str, texts: list[str]) -> None:
    with worker(SLOW, mode) as reward:
        reward.start()
        first = reward.pid
        assert first is not None
        threading.Timer(0.1, os.kill, (first, signal.SIGKILL)).start()
        assert [score.value for score in reward.score(samples(*texts))] == [float(len(text)) for text in texts]
        assert reward.pid != first
        assert reward.counts.deaths == 1


@pytest.mark.parametrize(("deaths", "value"), [(2, 3.0), (3, None)])
def test_a_worker_that_is_killed_while_it_starts_is_started_again(
    monkeypatch: pytest.MonkeyPatch, deaths: int, value: float | None
) -> None:
    """From outside, as by a machine that has run out of memory: that is no fault of the reward."""
    real, dead = sandbox_worker.WorkerProcess, []

    def killed(*values: Any) -> sandbox_worker.WorkerProcess:
        if len(dead) < deaths:
            dead.append(1)
            raise WorkerDied("was killed by SIGKILL")
        return real(*values)

    monkeypatch.setattr(sandbox_worker, "WorkerProcess", killed)
    with worker(LENGTH, "default") as reward:
        (score,) = reward.score(samples("abc"))
        assert score.value == value
        assert value is not None or score.error == "the worker did not start: was killed by SIGKILL"
        assert reward.score(samples("abc"))[0].value == 3.0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "text", ["", "\0", "\ud800 lone", "\ud83d\ude00", "héllo 数学 😀", "x" * 3_000_000, "\r\n\t", "9" * 10_000]
)
def test_texts_arrive_as_they_are(mode: str, text: str) -> None:
    code = "def reward(prompt, completion, answer):\n    return float(completion == eval(answer))\n"
    shown = repr(text) if len(text) < 100 else f"{text[0]!r} * {len(text)}"
    with worker(code, mode) as reward:
        batch = [Sample(text, text, shown), Sample(text, text + "x", shown), Sample("", text, shown)]
        assert [score.value for score in reward.score(batch)] == [1.0, 0.0, 1.0]


def test_repeated_columns_are_restored() -> None:
    code = "def reward(p, c, a):\n    return int(p) * 100 + int(c) * 10 + int(a)\n"
    rows = [("1", "1", "1"), ("1", "2", "1"), ("2", "2", "1"), ("2", "2", "3"), ("1", "1", "3")]
    with worker(code, "default") as reward:
        scores = reward.score([Sample(*row) for row in rows])
    assert [score.value for score in scores] == [111, 121, 221, 223, 113]


def test_default_mode_carries_no_state_between_batches() -> None:
    code = "seen = []\ndef reward(prompt, completion, answer):\n    seen.append(completion)\n    return len(seen)\n"
    with worker(code, "default") as reward:
        first = [score.value for score in reward.score(samples("a", "b"))]
        second = [score.value for score in reward.score(samples("a", "b"))]
    assert first == second == [1.0, 2.0]


def test_fast_mode_finds_carried_state_by_replay() -> None:
    code = "seen = []\ndef reward(prompt, completion, answer):\n    seen.append(completion)\n    return len(seen)\n"
    with worker(code, "fast", replay_share=1.0) as reward:
        reward.score(samples("a", "b"))
        scores = reward.score(samples("a", "b", "c"))
        assert reward.counts.replay_differences >= 1
        assert any(score.value is None and "pure" in (score.error or "") for score in scores)


def test_fast_mode_replays_a_pure_reward_without_complaint() -> None:
    with worker(LENGTH, "fast", replay_share=1.0) as reward:
        scores = reward.score(samples("a", "abc", "raise"))
        assert [score.value for score in scores] == [1.0, 3.0, None]
        assert (reward.counts.replays, reward.counts.replay_differences) == (1, 0)


def test_fast_mode_recycles_its_process() -> None:
    with worker(LENGTH, "fast", recycle_calls=2, replay_share=0.0) as reward:
        pids = []
        for _ in range(4):
            reward.score(samples("a"))
            pids.append(reward.pid)
        assert pids[0] == pids[1] != pids[2] == pids[3]
        assert reward.counts.restarts == 0


@pytest.mark.parametrize("mode", MODES)
def test_hash_seed_is_what_was_asked_for(mode: str) -> None:
    code = "def reward(prompt, completion, answer):\n    return hash(completion) % 1000\n"
    values = {}
    for seed in (0, 0, 1):
        with worker(code, mode, hash_seed=seed) as reward:
            values.setdefault(seed, []).append(reward.score(samples("text"))[0].value)
    assert values[0][0] == values[0][1] != values[1][0]


def test_load_tells_why_a_module_cannot_be_used() -> None:
    for code, reason in (
        ("def (", "SyntaxError"),
        ("x = 1 / 0", "ZeroDivisionError"),
        ("x = 1", "no function reward"),
        ("import numpy", "ModuleNotFoundError"),
    ):
        with worker(code, "default") as reward:
            assert reason in (reward.load() or "")
            assert reward.score(samples("a"))[0].value is None
    with worker(LENGTH, "default") as reward:
        assert reward.load() is None


@pytest.mark.parametrize("mode", MODES)
def test_trl_style_batch_functions(mode: str) -> None:
    code = """
def accuracy(prompts, completions, solution, **kwargs):
    assert kwargs["ground_truth"] == solution and len(prompts) == len(solution)
    return [float(c[0]["content"] == s) for c, s in zip(completions, solution)]
"""
    with worker(code, mode, EntryPoint("accuracy", kind="batch", conversational=True)) as reward:
        assert [score.value for score in reward.score(samples("42", "41"))] == [1.0, 0.0]


def test_batch_function_gets_only_what_it_accepts() -> None:
    code = "def lengths(completions):\n    return [len(c) for c in completions]\n"
    with worker(code, "default", EntryPoint("lengths", kind="batch")) as reward:
        assert [score.value for score in reward.score(samples("a", "abc"))] == [1.0, 3.0]


@pytest.mark.parametrize(
    ("body", "values", "reason"),
    [
        ("return [1.0, None, True, 2]", [1.0, None, None, 2.0], "not a float"),
        ("return [1.0]", [None] * 4, "returned 1 values for"),
        ("return [0.5] * 5", [None] * 4, "returned 5 values for"),
        ("return 'abcd'", [None] * 4, "not a list"),
        ("return (x for x in completions)", [None] * 4, "not a list"),
    ],
)
def test_batch_results_are_checked(body: str, values: list[float | None], reason: str) -> None:
    code = f"def f(prompts, completions, **columns):\n    {body}\n"
    with worker(code, "default", EntryPoint("f", kind="batch"), retry_factor=0) as reward:
        scores = reward.score(samples("a", "b", "c", "d"))
    assert [score.value for score in scores] == values
    assert any(reason in (score.error or "") for score in scores)


def test_workers_serve_several_threads() -> None:
    rewards = [worker(f"def reward(p, c, a):\n    return len(c) + {k}\n", "default") for k in range(3)]
    results: dict[int, list[float | None]] = {}

    def call(k: int) -> None:
        results[k] = [rewards[k % 3].score(samples("ab"))[0].value for _ in range(5)]

    threads = [threading.Thread(target=call, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for reward in rewards:
        reward.close()
    assert results == {k: [2.0 + k % 3] * 5 for k in range(6)}


def test_a_worker_outlives_the_thread_that_first_called_it() -> None:
    with worker(LENGTH, "default") as reward:
        thread = threading.Thread(target=reward.start)
        thread.start()
        thread.join()
        time.sleep(0.1)
        pid = reward.pid
        assert reward.score(samples("abc"))[0].value == 3.0
        assert reward.pid == pid


def test_close_leaves_no_process_and_no_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    reward = worker(LENGTH, "default")
    reward.score(samples("a"))
    pid = reward.pid
    assert pid is not None
    descriptors = len(os.listdir("/proc/self/fd"))
    reward.close()
    assert not Path(f"/proc/{pid}").exists()
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors - 4


def test_a_forked_child_of_the_trainer_gets_its_own_worker() -> None:
    with worker(LENGTH, "default") as reward:
        reward.start()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if reward.score(samples("abc"))[0].value == 3.0 else 2
            finally:
                reward.close()
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert reward.score(samples("abc"))[0].value == 3.0
        assert reward.counts.restarts == 0


def test_no_samples_start_no_process() -> None:
    with worker(LENGTH, "default") as reward:
        assert reward.score([]) == []
        assert reward.pid is None


WORKED = """
def reward(prompt, completion, answer, worked_solution):
    return -1.0 if worked_solution is None else float(len(worked_solution) + completion.count(worked_solution))
"""
WORKED_BATCH = """
def reward(completions, **columns):
    return [-1.0 if text is None else float(len(text)) for text in columns["worked_solution"]]
"""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("code", [WORKED, WORKED_BATCH])
def test_worked_solutions_reach_the_reward_that_asks_for_them(code: str, mode: str) -> None:
    texts = [None, "2 + 2", "2 + 2", None, None, "é", "", "x" * 3]
    batch = [Sample("p", "c", "4", text) for text in texts]
    with RewardWorker(code, SandboxSettings(mode=mode), entry=code_entry_point(code)) as reward:  # type: ignore[arg-type]
        values = [score.value for score in reward.score(batch)]
    assert values[:6] == [-1.0, 5.0, 5.0, -1.0, -1.0, 1.0]
    assert values[7] == 3.0


def test_a_reward_that_does_not_ask_is_not_sent_any() -> None:
    code = "def reward(prompt, completion, answer, **rest):\n    return float(len(rest))\n"
    with RewardWorker(code, entry=code_entry_point(code)) as reward:
        assert [score.value for score in reward.score([Sample("p", "c", "4", "secret")])] == [0.0]


TURNS = "n = [0]\ndef reward(p, c, a):\n    n[0] += 1\n    return float(n[0] > 300)\n"


def test_one_proven_difference_ends_all_scoring() -> None:
    with worker(TURNS, "fast", replay_share=0.5) as reward:
        for _ in range(20):
            scores = reward.score(samples(*"abcdefgh" * 5))
        assert {score.value for score in scores} == {None}
        assert "is no pure function: the same question got 1, and in a fresh process 0" in (reward.condemned or "")
        assert reward.counts.replay_differences == 1


def test_what_was_drawn_and_not_yet_asked_is_asked_at_the_end() -> None:
    with worker(TURNS.replace("300", "3"), "fast", replay_share=0.9) as reward:
        assert reward.score(samples("a")) != []
        assert reward.recheck() is None
        reward.condemned = None
        for _ in range(12):
            reward.score(samples("a"))
            if reward.condemned:
                break
        assert "no pure function" in (reward.recheck() or "")


def test_the_share_that_is_asked_again_catches_a_turn_as_often_as_is_said() -> None:
    """99.7 % of turns before 290 wrong values that are asked about by the end; here without processes."""
    caught = 0
    for _ in range(400):
        rechecks = Rechecks(0.02, lambda seed: _Honest())
        rechecks.take(samples("a") * 290, list(range(290)), [Score(1.0)] * 290)
        caught += rechecks.difference() is not None
    assert caught >= 392


class _Honest:
    def score(self, samples: Sequence[Sample], groups: Sequence[int] | None = None) -> list[Score]:
        return [Score(0.0)] * len(samples)


def test_waiting_in_vain_has_an_end() -> None:
    with worker(LENGTH, "default", batch_seconds=0.3, lost_seconds=0.5, retry_factor=0) as reward:
        for _ in range(3):
            (score,) = reward.score(samples("hang"))
        assert score.error == "made its caller wait for 1 s in vain, in all"
        assert reward.counts.timeouts == 2
        assert reward.score(samples("abc"))[0].value is None


def test_an_answer_that_came_while_its_caller_was_held_up_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stopped terminal, a suspended machine or a busy one: the time of the call is up, and the answer is there."""
    moments = itertools.count()

    def held_up() -> float:
        if next(moments) == 0:
            return time.monotonic()
        time.sleep(0.5)
        return time.monotonic() + 100.0

    with worker(LENGTH, "default", batch_seconds=2) as reward:
        reward.start()
        monkeypatch.setattr("rewards_generated.sandbox.process.time", SimpleNamespace(monotonic=held_up))
        assert [score.value for score in reward.score(samples("abc"))] == [3]
        assert reward.counts.timeouts == 0


LOOPS = """
def reward(prompt, completion, answer):
    for _ in range(int(completion)):
        pass
    return 1.0
"""


def test_a_worker_that_others_leave_no_processor_is_not_taken_for_slow() -> None:
    """Eight others on the one processor that it may use, each in a session of its own as workers are."""
    if _run_delay(os.getpid()) is None:
        pytest.skip("this kernel does not tell for how long a process waited for a processor")
    with worker(LOOPS, "default", batch_seconds=30) as reward:
        reward.score(samples("1000"))
        started = time.monotonic()
        reward.score(samples("3000000"))
        count = str(int(3_000_000 * 0.5 / (time.monotonic() - started)))
    chosen = {min(os.sched_getaffinity(0))}
    with worker(LOOPS, "default", batch_seconds=1.5) as reward, contextlib.ExitStack() as stack:
        reward.score(samples("1000"))
        assert reward.pid is not None
        children = Path(f"/proc/{reward.pid}/task/{reward.pid}/children").read_text().split()
        for pid in (reward.pid, *map(int, children)):
            os.sched_setaffinity(pid, chosen)
        for _ in range(8):
            other = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
            stack.callback(other.wait)
            stack.callback(other.kill)
            os.sched_setaffinity(other.pid, chosen)
        started = time.monotonic()
        (score,) = reward.score(samples(count))
        took = time.monotonic() - started
        assert took > 1.5, "nobody was in its way"
        assert score.value == 1.0
        assert reward.counts.timeouts == 0
        assert took - 1.5 < reward.starved < took
        assert reward.counts.waited < 0.75, "the share of the limit that is usual, and what came before the first look"


def test_a_call_takes_no_more_than_twenty_times_its_limit_whatever_the_machine_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rewards_generated.sandbox.process._LOOK_SECONDS", 0.02)
    monkeypatch.setattr("rewards_generated.sandbox.process._run_delay", lambda pid: (pid, time.monotonic()))
    with worker(LENGTH, "default", batch_seconds=0.1, retry_factor=0) as reward:
        reward.start()
        started = time.monotonic()
        (score,) = reward.score(samples("hang"))
        assert 2.0 < time.monotonic() - started < 4.0
        assert score.error == "took longer than 0.1 s and was killed"
        assert reward.starved == 2.0
        assert reward.counts.waited == pytest.approx(2.1), "a way to starve on purpose would gain nothing"
        assert [score.value for score in reward.score(samples("abc"))] == [3]
        assert reward.starved == 2.0


def test_slow_calls_that_come_to_an_end_are_waiting_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of 7 s by the clock, of which 5 are usual; 10 are allowed each, and 5 beyond what is usual in all."""
    moments = itertools.count(0, 7)
    monkeypatch.setattr("rewards_generated.sandbox.worker.monotonic", lambda: next(moments))
    with worker(LENGTH, "default", batch_seconds=10, lost_seconds=5) as reward:
        values = [reward.score(samples("abc"))[0] for _ in range(3)]
    assert [score.value for score in values] == [3, 3, None]
    assert values[2].error == "made its caller wait for 6 s in vain, in all"
    assert reward.counts.timeouts == 0
