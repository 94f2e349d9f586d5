"""Scores samples with a whole ensemble: base rewards in-process, every other member in a sandboxed worker."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

from rewards_generated.aggregation import totals
from rewards_generated.answers import AnswerReader
from rewards_generated.base import base_rewards
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.rollout import Sample
from rewards_generated.sandbox.settings import SandboxSettings
from rewards_generated.score import Rechecking, Score, Scorer

WorkerFactory = Callable[[str, SandboxSettings], Scorer]


@dataclass(frozen=True, slots=True)
class EnsembleScores:
    """The scores of n samples."""

    components: dict[str, list[float | None]]
    """Per member, by name in the ensemble's order: n unweighted scores; None where the member failed."""
    totals: list[float | None]
    """n aggregated scores; None where any member failed."""
    errors: dict[str, list[str]]
    """Per member with failures: the distinct error messages of this call, at most five."""
    reasons: dict[str, dict[int, str]] = field(default_factory=dict)
    """Per member with failures: why, by the place of the sample."""
    condemned: dict[str, str] = field(default_factory=dict)
    """Members of which all earlier scores are void too, and why."""


@dataclass(slots=True)
class MemberCounts:
    """What a member did over the life of a scorer."""

    calls: int = 0
    failures: int = 0


class TrustedScorer:
    """A reward of this project's own, called in-process."""

    def __init__(self, reward: Callable[[str, str, str], float]) -> None:
        self._reward = reward

    def score(self, samples: Sequence[Sample], groups: Sequence[Hashable] | None = None) -> list[Score]:
        return [Score(float(self._reward(item.prompt, item.completion, item.answer))) for item in samples]

    def close(self) -> None:
        """Nothing is held open."""


class EnsembleScorer:
    """Scores batches with every member of an ensemble, the sandboxed ones side by side.

    A context manager: leaving it stops the workers. `counts` adds up calls and failures per member, so that a run
    past its failure rate can be marked failed. Raises SandboxUnavailable where the settings' level cannot be
    reached on this machine.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        sandbox: SandboxSettings | None = None,
        *,
        answers: AnswerReader | None = None,
        worker: WorkerFactory | None = None,
    ) -> None:
        """`answers`: the task, by whose extraction and equality base rewards judge; None: the ensemble's own format and
        kind. `worker` makes the scorer of untrusted code; by default a `rewards_generated.sandbox.RewardWorker`."""
        self.ensemble = ensemble
        self._base = base_rewards(answers or ensemble.answers)
        self.counts = {member.name: MemberCounts() for member in ensemble.members}
        self._make_worker = worker or _sandboxed
        self._sandbox = sandbox or SandboxSettings()
        self._scorers: dict[str, Scorer] = {}
        untrusted = sum(not member.is_base for member in ensemble.members)
        self._pool = ThreadPoolExecutor(max_workers=max(1, untrusted), thread_name_prefix="reward")
        try:
            for member in ensemble.members:
                self._scorers[member.name] = self._scorer(member)
        except BaseException:
            self.close()
            raise

    def score(
        self, samples: Sequence[Sample], groups: Sequence[Hashable] | None = None, progress: float = 0.0
    ) -> EnsembleScores:
        """Scores n samples with every member and aggregates.

        `groups`, shape (n,): equal for completions of the same prompt; needed by `group_normalised` and by members that
        see whole groups, which raise ValueError without. `progress`: share of the run's steps that are done, for
        weights with a schedule. A member that fails on a sample leaves None there; nothing is raised for it.
        """
        if groups is None and (names := self.ensemble.seeing_groups):
            raise ValueError(f"{', '.join(map(repr, names))} sees whole groups: give the group of every completion")
        untrusted = {
            member.name: self._pool.submit(self._scorers[member.name].score, samples, groups)
            for member in self.ensemble.members
            if not member.is_base
        }
        components: dict[str, list[float | None]] = {}
        errors: dict[str, list[str]] = {}
        reasons: dict[str, dict[int, str]] = {}
        for member in self.ensemble.members:
            future = untrusted.get(member.name)
            scores = future.result() if future else self._scorers[member.name].score(samples)
            components[member.name] = [score.value for score in scores]
            counts = self.counts[member.name]
            counts.calls += len(scores)
            failed = {place: score.error or "no score" for place, score in enumerate(scores) if score.value is None}
            counts.failures += len(failed)
            if failed:
                errors[member.name] = list(dict.fromkeys(failed.values()))[:5]
                reasons[member.name] = failed
        aggregated = totals(self.ensemble, list(components.values()), groups, progress) if samples else []
        return EnsembleScores(components, aggregated, errors, reasons, self._condemned())

    def recheck(self) -> dict[str, str]:
        """Ends the checks that are pending; the members of which all scores are void, and why."""
        for scorer in self._scorers.values():
            if isinstance(scorer, Rechecking):
                scorer.recheck()
        return self._condemned()

    def _condemned(self) -> dict[str, str]:
        found = {name: scorer.condemned for name, scorer in self._scorers.items() if isinstance(scorer, Rechecking)}
        return {name: why for name, why in found.items() if why is not None}

    def close(self) -> None:
        """Stops the workers; scoring afterwards is an error."""
        for scorer in self._scorers.values():
            scorer.close()
        self._pool.shutdown(wait=True)

    def __enter__(self) -> EnsembleScorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _scorer(self, member: Member) -> Scorer:
        if member.code is None:
            return TrustedScorer(self._base[member.name])
        return self._make_worker(member.code, self._sandbox)


def _sandboxed(code: str, settings: SandboxSettings) -> Scorer:
    from rewards_generated.adapters.batch import code_entry_point
    from rewards_generated.sandbox import RewardWorker

    worker: Scorer = RewardWorker(code, settings, entry=code_entry_point(code))
    return worker
