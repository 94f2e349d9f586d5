"""A reward function that runs in its own sealed process."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from time import monotonic

from rewards_generated.rollout import Sample
from rewards_generated.sandbox.process import BatchTimeout, WorkerDied, WorkerProcess, death
from rewards_generated.sandbox.protocol import LARGEST_REQUEST, ProtocolViolation
from rewards_generated.sandbox.recheck import Rechecks
from rewards_generated.sandbox.settings import EntryPoint, SandboxSettings, Seal
from rewards_generated.sandbox.strength import require_strength
from rewards_generated.score import Score

_RETRY_SHARE = 1 / 8
"""Time of one retry of a broken batch, as a share of batch_seconds."""
_STARTS = 3
"""Times that a worker is started for one call, if it dies before it has heard of any completion."""
_USUAL_SHARE = 0.5
"""What a call may take, as a share of batch_seconds, before it counts as waiting."""
_KILLED = death(-signal.SIGKILL)
"""What no reward does to itself: somebody else has, or the machine had no memory. The batch is asked once more."""
_HOPELESS = 3
"""Retries stop when this many more of them have failed than succeeded: the reward is broken, not one completion."""


@dataclass
class WorkerCounts:
    """What happened to a worker since it was made."""

    calls: int = 0
    """Batches sent, the retries and replays included."""
    samples: int = 0
    """Samples that `score` was asked for."""
    unscored: int = 0
    """Samples among them that came back without a value."""
    starts: int = 0
    """Processes started."""
    restarts: int = 0
    """Processes started in place of one that died or was killed (recycling is none of these)."""
    timeouts: int = 0
    waited: float = 0.0
    """Seconds of calls whose time was up, and those of others beyond what a call usually takes."""
    starved: float = 0.0
    """Seconds of long calls for which others left the process no processor; they count where the time was up."""
    deaths: int = 0
    violations: int = 0
    """Replies that broke the protocol."""
    replays: int = 0
    """Times that a fresh process was asked what was drawn."""
    replay_differences: int = 0


@dataclass(frozen=True)
class _Failure:
    """A batch without scores; `divisible` if a part of it might fare better."""

    reason: str
    divisible: bool = False


class RewardWorker:
    """Scores batches with untrusted code in a sealed process of its own; a `Scorer`.

    The process is started at the first call and again whenever it died. Calls from several threads are taken one at a
    time. Close it, or use it as a context manager. `seal` and `hash_seed` are for tests and for the gate: a weaker seal
    is measured as such and refused unless the settings accept that level.
    """

    def __init__(
        self,
        code: str,
        settings: SandboxSettings | None = None,
        name: str = "reward",
        *,
        entry: EntryPoint | None = None,
        hash_seed: int = 0,
        seal: Seal | None = None,
    ) -> None:
        self.name = name
        self.counts = WorkerCounts()
        self._code = code
        self._settings = settings or SandboxSettings()
        self._entry = entry or EntryPoint()
        self._hash_seed = hash_seed
        self._seal = seal or Seal()
        self._lock = threading.RLock()
        self._process: WorkerProcess | None = None
        self._owner = os.getpid()
        self._lost = False
        self._calls_of_process = 0
        self._call_seconds = 0.0
        self.condemned: str | None = None
        """Why nothing more is scored: a proven difference, or too much waiting. What was scored before is void."""
        self._rechecks = Rechecks(self._settings.replay_share, self._fresh)
        self._replayer: RewardWorker | None = None

    def __enter__(self) -> RewardWorker:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Half-made if the constructor raised.
        if "_replayer" in self.__dict__:
            self.close()

    @property
    def starved(self) -> float:
        """Seconds for which others left its processes no processor, in all."""
        return self.counts.starved

    @property
    def pid(self) -> int | None:
        """Process id of the running worker, None before the first call and after `close`."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process now instead of at the first call. Raises SandboxUnavailable."""
        with self._lock:
            self._ensure_process()

    def load(self) -> str | None:
        """Run the module without scoring anything; None, or why it cannot be used. Raises SandboxUnavailable."""
        with self._lock:
            outcome = self._attempt([], [], self._settings.batch_seconds)
            return outcome.reason if isinstance(outcome, _Failure) else None

    def score(self, samples: Sequence[Sample], groups: Sequence[Hashable] | None = None) -> list[Score]:
        """One score per sample, in order; what the reward does wrong is a Score without value.

        `groups`: equal for completions of the same prompt; needed by an entry of kind `group`, which is called with
        each of them, its samples in their order, and not used by others. A batch that is killed is divided until the
        completions, or groups, that broke it are found, within retry_factor x batch_seconds. Raises SandboxUnavailable
        if this machine cannot give the level that the settings require, ValueError for groups that are missing or whose
        samples are of different questions.
        """
        samples = list(samples)
        if not samples:
            return []
        places, groups = list(range(len(samples))), self._numbers(samples, groups)
        places.sort(key=groups.__getitem__)
        together, numbers = [samples[place] for place in places], [groups[place] for place in places]
        with self._lock:
            found: Sequence[Score] = []
            if self.condemned is None:
                outcome = self._attempt(together, numbers, self._settings.batch_seconds)
                if isinstance(outcome, _Failure) and outcome.reason == _KILLED:
                    outcome = self._attempt(together, numbers, self._settings.batch_seconds)
                if isinstance(outcome, _Failure):
                    found = self._divide(together, numbers, outcome)
                else:
                    found = outcome
                    self._rechecks.take(together, numbers, outcome)
                    if self._rechecks.due:
                        self._ask_again()
            if self.condemned is not None:
                found = [Score(None, self.condemned)] * len(samples)
            self.counts.samples += len(samples)
            self.counts.unscored += sum(score.value is None for score in found)
        scores = list(found)
        for place, score in zip(places, found, strict=True):
            scores[place] = score
        return scores

    def close(self) -> None:
        """Kill the process; a later call starts a new one."""
        with self._lock:
            process, self._process = self._process, None
            if process is not None and self._owner == os.getpid():
                process.kill()
            replayer, self._replayer = self._replayer, None
            if replayer is not None:
                replayer.close()

    def _numbers(self, samples: Sequence[Sample], groups: Sequence[Hashable] | None) -> list[int]:
        """Of the part of a batch to which each sample belongs, which is not divided: its group, or it alone."""
        if self._entry.kind != "group":
            return list(range(len(samples)))
        if groups is None or len(groups) != len(samples):
            raise ValueError(f"{self.name} sees whole groups: give the group of every completion")
        first: dict[Hashable, tuple[int, Sample]] = {}
        for sample, group in zip(samples, groups, strict=True):
            _, other = first.setdefault(group, (len(first), sample))
            if sample.question != other.question:
                raise ValueError(f"{self.name} sees whole groups, and one has completions of different questions")
        return [first[group][0] for group in groups]

    def _ensure_process(self) -> WorkerProcess:
        if self._owner != os.getpid():
            # A fork of the trainer must not talk to the process of its parent.
            self._process, self._replayer, self._owner = None, None, os.getpid()
        process = self._process
        if (
            process is not None
            and self._settings.mode == "fast"
            and self._calls_of_process >= self._settings.recycle_calls
        ):
            process.kill()
            process = None
        if process is None:
            strength = require_strength(self._settings, self._seal)
            process = WorkerProcess(self._code, self._settings, self._entry, self._seal, self._hash_seed)
            strength.confirm(process)
            self.counts.starts += 1
            self.counts.restarts += self._lost
            self._lost = False
            self._calls_of_process = 0
            self._process = process
        return process

    def _attempt(self, samples: list[Sample], groups: list[int], seconds: float) -> list[Score] | _Failure:
        """One call of the process; it is killed if it fails."""
        self._call_seconds = 0.0
        texts = (text for s in samples for text in (s.prompt, s.completion, s.answer, s.worked_solution) if text)
        if sum(map(len, texts)) > LARGEST_REQUEST:
            return _Failure("the batch is too large for one call", divisible=True)
        for attempt in range(_STARTS):
            try:
                process = self._ensure_process()
                break
            except (BatchTimeout, WorkerDied, ProtocolViolation) as error:
                self._lost = True
                if attempt == _STARTS - 1:
                    return _Failure(f"the worker did not start: {error}")
        self._calls_of_process += 1
        self.counts.calls += 1
        started = monotonic()
        try:
            reply = process.call(samples, seconds, groups if self._entry.kind == "group" else None)
        except BatchTimeout:
            self.counts.timeouts += 1
            self._kill()
            self._wait(seconds + process.starved)
            return _Failure(f"took longer than {seconds:g} s and was killed", divisible=True)
        except WorkerDied as error:
            self.counts.deaths += 1
            self._kill()
            return _Failure(str(error), divisible="forbidden" not in str(error))
        except ProtocolViolation as error:
            self.counts.violations += 1
            self._kill()
            return _Failure(str(error))
        except BaseException:
            self._kill()
            raise
        finally:
            self._call_seconds = monotonic() - started - process.starved
            self.counts.starved += process.starved
        self._wait(self._call_seconds - _USUAL_SHARE * self._settings.batch_seconds)
        if reply.scores is not None:
            return reply.scores
        if reply.exit_code is not None:
            self.counts.deaths += 1
            reason = death(reply.exit_code)
            return _Failure(reason, divisible="forbidden" not in reason)
        return _Failure(reply.error or "failed", divisible=self._entry.kind == "batch")

    def _wait(self, seconds: float) -> None:
        self.counts.waited += max(0.0, seconds)
        if self.counts.waited > self._settings.lost_seconds and self.condemned is None:
            self._condemn(f"made its caller wait for {self.counts.waited:.0f} s in vain, in all")

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None
            self._lost = True

    def _divide(self, samples: list[Sample], groups: list[int], failure: _Failure) -> list[Score]:
        """Halve a batch that broke until the completions, or groups, that break it stand alone."""
        scores = [Score(None, failure.reason)] * len(samples)
        starts = [place for place in range(len(samples)) if place == 0 or groups[place] != groups[place - 1]]
        parts, starts = len(starts), [*starts, len(samples)]
        if not failure.divisible or parts == 1:
            return scores
        seconds = self._settings.batch_seconds
        # Seconds of calls that are left; the starts of new processes do not count.
        budget = self._settings.retry_factor * seconds
        calls, balance = 8 * math.ceil(math.log2(parts)), _HOPELESS
        pending = deque(_halves(0, parts))
        while pending and self.condemned is None and calls > 0 and balance >= 0 and budget > 0:
            first, behind = pending.popleft()
            start, end = starts[first], starts[behind]
            outcome = self._attempt(samples[start:end], groups[start:end], min(seconds * _RETRY_SHARE, budget))
            budget -= self._call_seconds
            calls -= 1
            if not isinstance(outcome, _Failure):
                scores[start:end] = outcome
                balance += 1
                continue
            balance -= 1
            scores[start:end] = [Score(None, outcome.reason)] * (end - start)
            if outcome.divisible and behind - first > 1:
                pending.extend(_halves(first, behind))
        return scores

    def recheck(self) -> str | None:
        """Asks the rest of what was drawn again; `condemned` afterwards."""
        with self._lock:
            if self.condemned is None:
                self._ask_again()
            return self.condemned

    def _ask_again(self) -> None:
        before = self._rechecks.calls
        difference = self._rechecks.difference()
        self.counts.replays += self._rechecks.calls - before
        if difference is not None:
            self.counts.replay_differences += 1
            self._condemn(f"is no pure function: the same question got {difference}")

    def _condemn(self, why: str) -> None:
        self.condemned = why
        self._kill()

    def _fresh(self, hash_seed: int) -> RewardWorker:
        settings = self._settings.model_copy(update={"mode": "default", "replay_share": 0.0})
        self._replayer = RewardWorker(
            self._code, settings, self.name, entry=self._entry, hash_seed=hash_seed, seal=self._seal
        )
        return self._replayer


def _halves(start: int, end: int) -> list[tuple[int, int]]:
    middle = (start + end) // 2
    return [(start, middle), (middle, end)]
