"""Does a reflection reward help, and fine-tuning before GRPO? Pipelines over all combinations, on the same seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rewards_generated.errors import UserError
from search.jobs.packing import RunDone
from search.study.base import Cost, Findings, Results, Size, Study, StudyContext, Unit
from search.study.reflection.records import (
    ARMS,
    FINE_TUNINGS,
    LORA_FACTOR,
    REWARDS,
    WEIGHTS,
    Policy,
    SeedRecord,
    Suites,
    answers_record,
    arm,
    fine_tuning_record,
    grpo_record,
)
from search.study.reflection.report import REWARD_PAIRS, reflection_findings
from search.study.words import Words
from trainer.jobs.base import Done
from trainer.jobs.fine_tune import FineTuneResult
from trainer.jobs.train import TrainingRun, TrainJob
from trainer.pipeline.description import Pipeline
from trainer.pipeline.jobs import grpo_job, sft_job, suites_job

QUICK = ("name=study-reflection-quick", "screening.grpo.steps=10", "finals.test_questions=100")
FULL = ("name=study-reflection-full", "screening.grpo.steps=40", "finals.test_questions=500")
COMMON = ("executor.pack=1",)
SFT_STEPS: dict[Size, int] = {"quick": 10, "full": 40}
SUITES: dict[str, dict[str, object]] = {
    "in distribution": {},
    "five and six steps": {"steps": (5, 6)},
    "two distractors": {"distractors": (2,)},
}
"""Options of the testbed by suite; the last two hold what neither pretraining nor any stage has seen."""
LEARNING_RATE = 5e-4
"""Of fine-tuning in full; ten times the paper's, for a far smaller policy."""
MOST_TOKENS = 176
"""Of an answer: six checked steps need more than training allows."""

Tuned = tuple[str, str | None]
"""A policy's folder, and the digest of the job that made it."""
Answered = tuple[str, str | None]
"""A policy by fine-tuning and reward, None before GRPO."""


class ReflectionStudy(Study):
    """A pipeline run is the unit of analysis.

    The arms of a seed share prompts, their order and the draws of generation, and those with the same fine-tuning
    share the policy that it left.
    """

    name = "reflection"

    presets: ClassVar = {"quick": (2, (*QUICK, *COMMON)), "full": (8, (*FULL, *COMMON))}
    arms: ClassVar = {"plain": "control", "reflection": "main", "gated": "other"}
    declared = len(REWARD_PAIRS)
    combinations, fine_tunings, suites = ARMS, FINE_TUNINGS, tuple(SUITES)

    def check(self) -> None:
        config = self.config
        if config.task.name != "testbed":
            raise UserError(
                f"`task.name` = {config.task.name!r}: the study fine-tunes on reasoning traces, which there are for "
                "the task 'testbed' alone; use `reward-search pipeline` with a file of pairs for other tasks"
            )

    @property
    def sft_steps(self) -> int:
        return SFT_STEPS[self.size]

    def units(self) -> Sequence[Unit]:
        """Seed by seed, so that an interrupted study has whole pairs."""
        grpo, runs = self.config.screening.grpo, len(ARMS) + 1
        cost = Cost(
            trainings=runs,
            processes=runs + 2 + len(FINE_TUNINGS),
            # A supervised step on 16 pairs counts as a quarter of a GRPO step: there is nothing to generate.
            steps=runs * grpo.steps + 2 * self.sft_steps // 4,
            completions=runs * grpo.steps * grpo.prompts_per_step * grpo.generations,
            questions=(len(ARMS) + len(FINE_TUNINGS)) * len(SUITES) * self.config.finals.test_questions,
        )
        return [
            Unit(f"seed-{seed}", f"seed {seed}: {len(ARMS)} pipelines", cost, SeedRecord, (seed,))
            for seed in self.seed_numbers
        ]

    def run(self, unit: Unit, context: StudyContext) -> SeedRecord:
        (seed,) = unit.seeds
        stages, tuned = self._fine_tuned(seed, context)
        trained, in_full = self._trained(seed, tuned, context)
        answers = self._answers(seed, tuned, trained, context)
        fine_tuned = {name: fine_tuning_record(stage, answers[name, None]) for name, stage in stages.items()}
        return SeedRecord(
            seed=seed,
            fine_tunings={"none": Policy(suites=answers["none", None]), **fine_tuned},
            arms={arm(*key): grpo_record(done.result, answers.get(key)) for key, done in trained.items()},
            grpo_in_full=grpo_record(in_full.result),
        )

    def findings(self, words: Words, results: Results) -> Findings:
        return reflection_findings(words, self.suites, self.ended(results, SeedRecord))

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
                "sft": {
                    "tuning": fine_tuning,
                    # Reasoning traces of the train split, half of which check every equation and mend it.
                    "source": {"pairs": 16 * self.sft_steps, "reflecting": 0.5},
                    "steps": self.sft_steps,
                    "batch_size": 16,
                    "learning_rate": LEARNING_RATE * (LORA_FACTOR if fine_tuning == "lora" else 1),
                    "max_length": 320,
                    "lora": {"rank": 16, "alpha": 64},
                },
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

    def _fine_tuned(self, seed: int, context: StudyContext) -> tuple[dict[str, FineTuneResult], dict[str, Tuned]]:
        """By fine-tuning: how it went, and the policy that it left."""
        jobs = {
            name: sft_job(self._pipeline(seed, name, REWARDS[0])).model_copy(update={"label": f"fine-tuning {name}"})
            for name in FINE_TUNINGS
            if name != "none"
        }
        found = context.run(f"seed {seed}, fine-tuning", list(jobs.values()), lambda done: done)
        ended = {name: found[job.digest] for name, job in jobs.items()}
        left = {name: (str(done.folder / done.result.policy), done.job.digest) for name, done in ended.items()}
        base = (self.config.base_model, None)
        return {name: done.result for name, done in ended.items()}, {"none": base, **left}

    def _trained(
        self, seed: int, tuned: Mapping[str, Tuned], context: StudyContext
    ) -> tuple[dict[tuple[str, str], RunDone], RunDone]:
        """By fine-tuning and reward; and the run of the first fine-tuning and the paper's reward that tunes all
        weights, for what it costs."""
        jobs: dict[tuple[str, str], TrainingRun] = {
            (name, reward): grpo_job(self._pipeline(seed, name, reward), *tuned[name]).shared
            for name in FINE_TUNINGS
            for reward in REWARDS
        }
        like = jobs["none", "reflection"]
        settings = like.grpo.model_copy(update={"learning_rate": like.grpo.learning_rate / LORA_FACTOR})
        in_full = like.model_copy(update={"label": "GRPO of all weights", "tuning": "full", "grpo": settings})
        packs = [TrainJob.of(job) for job in (*jobs.values(), in_full)]
        found = context.train(f"seed {seed}, GRPO", packs, self.config.screening.grpo.steps)
        return {key: found[job.digest] for key, job in jobs.items()}, found[in_full.digest]

    def _answers(
        self,
        seed: int,
        tuned: Mapping[str, Tuned],
        trained: Mapping[tuple[str, str], RunDone],
        context: StudyContext,
    ) -> dict[Answered, Suites]:
        """By fine-tuning and reward, None before GRPO; what was not trained to its end is left out."""
        asked: dict[str, list[Answered]] = {}
        jobs = []
        for name in FINE_TUNINGS:
            done = {reward: trained[name, reward] for reward in REWARDS}
            whole = {reward: item for reward, item in done.items() if item.result.adapter is not None}
            job = suites_job(self._pipeline(seed, name, REWARDS[0]), "grpo", *tuned[name]).model_copy(
                update={
                    "label": f"answers after fine-tuning {name}",
                    "adapters": (None, *(str(item.folder / str(item.result.adapter)) for item in whole.values())),
                    "adapter_digests": (None, *(item.run.digest for item in whole.values())),
                }
            )
            asked[job.digest] = [(name, None), *((name, reward) for reward in whole)]
            jobs.append(job)

        def read(done: Done) -> dict[Answered, Suites]:
            answers = map(answers_record, done.result.predictions)
            return dict(zip(asked[done.job.digest], answers, strict=True))

        found = context.run(f"seed {seed}, evaluation", jobs, read)
        return {key: answers for of_policies in found.values() for key, answers in of_policies.items()}
