"""What can GRPO reach? Trainings on the right answer alone, sampled on questions within and outside pretraining."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from eval.tasks.registry import SUITES
from rewards_generated.errors import UserError
from search.config.suites import suites_of
from search.jobs.descriptions import jobs_folder
from search.study.base import Cost, Findings, Results, Study, StudyContext, Unit, plain
from search.study.reach.jobs import (
    ARMS,
    FIRST_PLAIN,
    FIRST_SCALED,
    FIRST_STEPS,
    LASTING,
    STANDARD,
    TILT,
    WITHIN,
    base_sampling_job,
    sampling_job,
    tasks,
    training_job,
)
from search.study.reach.records import ArmRecord, BaseRecord, SeedRecord
from search.study.reach.report import reach_findings
from search.study.words import Words
from trainer.jobs.base import Done
from trainer.jobs.evaluate import EvaluateJob
from trainer.jobs.train import TrainJob

if TYPE_CHECKING:
    from eval.prediction import Prediction
    from eval.tasks.base import TaskReference

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


class ReachStudy(Study):
    """A training run is the unit of analysis.

    The configuration's training is that of the arm `tilt`, which makes the assumptions of the theory true: a binary
    reward, a KL term, advantages that are not scaled, and steps enough to converge. `standard` has no KL term and
    scales advantages by their group; two arms of a few steps show the first gain with and without that scaling.
    """

    name = "reach"
    presets: ClassVar = {"quick": (2, (*QUICK, *COMMON)), "full": (5, (*FULL, *COMMON))}
    arms: ClassVar = {
        TILT: "main",
        STANDARD: "other",
        FIRST_SCALED: "other",
        FIRST_PLAIN: "other",
        "base": "control",
        "predicted": "control",
    }
    trained = ARMS
    first_steps = FIRST_STEPS

    def check(self) -> None:
        config, grpo = self.config, self.config.screening.grpo
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

    @cached_property
    def tasks(self) -> dict[str, tuple[TaskReference, int]]:
        """By name, what is sampled and how many questions of it."""
        return tasks(self.config)

    def units(self) -> Sequence[Unit]:
        samples = self.config.search.base_rollouts.per_question
        asked = {name: questions * samples for name, (_, questions) in self.tasks.items()}
        answers = sum(len(LASTING) * number for number in asked.values())
        answers += (len(ARMS) - len(LASTING)) * asked[WITHIN]
        steps = [training_job(self.config, arm, 0).grpo for arm in ARMS]
        cost = Cost(
            trainings=len(ARMS),
            steps=sum(grpo.steps for grpo in steps),
            completions=sum(grpo.steps * grpo.prompts_per_step * grpo.generations for grpo in steps),
            questions=answers,
        )
        drawn = Cost(questions=len(DRAWS) * sum(asked.values()))
        base = Unit(BASE, "samples of the base policy", drawn, BaseRecord)
        seeds = (Unit(f"seed-{seed}", f"seed {seed}", cost, SeedRecord, (seed,)) for seed in self.seed_numbers)
        return [base, *seeds]

    def run(self, unit: Unit, context: StudyContext) -> BaseRecord | SeedRecord:
        if unit.name == BASE:
            return self._base(context)
        return self._trained(context, *unit.seeds)

    def findings(self, words: Words, results: Results) -> Findings:
        return reach_findings(self.config, words, _of_base(results), self.ended(results, SeedRecord))

    def measured(self, results: Results) -> dict[str, Any]:
        base, runs = _of_base(results), self.ended(results, SeedRecord)
        return {"base": base and plain(base), "runs": [run and plain(run) for run in runs]}

    def _base(self, context: StudyContext) -> BaseRecord:
        jobs = {name: base_sampling_job(self.config, name) for name in self.tasks}
        answers = self._sampled(list(jobs.values()), context)
        # Every other run of so many samples is of the first draw, those between are of the second.
        counts = {name: answers[job.digest][0] for name, job in jobs.items()}
        first, second = ({name: tuple(of[half::2]) for name, of in counts.items()} for half in range(len(DRAWS)))
        return BaseRecord(first=first, second=second)

    def _trained(self, context: StudyContext, seed: int) -> SeedRecord:
        jobs = {arm: training_job(self.config, arm, seed) for arm in ARMS}
        ended = context.train("training", [TrainJob.of(job) for job in jobs.values()], jobs[TILT].grpo.steps)
        trained = {arm: ended[job.digest].result for arm, job in jobs.items()}
        folder = jobs_folder(context.folder)
        adapters = {
            arm: (jobs[arm].digest, folder / jobs[arm].digest / result.adapter)
            for arm, result in trained.items()
            if result.failure is None and result.adapter is not None
        }
        sampled = {name: [arm for arm in adapters if name == WITHIN or arm in LASTING] for name in self.tasks}
        samples = {
            name: sampling_job(self.config, name, f"seed {seed}", [adapters[arm] for arm in asked])
            for name, asked in sampled.items()
            if asked
        }
        answers = self._sampled(list(samples.values()), context)
        right: dict[str, dict[str, tuple[int, ...]]] = {arm: {} for arm in ARMS}
        for name, sampling in samples.items():
            for arm, counts in zip(sampled[name], answers[sampling.digest], strict=True):
                right[arm][name] = tuple(counts)
        arms = {
            arm: ArmRecord(
                failure=result.failure,
                accuracy=tuple(entry["accuracy"] for entry in result.curves),
                kl=tuple(entry.get("kl") for entry in result.curves),
                right=right[arm],
            )
            for arm, result in trained.items()
        }
        return SeedRecord(seed=seed, arms=arms)

    def _sampled(self, jobs: Sequence[EvaluateJob], context: StudyContext) -> dict[str, list[list[int]]]:
        """By job and policy, how many of every so many samples in a row were right, as many as a draw has."""
        samples = self.config.search.base_rollouts.per_question

        def read(done: Done) -> list[list[int]]:
            return [count_right(answers["questions"], samples) for answers in done.result.predictions]

        return context.run("sampling", jobs, read)


def _of_base(results: Results) -> BaseRecord | None:
    base = results.get(BASE)
    assert base is None or isinstance(base, BaseRecord)
    return base


def count_right(predictions: Sequence[Prediction], samples: int) -> list[int]:
    """Of every so many predictions in a row."""
    return [
        sum(prediction.correct for prediction in predictions[start : start + samples])
        for start in range(0, len(predictions), samples)
    ]
