"""Does feedback raise later rounds? Searches told the ranking, nothing, or a shuffled ranking, over the same seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from eval.report.study.data import StudyReport
from eval.report.text import counted
from eval.statistics.replicates import least_sign_flip_p_value
from rewards_generated.errors import UserError
from search.config.models import SearchConfig
from search.config.source import parse_config
from search.driver.drive import recorded_steps, watch
from search.driver.fork import fork
from search.driver.launch import opened_run
from search.executors.gpus import jobs_at_once
from search.finals.finals import run_finals
from search.ledger import Candidate, Ledger
from search.loop import explore, observe_base
from search.results.ranking import outcomes
from search.study.base import Cost, Result, Size, StudyContext, Unit
from search.study.feedback.records import finals_record, search_record
from search.study.feedback.report import ARMS, PAIRS, feedback_report, unit_name

FIRST_ROUND, CONTROLS = "first-round", "controls"

QUICK = (
    "name=study-feedback-quick",
    "search.rounds=2",
    "search.candidates_per_round=3",
    "search.reflection_minimum=1",
    "screening.seeds=1",
    "screening.questions=100",
    "screening.grpo.steps=20",
    "finals.ensembles=[top-2]",
    "finals.random_controls={first_round: 0, pool: 0}",
    "finals.test_questions=200",
)
FULL = (
    "name=study-feedback-full",
    "search.rounds=3",
    "search.candidates_per_round=6",
    "search.reflection_minimum=2",
    "screening.seeds=1",
    "screening.questions=300",
    "screening.grpo.steps=40",
    "finals.ensembles=[top-5]",
    "finals.random_controls={first_round: 0, pool: 3}",
    "finals.test_questions=500",
)
COMMON = (
    "prescreen.duplicate_correlation=null",  # every candidate counts in the mean of its round, as in the paper
    "finals.seeds=1",
    "finals.other_steps=null",
    "executor.pack=auto",
)


class FeedbackStudy:
    """Implements `search.study.base.Study`; see the module. A search is the unit of analysis.

    The arms of a seed go on from one first round, which is searched once: no arm has been told anything by then.
    Where `finals.random_controls.pool` is above 0, the best ensemble of `ranked` is retrained beside random draws
    from all that `none` found, and compared on the test split.
    """

    name = "feedback"

    def __init__(self, size: Size, seeds: int, config: SearchConfig) -> None:
        self.size, self.seeds, self.config = size, seeds, config
        if config.search.feedback != "ranked":
            raise UserError(
                f"`search.rounds.feedback` = {config.search.feedback!r}: it is what the study varies; leave it out"
            )
        if config.search.rounds < 2:
            raise UserError(
                f"`search.rounds` = {config.search.rounds} leaves nothing that feedback could change; set 2 or more"
            )
        if config.proposer.name == "manual":
            raise UserError("`proposer.name` = 'manual': a study cannot wait for a person; choose evolve or litellm")
        controls = config.finals.random_controls
        if controls.first_round:
            raise UserError(
                f"`finals.random_controls.first_round` = {controls.first_round}: the study draws from all rounds of "
                "the arm `none`; set it to 0 and use finals.random_controls.pool"
            )
        if controls.pool and not (
            len(config.finals.ensembles) == 1 and re.fullmatch(r"top-\d+", config.finals.ensembles[0])
        ):
            raise UserError(
                f"`finals.ensembles` = {list(config.finals.ensembles)}: random draws are compared with one top-N; "
                "write finals.ensembles=[top-5], or set finals.random_controls.pool to 0"
            )
        if controls.pool and config.search.select_on == "test":
            raise UserError(
                "`search.select_on` = 'test' leaves no split on which to compare ensembles; "
                "set finals.random_controls.pool to 0"
            )

    @classmethod
    def defaults(cls, size: Size) -> tuple[int, tuple[str, ...]]:
        return (5, (*FULL, *COMMON)) if size == "full" else (2, (*QUICK, *COMMON))

    @property
    def outline(self) -> Sequence[str]:
        settings, pool = self.config.search, self.config.finals.random_controls.pool
        least = min(1.0, len(PAIRS) * least_sign_flip_p_value(self.seeds))
        said = [
            f"study feedback, size {self.size}: {len(ARMS)} arms ({', '.join(ARMS)}) of "
            f"{counted(self.seeds, 'search', 'searches')}, seeds {self._seeds()[0]} to {self._seeds()[-1]}, each "
            f"{settings.rounds} rounds of {settings.candidates_per_round} candidates from the proposer "
            f"{self.config.proposer.name}; the arms of a seed share their first round",
            f"with {self.seeds} searches per arm the exact test can give no corrected p below {least:.3g}",
        ]
        if pool:
            said.append(
                f"then for every seed the {self.config.finals.ensembles[0]} of `ranked` against {pool} random draws of "
                "that size from `none`, retrained and compared on the test split"
            )
        return said

    def units(self) -> Sequence[Unit]:
        """Seed by seed, so that an interrupted study has whole pairs."""
        units = []
        rounds, pool = self.config.search.rounds, self.config.finals.random_controls.pool
        for seed in self._seeds():
            units.append(Unit(unit_name(seed, FIRST_ROUND), f"seed {seed}: first round of all arms", self._rounds(1)))
            for arm in ARMS:
                units.append(Unit(unit_name(seed, arm), f"seed {seed}: feedback {arm}", self._rounds(rounds - 1, 0)))
            if pool:
                units.append(Unit(unit_name(seed, CONTROLS), f"seed {seed}: ensembles", self._controls_cost()))
        return units

    def run(self, unit: Unit, place: StudyContext) -> Result:
        seed, part = next(
            (seed, part)
            for seed in self._seeds()
            for part in (FIRST_ROUND, *ARMS, CONTROLS)
            if unit_name(seed, part) == unit.name
        )
        folders = place.folder / "searches" / f"seed-{seed}"
        config = self._config(seed, part)
        if part == FIRST_ROUND:
            return _explored(folders / part, None, config, 1, place)
        if part == CONTROLS:
            return self._compared(folders, config, place)
        before = tuple(folders / arm for arm in ARMS[: ARMS.index(part)])
        return _explored(folders / part, folders / FIRST_ROUND, config, config.search.rounds, place, before)

    def report(self, results: Mapping[str, Result]) -> StudyReport:
        return feedback_report(self.config, self.size, self._seeds(), results)

    def _compared(self, folders: Path, config: SearchConfig, place: StudyContext) -> Result:
        """The finals of `ranked` in a folder of their own, with random draws from what `none` scored."""
        folder = folders / CONTROLS
        if not Ledger.exists(folder):
            fork(folders / "ranked", folder, config)
        with opened_run(folder, config, place.progress, resume=True) as run:
            watch(run)
            run_finals(run, observe_base(run), _scored(folders / "none"))
            return finals_record(config, run.ledger)

    def _seeds(self) -> tuple[int, ...]:
        return tuple(range(self.config.seed, self.config.seed + self.seeds))

    def _config(self, seed: int, part: str) -> SearchConfig:
        arm = part if part in ARMS else "ranked"
        search = self.config.search.model_copy(update={"feedback": arm})
        return self.config.model_copy(update={"seed": seed, "search": search})

    def _rounds(self, rounds: int, controls: int = 1) -> Cost:
        """`controls`: 1 where the base policy and the base rewards alone are evaluated as well."""
        screening = self.config.screening
        candidates = rounds * self.config.search.candidates_per_round
        trainings = (candidates + controls) * screening.seeds
        processes = 2 * controls + rounds * self._processes(math.ceil(trainings / rounds))
        questions = (trainings + controls) * self.config.selection_questions
        return self._cost(candidates, trainings, processes, questions, screening.grpo.steps)

    def _controls_cost(self) -> Cost:
        finals = self.config.finals
        chosen = (1 + finals.base_only) * finals.seeds
        drawn = finals.random_controls.pool * finals.seeds
        questions = (chosen + drawn) * self.config.selection_questions + (chosen + drawn + 1) * finals.test_questions
        processes = self._processes(chosen) + self._processes(drawn) + 1
        return self._cost(0, chosen + drawn, processes, questions, self.config.final_steps)

    def _processes(self, trainings: int) -> int:
        """For so many runs that are sent off together."""
        settings = self.config.executor
        if settings.pack == "auto":
            return min(trainings, jobs_at_once(settings.parallel_jobs, self.config.hardware.device))
        return math.ceil(trainings / settings.pack)

    def _cost(self, candidates: int, trainings: int, processes: int, questions: int, steps: int) -> Cost:
        grpo = self.config.screening.grpo
        completions = trainings * steps * grpo.prompts_per_step * grpo.generations
        return Cost(candidates, trainings, processes, trainings * steps, completions, questions)


def _explored(
    folder: Path,
    start: Path | None,
    config: SearchConfig,
    rounds: int,
    place: StudyContext,
    caches: tuple[Path, ...] = (),
) -> Result:
    """A search up to that round, begun anew, or from where the search in `start` stands, or gone on with.

    What a sibling has trained is not trained again: a candidate that two arms propose has one score.
    """
    begun = Ledger.exists(folder)
    if begun:
        place.progress.skip_steps(_steps(folder) - (_steps(start) if start else 0))
    elif start is not None:
        fork(start, folder, config)
    with opened_run(folder, config, place.progress, resume=begun or start is not None, caches=caches) as run:
        watch(run)
        explore(run, rounds)
        return search_record(run.config, run.ledger)


def _steps(folder: Path) -> int:
    ledger = Ledger.open(folder)
    try:
        return recorded_steps(ledger)
    finally:
        ledger.close()


def _scored(folder: Path) -> list[Candidate]:
    ledger = Ledger.open(folder)
    try:
        config = parse_config(ledger.fact("config"))
        return [outcome.candidate for outcome in outcomes(config, ledger) if outcome.scores]
    finally:
        ledger.close()
