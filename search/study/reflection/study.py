"""Does a reflection reward help, and fine-tuning before GRPO? Pipelines over all combinations, on the same seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from eval.report.study.data import StudyReport
from eval.report.text import counted
from rewards_generated.errors import UserError
from search.config.models import SearchConfig
from search.driver.launch import configured_executor
from search.executors.base import JobDone, PipelineExecutor
from search.jobs.dispatch import evaluate_suites, fine_tune, train, unscored
from search.study.base import Cost, Result, Size, StudyContext, Unit
from search.study.reflection.arms import ARMS, FINE_TUNINGS, LORA_FACTOR, REWARDS, WEIGHTS, arm, supervised_stage
from search.study.reflection.records import answers_record, fine_tuning_record, grpo_record
from search.study.reflection.report import reflection_report, unit_name
from trainer.jobs.fine_tune import FineTuneJob
from trainer.jobs.train import TrainingRun
from trainer.pipeline.description import Pipeline
from trainer.pipeline.jobs import grpo_job, sft_job, suites_job

SFT_STEPS: dict[Size, int] = {"quick": 10, "full": 40}
SUITES: dict[str, dict[str, object]] = {
    "in distribution": {},
    "five and six steps": {"steps": (5, 6)},
    "two distractors": {"distractors": (2,)},
}
"""Options of the testbed by suite; the last two hold what neither pretraining nor any stage has seen."""
MOST_TOKENS = 176
"""Of an answer: six checked steps need more than training allows."""


class ReflectionStudy:
    """Implements `search.study.base.Study`; see the module. A pipeline run is the unit of analysis.

    The arms of a seed share prompts, their order and the draws of generation, and those with the same fine-tuning
    share the policy that it left.
    """

    name = "reflection"

    def __init__(self, size: Size, seeds: int, config: SearchConfig) -> None:
        self.size, self.seeds, self.config = size, seeds, config
        if config.task.name != "testbed":
            raise UserError(
                f"`task.name` = {config.task.name!r}: the study fine-tunes on reasoning traces, which there are for "
                "the task 'testbed' alone; use `reward-search pipeline` with a file of pairs for other tasks"
            )
        if not isinstance(configured_executor(config), PipelineExecutor):
            raise UserError(f"executor {config.executor.name!r} cannot run the stages of a pipeline; use 'local'")

    @classmethod
    def defaults(cls, size: Size) -> tuple[int, tuple[str, ...]]:
        shared = (f"name=study-reflection-{size}", "executor.pack=1")
        if size == "quick":
            return 2, (*shared, "screening.grpo.steps=10", "finals.test_questions=100")
        return 8, (*shared, "screening.grpo.steps=40", "finals.test_questions=500")

    @property
    def outline(self) -> Sequence[str]:
        grpo = self.config.screening.grpo
        return [
            f"study reflection, size {self.size}: {len(ARMS)} arms over {counted(self.seeds, 'seed')}, fine-tuning "
            f"{', '.join(FINE_TUNINGS)} by reward {', '.join(REWARDS)}",
            f"fine-tuning of {SFT_STEPS[self.size]} steps, GRPO of {grpo.steps} steps on LoRA adapters; greedy answers "
            f"to {self.config.finals.test_questions} questions of each of {counted(len(SUITES), 'suite')}",
        ]

    def units(self) -> Sequence[Unit]:
        """Seed by seed, so that an interrupted study has whole pairs."""
        grpo, runs = self.config.screening.grpo, len(ARMS) + 1
        cost = Cost(
            trainings=runs,
            processes=runs + 2 + len(FINE_TUNINGS),
            # A supervised step on 16 pairs counts as a quarter of a GRPO step: there is nothing to generate.
            steps=runs * grpo.steps + 2 * SFT_STEPS[self.size] // 4,
            completions=runs * grpo.steps * grpo.prompts_per_step * grpo.generations,
            questions=(len(ARMS) + len(FINE_TUNINGS)) * len(SUITES) * self.config.finals.test_questions,
        )
        return [Unit(unit_name(seed), f"seed {seed}: {len(ARMS)} pipelines", cost) for seed in self._seeds()]

    def run(self, unit: Unit, place: StudyContext) -> Result:
        """Jobs lie in the study's folder by their digests, so that an interrupted unit goes on with those left."""
        seed = next(seed for seed in self._seeds() if unit_name(seed) == unit.name)
        folder = (place.folder / "jobs").resolve()
        executor = configured_executor(self.config)
        assert isinstance(executor, PipelineExecutor)
        tuned = self._fine_tuned(executor, seed, folder, place)
        trained, in_full = self._trained(executor, seed, tuned, folder, place)
        answers = self._answers(executor, seed, tuned, trained, folder, place)
        return {
            "seed": seed,
            "fine_tunings": {name: {**found[1], "suites": answers[name, None]} for name, found in tuned.items()},
            "arms": {
                arm(name, reward): {
                    **grpo_record(trained[name, reward].result),
                    "suites": answers.get((name, reward)),
                }
                for name, reward in trained
            },
            "grpo_in_full": grpo_record(in_full.result),
        }

    def report(self, results: Mapping[str, Result]) -> StudyReport:
        return reflection_report(self.config, self.size, SFT_STEPS[self.size], tuple(SUITES), self._seeds(), results)

    def _seeds(self) -> tuple[int, ...]:
        return tuple(range(self.config.seed, self.config.seed + self.seeds))

    def _pipeline(self, seed: int, fine_tuning: str, reward: str) -> Pipeline:
        config = self.config
        suite = {"split": "test", "questions": config.finals.test_questions}
        options = config.task.options
        return Pipeline.model_validate(
            {
                "name": f"reflection-{fine_tuning}-{reward}",
                "seed": seed,
                "task": config.task,
                "base_model": config.base_model,
                "sft": supervised_stage(fine_tuning, SFT_STEPS[self.size]),
                "grpo": {
                    "rewards": WEIGHTS[reward],
                    "settings": config.screening.grpo,
                    "lora": config.screening.lora,
                    "failure_rate_limit": config.screening.failure_rate_limit,
                },
                "evaluation": {
                    "suites": {
                        name: {"task": {"name": "testbed", "options": {**options, **changes}}, **suite}
                        for name, changes in SUITES.items()
                    },
                    "max_completion_tokens": max(MOST_TOKENS, config.screening.grpo.max_completion_tokens),
                    "batch_size": config.screening.evaluation_batch_size,
                },
                "hardware": config.hardware,
                "sandbox": config.sandbox,
            }
        )

    def _fine_tuned(
        self, executor: PipelineExecutor, seed: int, folder: Path, place: StudyContext
    ) -> dict[str, tuple[tuple[str, str | None], Result]]:
        """By fine-tuning: the policy's folder with the digest of its job, and the record of the stage."""
        jobs: dict[str, FineTuneJob] = {
            name: sft_job(self._pipeline(seed, name, REWARDS[0])).model_copy(update={"label": f"fine-tuning {name}"})
            for name in FINE_TUNINGS
            if name != "none"
        }
        found: dict[str, tuple[tuple[str, str | None], Result]] = {"none": ((self.config.base_model, None), {})}
        place.progress.phase(f"seed {seed}, fine-tuning", len(jobs))
        with closing(fine_tune(executor, list(jobs.values()), folder)) as ended:
            for done in ended:
                if done.result.failure is not None or done.result.policy is None:
                    raise UserError(f"{done.job.label} failed: {done.result.failure}; see {done.folder}")
                place.progress.job_done(done.job.label, None)
                policy = str(done.folder / done.result.policy)
                found[done.job.settings.tuning] = (policy, done.job.digest), fine_tuning_record(done.result)
        return {name: found[name] for name in FINE_TUNINGS}

    def _trained(
        self,
        executor: PipelineExecutor,
        seed: int,
        tuned: Mapping[str, tuple[tuple[str, str | None], Result]],
        folder: Path,
        place: StudyContext,
    ) -> tuple[dict[tuple[str, str], JobDone], JobDone]:
        """By fine-tuning and reward; and the run of the first fine-tuning and the paper's reward that tunes all
        weights, for what it costs."""
        jobs: dict[tuple[str, str], TrainingRun] = {
            (name, reward): grpo_job(self._pipeline(seed, name, reward), *tuned[name][0])
            for name in FINE_TUNINGS
            for reward in REWARDS
        }
        like = jobs["none", "reflection"]
        settings = like.grpo.model_copy(update={"learning_rate": like.grpo.learning_rate / LORA_FACTOR})
        in_full = like.model_copy(update={"label": "GRPO of all weights", "tuning": "full", "grpo": settings})
        found: dict[str, JobDone] = {}
        place.progress.phase(f"seed {seed}, GRPO", len(jobs) + 1, self.config.screening.grpo.steps)
        with closing(train(executor, [*jobs.values(), in_full], folder)) as ended:
            for done in ended:
                place.progress.job_done(done.job.label, unscored(done.result))
                found[done.job.digest] = done
        return {key: found[job.digest] for key, job in jobs.items()}, found[in_full.digest]

    def _answers(
        self,
        executor: PipelineExecutor,
        seed: int,
        tuned: Mapping[str, tuple[tuple[str, str | None], Result]],
        trained: Mapping[tuple[str, str], JobDone],
        folder: Path,
        place: StudyContext,
    ) -> dict[tuple[str, str | None], Result]:
        """By fine-tuning and reward, None before GRPO; what was not trained to its end is left out."""
        asked: dict[str, list[tuple[str, str | None]]] = {}
        jobs = []
        for name in FINE_TUNINGS:
            keys: list[tuple[str, str | None]] = [(name, None)]
            adapters: list[tuple[str | None, str | None]] = [(None, None)]
            for reward in REWARDS:
                done = trained[name, reward]
                if done.result.adapter is not None:
                    keys.append((name, reward))
                    adapters.append((str(done.folder / done.result.adapter), done.job.digest))
            job = suites_job(self._pipeline(seed, name, REWARDS[0]), "grpo", *tuned[name][0]).model_copy(
                update={
                    "label": f"answers after fine-tuning {name}",
                    "adapters": tuple(path for path, _ in adapters),
                    "adapter_digests": tuple(digest for _, digest in adapters),
                }
            )
            asked[job.digest] = keys
            jobs.append(job)
        answers: dict[tuple[str, str | None], Result] = {}
        place.progress.phase(f"seed {seed}, evaluation", len(jobs))
        with closing(evaluate_suites(executor, jobs, folder)) as ended:
            for answered in ended:
                if answered.result.failure is not None:
                    raise UserError(f"{answered.job.label} failed: {answered.result.failure}; see {answered.folder}")
                place.progress.job_done(answered.job.label, None)
                for key, given in zip(asked[answered.job.digest], answered.result.predictions, strict=True):
                    answers[key] = answers_record(given)
        return answers
