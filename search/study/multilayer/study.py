"""Is a second layer worth its completions? Two layers against ordinary GRPO read in three ways, over the same seeds."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from eval.prediction import Prediction
from eval.report.study.data import StudyReport
from eval.report.text import counted
from eval.statistics.replicates import least_sign_flip_p_value
from rewards_generated.errors import UserError
from search.config.models import SearchConfig
from search.driver.launch import configured_executor
from search.executors.base import Executor, JobDone, PackExecutor
from search.jobs.descriptions import BASE_ONLY, evaluation_job, screening_job
from search.jobs.dispatch import ATTEMPTS, evaluate, stopped, train, unscored
from search.jobs.seeds import screening_seeds
from search.study.base import Cost, Result, Size, StudyContext, Unit
from search.study.multilayer.arms import ARMS, VOTING, arm_config, completions_of, rivals, steps_of
from search.study.multilayer.records import answers_record, run_record
from search.study.multilayer.report import UNTRAINED, block_name, multilayer_report
from trainer.determinism import derived_seed
from trainer.jobs.evaluate import EvaluationJob
from trainer.jobs.pack import PackJob
from trainer.jobs.train import TrainJob, TrainResult

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
    "screening.algorithm=multilayer",
    "screening.multilayer={corrections: 4, responses: 1}",
    "screening.seeds=1",
    "executor.pack=auto",
)


class MultilayerStudy:
    """Implements `search.study.base.Study`; see the module. A training run's seed is the unit of analysis.

    All arms train on the base rewards alone, as the paper trains on the outcome alone, and every policy is asked in
    two passes. The arms of a seed share prompts, their order and the draws of the first layer.
    """

    name = "multilayer"

    def __init__(self, size: Size, seeds: int, config: SearchConfig) -> None:
        self.size, self.seeds, self.config = size, seeds, config
        screening = config.screening
        if screening.algorithm != "multilayer" or not screening.multilayer.corrections:
            raise UserError(
                "the study multilayer needs a second layer: leave screening.algorithm at multilayer and set "
                "screening.multilayer.corrections to 2 or more"
            )
        if screening.multilayer.control != "none":
            raise UserError(
                f"`screening.multilayer.control` = {screening.multilayer.control!r}: it is what an arm of the study "
                "varies; leave it out"
            )
        if screening.evaluation_turns == 1:
            raise UserError("`screening.evaluation_turns` = 1: the study asks every policy twice; leave it out")
        if screening.grpo.prompts_per_step < 2:
            raise UserError(
                "`screening.grpo.prompts_per_step` = 1: an arm of the study needs responses to another question of "
                "the step; set 2 or more"
            )
        if config.search.select_on == "test":
            raise UserError("`search.select_on` = 'test': the study reads the validation split; leave it out")

    @classmethod
    def defaults(cls, size: Size) -> tuple[int, tuple[str, ...]]:
        return (8, (*FULL, *COMMON)) if size == "full" else (2, (*QUICK, *COMMON))

    @property
    def outline(self) -> Sequence[str]:
        grpo, layered = self.config.screening.grpo, self.config.screening.multilayer
        least = min(1.0, len(rivals(VOTING[0])) * least_sign_flip_p_value(self.seeds))
        steps = ", ".join(f"{arm} {steps_of(self.config, arm)}" for arm in ARMS)
        return [
            f"study multilayer, size {self.size}: {len(ARMS)} arms of {counted(self.seeds, 'run')}, seeds "
            f"{self._seeds()[0]} to {self._seeds()[-1]}; optimizer steps: {steps}",
            f"a step has {grpo.prompts_per_step} prompts x {grpo.generations} completions, and in the second layer "
            f"{layered.completions(grpo.prompts_per_step, grpo.generations)} corrections",
            f"with {self.seeds} runs per arm the exact test can give no corrected p below {least:.3g}",
        ]

    def units(self) -> Sequence[Unit]:
        """The untrained policy, then all arms of some seeds at a time, so that an interrupted study has whole pairs."""
        questions = self.config.screening.questions
        units = [Unit(UNTRAINED, "the untrained policy", Cost(processes=2, questions=3 * questions))]
        for seeds in self._blocks():
            steps = sum(steps_of(self.config, arm) for arm in ARMS)
            cost = Cost(
                trainings=len(ARMS) * len(seeds),
                processes=len(ARMS) + 1,
                steps=steps * len(seeds),
                completions=sum(completions_of(self.config, arm) for arm in ARMS) * len(seeds),
                questions=(2 * len(ARMS) + len(VOTING)) * questions * len(seeds),
            )
            label = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"
            units.append(Unit(block_name(seeds), f"{label}: all arms", cost))
        return units

    def run(self, unit: Unit, place: StudyContext) -> Result:
        executor, folder = configured_executor(self.config), (place.folder / "jobs").resolve()
        if unit.name == UNTRAINED:
            asked = [self._greedy_job(), self._sampling_job([None])]
            place.progress.phase(unit.label, len(asked))
            found = _evaluated(executor, asked, folder, place)
            (greedy,), (sampled,) = (found[job.digest] for job in asked)
            return answers_record(greedy, sampled)
        seeds = next(seeds for seeds in self._blocks() if block_name(seeds) == unit.name)
        return self._trained(executor, seeds, folder, place)

    def report(self, results: Mapping[str, Result]) -> StudyReport:
        return multilayer_report(self.config, self.size, self._seeds(), results)

    def _trained(self, executor: Executor, seeds: Sequence[int], folder: Path, place: StudyContext) -> Result:
        """By arm and seed, the records of the runs."""
        jobs = {(arm, seed): self._job(arm, seed) for arm in ARMS for seed in seeds}
        mean_steps = round(sum(job.grpo.steps for job in jobs.values()) / len(jobs))
        place.progress.phase("training", len(jobs), mean_steps)
        ended: dict[str, TrainResult] = {}
        with closing(self._run(executor, jobs, seeds, folder)) as running:
            for done in running:
                ended[done.job.digest] = done.result
                place.progress.job_done(done.job.label, unscored(done.result))
        voting = [job for (arm, _), job in jobs.items() if arm in VOTING and ended[job.digest].failure is None]
        sampled: dict[str, Sequence[Prediction]] = {}
        if voting:
            adapters = [(job.digest, folder / job.digest / str(ended[job.digest].adapter)) for job in voting]
            asked = self._sampling_job(adapters)
            place.progress.phase("votes", 1)
            answers = _evaluated(executor, [asked], folder, place)[asked.digest]
            sampled = {job.digest: found for job, found in zip(voting, answers, strict=True)}
        return {
            arm: {
                str(seed): run_record(job, ended[job.digest], sampled.get(job.digest, ()))
                for (owner, seed), job in jobs.items()
                if owner == arm
            }
            for arm in ARMS
        }

    def _run(
        self, executor: Executor, jobs: Mapping[tuple[str, int], TrainJob], seeds: Sequence[int], folder: Path
    ) -> Generator[JobDone, None, None]:
        """Yields every run when it has ended for good."""
        if len(seeds) == 1:
            yield from train(executor, list(jobs.values()), folder)
            return
        if not isinstance(executor, PackExecutor):
            raise UserError(f"executor {self.config.executor.name!r} cannot run packs; set executor.pack to 1")
        packs = [
            PackJob(label=f"{arm}, {len(seeds)} seeds", members=tuple(jobs[arm, seed] for seed in seeds))
            for arm in ARMS
        ]
        yield from _run_packs(executor, packs, folder)

    def _job(self, arm: str, seed: int) -> TrainJob:
        config = arm_config(self.config, arm, seed)
        job = screening_job(config, BASE_ONLY, None, screening_seeds(seed, 1)[0])
        return job.model_copy(update={"label": f"{arm}, seed {seed}"})

    def _greedy_job(self) -> EvaluationJob:
        return evaluation_job(self.config, "validation", self.config.screening.questions, "untrained base")

    def _sampling_job(self, adapters: Sequence[tuple[str, Path] | None]) -> EvaluationJob:
        """One sampled answer per question, in one pass."""
        questions = self.config.screening.questions
        job = evaluation_job(self.config, "validation", questions, "sampled answers for votes", adapters)
        return job.model_copy(
            update={
                "second_turn": None,
                "temperature": self.config.screening.grpo.temperature,
                "seed": derived_seed(self.config.seed, "votes", bits=31),
            }
        )

    def _seeds(self) -> tuple[int, ...]:
        return tuple(range(self.config.seed, self.config.seed + self.seeds))

    def _blocks(self) -> list[tuple[int, ...]]:
        """Seeds that are trained together."""
        pack = self.config.executor.pack
        size = MOST_IN_A_PACK if pack == "auto" else pack
        seeds = self._seeds()
        return [seeds[start : start + size] for start in range(0, len(seeds), size)]


def _run_packs(executor: PackExecutor, packs: Sequence[PackJob], folder: Path) -> Generator[JobDone, None, None]:
    """Yields every member when its pack has ended for good; packs whose process was lost run again."""
    waiting = list(packs)
    for attempt in range(1, ATTEMPTS + 1):
        again: list[PackJob] = []
        if not waiting:
            break
        with stopped(executor.run_packs(waiting, folder)) as ended:
            for done in ended:
                result = done.result
                if result.too_large:
                    raise UserError(f"{result.failure}; set executor.pack to fewer seeds and resume")
                if result.lost and attempt < ATTEMPTS:
                    again.append(done.job)
                    continue
                members = result.members or tuple(
                    TrainResult(digest=member.digest, failure=result.failure, lost=result.lost)
                    for member in done.job.members
                )
                for member, ended_member in zip(done.job.members, members, strict=True):
                    yield JobDone(member, ended_member, folder / member.digest)
        waiting = again


def _evaluated(
    executor: Executor, jobs: Sequence[EvaluationJob], folder: Path, place: StudyContext
) -> Mapping[str, Sequence[Sequence[Prediction]]]:
    """Predictions by digest, per adapter. Raises UserError if an evaluation fails."""
    found = {}
    with closing(evaluate(executor, jobs, folder)) as ended:
        for done in ended:
            if done.result.failure:
                raise UserError(f"{done.job.label} could not be evaluated ({done.result.failure}); resume to try again")
            found[done.job.digest] = done.result.predictions
            place.progress.job_done(done.job.label, None)
    return found
