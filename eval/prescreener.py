"""Pre-screens candidates one after the other: each is scored on rollouts of the base policy and compared."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from eval.prescreening import PreScreening, prescreening
from eval.similarity import RewardProfile, closest
from rewards_generated.answers import AnswerReader
from rewards_generated.base import BASE_REWARDS, base_rewards
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.library import load_library
from rewards_generated.rollout import Rollout
from rewards_generated.sandbox.settings import SandboxSettings
from rewards_generated.scorer import EnsembleScorer

Scores = list[float | None]
"""One per rollout; None where the candidate failed."""


class Prescreener:
    """Knows the candidates that it has passed on, and finds those that would train like one of them."""

    def __init__(
        self,
        rollouts: Sequence[Rollout],
        *,
        generations: int,
        threshold: float | None = None,
        base: Sequence[str] = BASE_REWARDS,
        answers: AnswerReader | None = None,
        scale: Literal["group", "none"] = "group",
        sandbox: SandboxSettings | None = None,
    ) -> None:
        """`threshold`: correlation of ranks and of advantages from which a candidate is a near-duplicate; None: none
        is. `generations`: completions per group in training. `scale`: how training scales advantages."""
        self._rollouts, self._generations, self._threshold = rollouts, generations, threshold
        self._scale, self._sandbox = scale, sandbox
        self._base = base_totals(base, rollouts, answers)
        self._groups = [rollout.group for rollout in rollouts]
        self._earlier: list[RewardProfile] = []
        self._library: list[RewardProfile] = []

    def know(self, name: str, scores: Scores) -> None:
        """A candidate that was pre-screened before and went on to training."""
        self._earlier.append(self.profile(name, scores))

    def know_library(self, answers: AnswerReader) -> None:
        """The rewards of the starter library in the task's format, to say which of them a reward is like."""
        with ThreadPoolExecutor() as pool:
            found = pool.map(
                lambda item: (item.name, score_rollouts(item.name, item.code, self._rollouts, self._sandbox)),
                load_library(answers.answer_format),
            )
            for name, scores in found:
                self._library.append(self.profile(f"{name} (library)", scores))

    def screen(self, name: str, code: str) -> tuple[PreScreening, Scores]:
        """Figures and scores of one more candidate, which is known from now on unless it is a near-duplicate."""
        scores = score_rollouts(name, code, self._rollouts, self._sandbox)
        return self.screen_scores(name, scores), scores

    def screen_scores(self, name: str, scores: Scores) -> PreScreening:
        """Figures of one more candidate that was scored already; see `screen`."""
        profile = self.profile(name, scores)
        nearest = closest(profile, [*self._earlier, *self._library], self._threshold)
        duplicate = self._threshold is not None and nearest is not None and nearest.duplicates(self._threshold)
        if not duplicate:
            self._earlier.append(profile)
        figures = prescreening(self._rollouts, scores, self._base, self._generations)
        return figures.model_copy(update={"closest": nearest, "duplicate": duplicate})

    def profile(self, name: str, scores: Scores) -> RewardProfile:
        return RewardProfile(name, scores, self._base, self._groups, self._scale)


def score_rollouts(
    name: str,
    code: str | None,
    rollouts: Sequence[Rollout],
    sandbox: SandboxSettings | None,
    answers: AnswerReader | None = None,
) -> Scores:
    """In the sandbox, all in one batch; a reward of whole groups sees all rollouts of a question. The gate's own scores
    are of fewer rollouts, and not kept. `code` None: the base reward of that name, judging by `answers`."""
    with EnsembleScorer(
        Ensemble(name=name, members=(Member(name=name, code=code),)), sandbox, answers=answers
    ) as scorer:
        groups = [rollout.group for rollout in rollouts]
        return scorer.score([rollout.sample for rollout in rollouts], groups).components[name]


def seconds_per_call(code: str, rollouts: Sequence[Rollout], sandbox: SandboxSettings | None = None) -> float:
    """Mean seconds per completion, in a worker that is warm."""
    samples, groups = [rollout.sample for rollout in rollouts], [rollout.group for rollout in rollouts]
    with EnsembleScorer(Ensemble(name="reward", members=(Member(name="timed", code=code),)), sandbox) as scorer:
        scorer.score(samples[:1], groups[:1])
        started = time.perf_counter()
        scorer.score(samples, groups)
        return (time.perf_counter() - started) / len(samples)


def base_totals(names: Sequence[str], rollouts: Sequence[Rollout], answers: AnswerReader | None = None) -> list[float]:
    """What the named base rewards give together, unweighted. `answers`: the task that judges."""
    rewards = base_rewards(answers)
    return [
        sum(rewards[name](rollout.prompt, rollout.completion, rollout.answer) for name in names) for rollout in rollouts
    ]
