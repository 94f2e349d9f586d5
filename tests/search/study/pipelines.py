"""An executor for tests of the reflection study: instant, with accuracies that the tests know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from eval.prediction import Prediction
from search.study.reflection.records import FINE_TUNINGS, REWARDS, WEIGHTS
from tests.search.instant import ByKind
from trainer.jobs.evaluate import EvaluateJob, EvaluateResult
from trainer.jobs.fine_tune import FineTuneJob, FineTuneResult
from trainer.jobs.folder import RESULT_FILE, write_model
from trainer.jobs.train import RewardStatistics, RunResult, TrainingRun


def right_answers(fine_tuning: str, reward: str | None, seed: int, suite: str, n: int) -> int:
    """How many of the n questions the policy gets right; `seed`: of the GRPO job. Any known pattern will do."""
    share = 0.2 + 0.1 * FINE_TUNINGS.index(fine_tuning)
    if reward is not None:
        place = (FINE_TUNINGS.index(fine_tuning), REWARDS.index(reward))
        share += 0.1 + 0.04 * place[1] * (1 + place[0]) + 0.01 * ((seed + 3 * place[0] + 5 * place[1]) % 7)
    return round(n * (share if suite == "in distribution" else share / 2))


class InstantPipelines(ByKind):
    name = "instant-pipelines"
    ran: ClassVar[list[tuple[str, str]]] = []
    """Kind and digest of every job that was not found finished."""

    def __init__(
        self, parallel_jobs: int = 1, job_timeout_seconds: float | None = None, fail: str = "", interrupt: str = ""
    ) -> None:
        """GRPO jobs whose label holds `fail` fail; at one with `interrupt` the user presses Ctrl-C."""
        self.fail, self.interrupt = fail, interrupt

    def fine_tune(self, job: FineTuneJob, place: Path) -> FineTuneResult:
        if not (place / RESULT_FILE).is_file():
            self.ran.append((job.kind, job.digest))
            _leave(place / "policy", {"tuning": job.settings.tuning})
            result = FineTuneResult(
                digest=job.digest,
                policy="policy",
                losses=((1, 2.0), (job.settings.steps, 1.0)),
                trained_parameters={"full": 1000, "lora": 100}[job.settings.tuning],
                seconds={"train": 2.0, "processor": {"full": 3.0, "lora": 1.5}[job.settings.tuning]},
                memory={"resident": {"full": 2**31, "lora": 2**30}[job.settings.tuning]},
            )
            write_model(place / RESULT_FILE, result)
        return FineTuneResult.model_validate_json((place / RESULT_FILE).read_text())

    def train(self, run: TrainingRun, place: Path) -> RunResult:
        if self.interrupt and self.interrupt in run.label:
            raise KeyboardInterrupt
        own = place.parents[2] / run.digest / RESULT_FILE  # where an earlier attempt's have come to lie
        if own.is_file():
            return RunResult.model_validate_json(own.read_text())
        if not (place / RESULT_FILE).is_file():
            self.ran.append(("train", run.digest))
            weights = {member.name: member.weight for member in run.ensemble.members}
            reward = next(name for name, wanted in WEIGHTS.items() if wanted == weights)
            _leave(place / "adapter", {"reward": reward, "seed": run.seed})
            write_model(place / RESULT_FILE, self._trained(run))
        return RunResult.model_validate_json((place / RESULT_FILE).read_text())

    def evaluate(self, job: EvaluateJob) -> EvaluateResult:
        self.ran.append((job.kind, job.digest))
        tuned = "none" if job.base_digest is None else _read(Path(job.base_model))["tuning"]
        predictions = []
        for adapter in job.adapters:
            trained = _read(Path(adapter)) if adapter else {"reward": None, "seed": 0}
            predictions.append(
                {
                    name: _answers(
                        right_answers(tuned, trained["reward"], trained["seed"], name, suite.questions),
                        suite.questions,
                    )
                    for name, suite in job.suites.items()
                }
            )
        return EvaluateResult(digest=job.digest, predictions=tuple(predictions))

    def _trained(self, job: TrainingRun) -> RunResult:
        if self.fail and self.fail in job.label:
            return RunResult(digest=job.digest, failure="20 % of the reward calls failed", owner="candidate")
        names = [member.name for member in job.ensemble.members]
        curves = tuple(
            {
                "step": step,
                "accuracy": step / 10,
                "completion_tokens": 30.0 + step,
                "rewards": {name: {"mean": step / 20, "firing_rate": step / 10} for name in names},
            }
            for step in range(1, 9)
        )
        rewards = tuple(
            RewardStatistics(name=name, calls=8, failures=0, firing_rate=0.5, mean=0.25, std=0.1) for name in names
        )
        factor = {"full": 3, "lora": 1}[job.tuning]
        return RunResult(
            digest=job.digest,
            adapter="adapter",
            curves=curves,
            rewards=rewards,
            seconds={"train": 10.0 * factor},
            memory={"resident": 2**30 * factor},
        )


def _answers(right: int, n: int) -> tuple[Prediction, ...]:
    return tuple(
        Prediction(
            id=f"q{number}",
            completion="x",
            strict="1",
            flexible="1",
            correct=number < right,
            correct_flexible=number < right,
            completion_tokens=40,
        )
        for number in range(n)
    )


def _leave(folder: Path, content: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "content.json").write_text(json.dumps(content))


def _read(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "content.json").read_text())
    return content
