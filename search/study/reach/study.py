"""What can GRPO reach? Trainings on the right answer alone, sampled on questions within and outside pretraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from eval.report.study.data import StudyReport
from eval.report.text import counted
from eval.tasks.registry import SUITES
from rewards_generated.errors import UserError
from search.config.models import SearchConfig
from search.config.suites import suites_of
from search.driver.launch import configured_executor
from search.jobs.dispatch import evaluate, train, unscored
from search.study.base import Cost, Result, Size, StudyContext, Unit
from search.study.reach.jobs import ARMS, LASTING, TILT, WITHIN, base_sampling_job, sampling_job, tasks, training_job
from search.study.reach.report import reach_report
from trainer.jobs.evaluate import EvaluateJob

if TYPE_CHECKING:
    from eval.prediction import Prediction
    from search.executors.base import Executor

BASE = "base"
DRAWS = ("first", "second")
"""Of the base: the first tells questions apart, the second measures them anew."""

_SUITES = ", ".join(SUITES["testbed"])
QUICK = (
    "name=study-reach-quick",
    "search.base_rollouts.per_question=16",
    "screening.grpo.steps=60",
    "screening.grpo.prompts_per_step=4",
    "screening.grpo.generations=8",
    "finals.test_questions=120",
    "finals.ood_questions=40",
)
FULL = (
    "name=study-reach-full",
    "search.base_rollouts.per_question=32",
    "screening.grpo.steps=400",
    "screening.grpo.prompts_per_step=8",
    "screening.grpo.generations=16",
    "finals.test_questions=600",
    "finals.ood_questions=200",
)
COMMON = (
    "screening.grpo.beta=0.5",
    "screening.grpo.loss=dr_grpo",  # tokens are summed, so that beta weighs the divergence of whole completions
    "screening.grpo.scale_advantages=none",
    "screening.evaluation_batch_size=256",
    f"finals.ood=[{_SUITES}]",
    "finals.ood_completion_tokens=160",
)


class ReachStudy:
    """Implements `search.study.base.Study`; see the module. A training run is the unit of analysis.

    The configuration's training is that of the arm `tilt`, which makes the assumptions of the theory true: a binary
    reward, a KL term, advantages that are not scaled, and steps enough to converge. `standard` has no KL term and
    scales advantages by their group; two arms of a few steps show the first gain with and without that scaling.
    """

    name = "reach"

    def __init__(self, size: Size, seeds: int, config: SearchConfig) -> None:
        self.size, self.seeds, self.config = size, seeds, config
        grpo = config.screening.grpo
        if config.task.name != "testbed":
            raise UserError(
                f"`task.name` = {config.task.name!r}: the study's reward reads whole numbers in solution tags, and its "
                "suites belong to the testbed; leave the task as it is"
            )
        if grpo.beta <= 0:
            raise UserError(
                "`screening.grpo.beta` = 0: the predicted gain needs a KL term; set it above 0, such as 0.5"
            )
        if grpo.scale_advantages != "none":
            raise UserError(
                f"`screening.grpo.scale_advantages` = {grpo.scale_advantages!r}: the predicted gain is that of rewards "
                "that are not scaled; set it to none"
            )
        if config.search.base_rollouts.per_question < 2:
            raise UserError("`search.base_rollouts.per_question` = 1 cannot tell base masses apart; set 2 or more")
        if not suites_of(config):
            raise UserError("`finals.ood` is empty: name the tasks that lie outside pretraining")

    @classmethod
    def defaults(cls, size: Size) -> tuple[int, tuple[str, ...]]:
        return (5, (*FULL, *COMMON)) if size == "full" else (2, (*QUICK, *COMMON))

    @property
    def outline(self) -> Sequence[str]:
        grpo, samples = self.config.screening.grpo, self.config.search.base_rollouts.per_question
        return [
            f"study reach, size {self.size}: {counted(self.seeds, 'seed')}, each with {len(ARMS)} trainings on the "
            f"right answer alone: GRPO with beta {grpo.beta:g} and without, {grpo.steps} steps of "
            f"{grpo.prompts_per_step * grpo.generations} completions, and two of a few steps",
            f"{samples} samples of each trained policy, and twice as many of the base, to "
            f"{self.config.finals.test_questions} questions within the distribution and to "
            f"{self.config.finals.ood_questions} of each of {len(tasks(self.config)) - 1} suites and controls",
        ]

    def units(self) -> Sequence[Unit]:
        samples = self.config.search.base_rollouts.per_question
        asked = {name: questions * samples for name, (_, questions) in tasks(self.config).items()}
        answers = sum(len(LASTING) * number for number in asked.values())
        answers += (len(ARMS) - len(LASTING)) * asked[WITHIN]
        steps = [training_job(self.config, arm, 0).grpo for arm in ARMS]
        cost = Cost(
            trainings=len(ARMS),
            steps=sum(grpo.steps for grpo in steps),
            completions=sum(grpo.steps * grpo.prompts_per_step * grpo.generations for grpo in steps),
            questions=answers,
        )
        base = Unit(BASE, "samples of the base policy", Cost(questions=len(DRAWS) * sum(asked.values())))
        return [base, *(Unit(unit_name(seed), f"seed {seed}", cost) for seed in self._seeds())]

    def run(self, unit: Unit, place: StudyContext) -> Result:
        folder = (place.folder / "jobs").resolve()
        executor = configured_executor(self.config)
        if unit.name == BASE:
            return self._base(executor, folder, place)
        seed = next(seed for seed in self._seeds() if unit_name(seed) == unit.name)
        return self._trained(executor, folder, place, seed)

    def report(self, results: Mapping[str, Result]) -> StudyReport:
        found = [results.get(unit_name(seed)) for seed in self._seeds()]
        return reach_report(self.config, self.size, self._seeds(), results.get(BASE), found)

    def _base(self, executor: Executor, folder: Path, place: StudyContext) -> Result:
        jobs = {name: base_sampling_job(self.config, name) for name in self._names}
        answers = self._sampled(executor, list(jobs.values()), folder, place)
        # Every other run of so many samples is of the first draw, those between are of the second.
        counts = {name: answers[job.digest][0] for name, job in jobs.items()}
        return {draw: {name: found[half::2] for name, found in counts.items()} for half, draw in enumerate(DRAWS)}

    def _trained(self, executor: Executor, folder: Path, place: StudyContext, seed: int) -> Result:
        jobs = {arm: training_job(self.config, arm, seed) for arm in ARMS}
        place.progress.phase("training", len(jobs), jobs[TILT].grpo.steps)
        results = {}
        with closing(train(executor, list(jobs.values()), folder)) as ended:
            for done in ended:
                results[done.job.digest] = done.result
                place.progress.job_done(done.job.label, unscored(done.result))
        arms: dict[str, Result] = {}
        adapters: dict[str, tuple[str, Path]] = {}
        for arm, job in jobs.items():
            result = results[job.digest]
            arms[arm] = {
                "failure": result.failure,
                "accuracy": [entry["accuracy"] for entry in result.curves],
                "kl": [entry.get("kl") for entry in result.curves],
                "right": {},
            }
            if result.failure is None and result.adapter is not None:
                adapters[arm] = (job.digest, folder / job.digest / result.adapter)
        sampled = {name: [arm for arm in adapters if name == WITHIN or arm in LASTING] for name in self._names}
        samples = {
            name: sampling_job(self.config, name, f"seed {seed}", [adapters[arm] for arm in asked])
            for name, asked in sampled.items()
            if asked
        }
        answers = self._sampled(executor, list(samples.values()), folder, place)
        for name, sampling in samples.items():
            for arm, right in zip(sampled[name], answers[sampling.digest], strict=True):
                arms[arm]["right"][name] = right
        return {"seed": seed, "arms": arms}

    def _sampled(
        self, executor: Executor, jobs: Sequence[EvaluateJob], folder: Path, place: StudyContext
    ) -> dict[str, list[list[int]]]:
        """By job and policy, how many of every so many samples in a row were right, as many as a draw has."""
        found = {}
        samples = self.config.search.base_rollouts.per_question
        place.progress.phase("sampling", len(jobs))
        with closing(evaluate(executor, jobs, folder)) as ended:
            for done in ended:
                if done.result.failure:
                    raise UserError(f"{done.job.label} could not be drawn ({done.result.failure}); resume to try again")
                found[done.job.digest] = [count_right(answers, samples) for answers in done.result.predictions]
                place.progress.job_done(done.job.label, None)
        return found

    @property
    def _names(self) -> list[str]:
        return list(tasks(self.config))

    def _seeds(self) -> tuple[int, ...]:
        return tuple(range(self.config.seed, self.config.seed + self.seeds))


def unit_name(seed: int) -> str:
    return f"seed-{seed}"


def count_right(predictions: Sequence[Prediction], samples: int) -> list[int]:
    """Of every so many predictions in a row."""
    return [
        sum(prediction.correct for prediction in predictions[start : start + samples])
        for start in range(0, len(predictions), samples)
    ]
