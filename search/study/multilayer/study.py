"""Is a second layer worth its completions? Two layers against ordinary GRPO read in three ways, over the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from eval.prediction import Prediction
from rewards_generated.errors import UserError
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY
from search.config.seeds import screening_seeds
from search.jobs.descriptions import evaluation_job, jobs_folder, screening_run, split_of
from search.study.base import Cost, Findings, Results, Study, StudyContext, Unit
from search.study.multilayer.records import Answers, Runs, answers_record, run_record
from search.study.multilayer.report import ARMS, BEST, LONGER, RANDOM, VOTING, multilayer_findings, rivals
from search.study.words import Words
from trainer.algorithms import algorithm_of
from trainer.determinism import derived_seed
from trainer.jobs.base import Done
from trainer.jobs.evaluate import EvaluateJob
from trainer.jobs.settings import AlgorithmSettings
from trainer.jobs.train import TrainingRun, TrainJob
from trainer.multilayer.algorithm import Multilayer

UNTRAINED = "untrained"
MOST_IN_A_PACK = 8
"""Seeds of an arm that train together where `executor.pack` is auto."""

QUICK = (
    "name=study-multilayer-quick",
    "screening.questions=100",
    "screening.grpo.steps=15",
)
FULL = (
    "name=study-multilayer-full",
    "screening.questions=500",
    "screening.grpo.steps=60",
)
COMMON = (
    "screening.algorithm={name: multilayer, options: {corrections: 4, responses: 1}}",
    "screening.seeds=1",
    "executor.pack=auto",
)


class MultilayerStudy(Study):
    """A training run's seed is the unit of analysis.

    All arms train on the base rewards alone, as the paper trains on the outcome alone, and every policy is asked in
    two passes. The arms of a seed share prompts, their order and the draws of the first layer.
    """

    name = "multilayer"
    presets: ClassVar = {"quick": (2, (*QUICK, *COMMON)), "full": (8, (*FULL, *COMMON))}
    arms = ARMS
    declared = len(rivals(LONGER))

    def check(self) -> None:
        screening, layered = self.config.screening, algorithm_of(self.config.screening.algorithm)
        if not isinstance(layered, Multilayer) or not layered.corrections:
            raise UserError(
                "the study multilayer needs a second layer: leave screening.algorithm.name at multilayer and set "
                "screening.algorithm.options.corrections to 2 or more"
            )
        if layered.control != "none":
            raise UserError(
                f"`screening.algorithm.options.control` = {layered.control!r}: it is what an arm of the study "
                "varies; leave it out"
            )
        if layered.select == "best":
            raise UserError(
                "`screening.algorithm.options.select` = 'best': it is what an arm of the study varies; leave it out"
            )
        if screening.evaluation_turns == 1:
            raise UserError("`screening.evaluation_turns` = 1: the study asks every policy twice; leave it out")
        if screening.grpo.prompts_per_step < 2:
            raise UserError(
                "`screening.grpo.prompts_per_step` = 1: an arm of the study needs responses to another question of "
                "the step; set 2 or more"
            )
        if self.config.search.select_on == "test":
            raise UserError("`search.select_on` = 'test': the study reads the validation split; leave it out")
        if strata := screening.question_strata:
            raise UserError(f"`screening.question_strata` = {strata}: the study draws no questions; leave it out")

    def steps(self, arm: str) -> int:
        """Optimizer steps of the arm's runs."""
        grpo = self.config.screening.grpo
        return self.layered.steps_of_as_many_completions(grpo) if arm == LONGER else grpo.steps

    def completions(self, arm: str) -> int:
        """Completions that a run of the arm samples in training."""
        return self._config(arm, self.config.seed).screening.completions(self.steps(arm))

    @property
    def layered(self) -> Multilayer:
        """The options of the second layer."""
        algorithm = algorithm_of(self.config.screening.algorithm)
        assert isinstance(algorithm, Multilayer)
        return algorithm

    @property
    def phrase(self) -> str:
        """What the second prompt ends with, quoted."""
        return repr(self.layered.phrase)

    def units(self) -> Sequence[Unit]:
        """The untrained policy, then all arms of some seeds at a time, so that an interrupted study has whole pairs."""
        questions = self.config.screening.questions
        asked = Cost(processes=2, questions=3 * questions)
        units = [Unit(UNTRAINED, "the untrained policy", asked, Answers)]
        for seeds in self._blocks():
            cost = Cost(
                trainings=len(ARMS) * len(seeds),
                processes=len(ARMS) + 1,
                steps=sum(map(self.steps, ARMS)) * len(seeds),
                completions=sum(map(self.completions, ARMS)) * len(seeds),
                questions=(2 * len(ARMS) + len(VOTING)) * questions * len(seeds),
            )
            label = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"
            units.append(Unit(f"seeds-{seeds[0]}-{seeds[-1]}", f"{label}: all arms", cost, Runs, seeds))
        return units

    def run(self, unit: Unit, context: StudyContext) -> Answers | Runs:
        if unit.name == UNTRAINED:
            greedy_job = evaluation_job(self.config, split_of(self.config, "validation"), "untrained base")
            asked = [greedy_job, self._sampling_job([None])]
            found = context.run(unit.label, asked, _answers)
            (greedy,), (sampled,) = (found[job.digest] for job in asked)
            return answers_record(greedy, sampled)
        return self._trained(unit.seeds, context)

    def findings(self, words: Words, results: Results) -> Findings:
        blocks = zip(self.seed_numbers, self.ended(results, Runs), strict=True)
        of_seeds = [{arm: block.root[arm].get(seed) for arm in ARMS} if block else {} for seed, block in blocks]
        runs = {arm: [of_seed.get(arm) for of_seed in of_seeds] for arm in ARMS}
        untrained = results.get(UNTRAINED)
        assert untrained is None or isinstance(untrained, Answers)
        return multilayer_findings(words, runs, untrained)

    def _trained(self, seeds: Sequence[int], context: StudyContext) -> Runs:
        jobs = {(arm, seed): self._job(arm, seed) for arm in ARMS for seed in seeds}
        mean_steps = round(sum(job.grpo.steps for job in jobs.values()) / len(jobs))
        packs = [TrainJob.of(*(jobs[arm, seed] for seed in seeds)) for arm in ARMS]
        trained = {digest: done.result for digest, done in context.train("training", packs, mean_steps).items()}
        voting = [job for (arm, _), job in jobs.items() if arm in VOTING and trained[job.digest].failure is None]
        sampled: dict[str, Sequence[Prediction]] = {}
        if voting:
            folder = jobs_folder(context.folder)
            adapters = [(job.digest, folder / job.digest / str(trained[job.digest].adapter)) for job in voting]
            asked = self._sampling_job(adapters)
            [answers] = context.run("votes", [asked], _answers).values()
            sampled = {job.digest: found for job, found in zip(voting, answers, strict=True)}
        records = {key: run_record(job, trained[job.digest], sampled.get(job.digest, ())) for key, job in jobs.items()}
        return Runs({arm: {seed: records[arm, seed] for seed in seeds} for arm in ARMS})

    def _job(self, arm: str, seed: int) -> TrainingRun:
        job = screening_run(self._config(arm, seed), BASE_ONLY, None, screening_seeds(seed, 1)[0])
        return job.model_copy(update={"label": f"{arm}, seed {seed}"})

    def _config(self, arm: str, seed: int) -> SearchConfig:
        """The study's configuration, which is that of the arm `multilayer`, as the arm changes it."""
        screening, layered = self.config.screening, self.layered
        corrections = layered.corrections * layered.places(screening.grpo.generations)
        varied: dict[str, dict[str, Any]] = {
            RANDOM: {"control": "random_response"},
            BEST: {"select": "best", "responses": 1, "corrections": corrections},
        }
        if arm in varied:
            options = {**screening.algorithm.options, **varied[arm]}
            algorithm = screening.algorithm.model_copy(update={"options": options})
            screening = screening.model_copy(update={"algorithm": algorithm})
        elif arm in VOTING:
            screening = screening.model_copy(
                update={
                    "algorithm": AlgorithmSettings(),
                    "second_turn_phrase": self.layered.phrase,
                    "evaluation_turns": 2,
                    "grpo": screening.grpo.model_copy(update={"steps": self.steps(arm)}),
                }
            )
        return self.config.model_copy(update={"seed": seed, "screening": screening})

    def _sampling_job(self, adapters: Sequence[tuple[str, Path] | None]) -> EvaluateJob:
        """One sampled answer per question, in one pass."""
        suite = split_of(self.config, "validation")
        job = evaluation_job(self.config, suite, "sampled answers for votes", adapters)
        return job.model_copy(
            update={
                "second_turn": None,
                "temperature": self.config.screening.grpo.temperature,
                "seed": derived_seed(self.config.seed, "votes", bits=31),
            }
        )

    def _blocks(self) -> list[tuple[int, ...]]:
        """Seeds that are trained together."""
        pack = self.config.executor.pack
        size = MOST_IN_A_PACK if pack == "auto" else pack
        seeds = self.seed_numbers
        return [seeds[start : start + size] for start in range(0, len(seeds), size)]


def _answers(done: Done) -> list[Sequence[Prediction]]:
    """Of each adapter."""
    return [answers["questions"] for answers in done.result.predictions]
