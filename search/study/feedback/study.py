"""Does feedback raise later rounds? Searches that are told the ranking, no results, a shuffled ranking, or nothing at
all, over the same seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rewards_generated.errors import UserError
from rewards_generated.validation import read_options
from search.config.models import SearchConfig
from search.config.source import parse_config
from search.driver.drive import record_question, recorded_steps, watch
from search.driver.launch import fork, opened_run
from search.executors.gpus import jobs_at_once
from search.finals.finals import run_finals
from search.ledger import Candidate, Ledger
from search.loop import explore, observe_base
from search.proposers.base import AwaitingAnswer
from search.proposers.evolution.evolve import EvolveSettings
from search.results.ranking import outcomes
from search.study.base import ArmKind, Cost, Findings, Record, Results, Study, StudyContext, Unit
from search.study.cells import by_seed, each, mean
from search.study.feedback.records import FinalsRecord, SearchRecord, finals_record, measures, search_record
from search.study.words import Words

ARMS: dict[str, ArmKind] = {"ranked": "main", "none": "control", "shuffled": "other", "independent": "control"}
PAIRS = (("ranked", "none"), ("ranked", "shuffled"), ("ranked", "independent"))
"""Declared beforehand; corrected together, measure by measure."""
COMPARED = ("top of ranked", "random of none")
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
    "finals.control_seeds=1",  # the search is the unit of analysis: what differs between them holds the luck of seeds
    "screening.control_seeds=1",
    "screening.race=[]",
    "finals.other_steps=null",
    "executor.pack=auto",
)


@dataclass(frozen=True, kw_only=True)
class FeedbackFindings(Findings):
    parent_chance: float | None
    """With which `evolve` takes the best of all earlier candidates as a parent; None for another proposer."""


class FeedbackStudy(Study):
    """A search is the unit of analysis.

    The arms of a seed go on from one first round, which is searched once: no arm has been told anything by then.
    Where `finals.random_controls.pool` is above 0, the best ensemble of `ranked` is retrained beside random draws
    from all that `none` found, and compared on the test split.
    """

    name = "feedback"
    presets: ClassVar = {"quick": (2, (*QUICK, *COMMON)), "full": (5, (*FULL, *COMMON))}
    arms = ARMS
    declared = len(PAIRS)

    def check(self) -> None:
        config = self.config
        if config.search.feedback != "ranked":
            raise UserError(
                f"`search.feedback` = {config.search.feedback!r}: it is what the study varies; leave it out"
            )
        if config.search.rounds < 2:
            raise UserError(
                f"`search.rounds` = {config.search.rounds} leaves nothing that feedback could change; set 2 or more"
            )
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

    def units(self) -> Sequence[Unit]:
        """Seed by seed, so that an interrupted study has whole pairs."""
        rounds = self.config.search.rounds
        later = self._rounds(rounds - 1, 0)
        parts: list[tuple[str, str, Cost, type[Record], tuple[str, ...]]] = [
            (FIRST_ROUND, "first round of all arms", self._rounds(1), SearchRecord, ()),
            *((arm, f"feedback {arm}", later, SearchRecord, (FIRST_ROUND,)) for arm in ARMS),
        ]
        if self.config.finals.random_controls.pool:
            parts.append((CONTROLS, "ensembles", self._controls_cost(), FinalsRecord, ("ranked", "none")))
        return [
            Unit(
                f"seed-{seed}-{part}",
                f"seed {seed}: {label}",
                cost,
                record,
                (seed,),
                part,
                tuple(f"seed-{seed}-{before}" for before in after),
            )
            for seed in self.seed_numbers
            for part, label, cost, record, after in parts
        ]

    def search_folder(self, folder: Path, unit: Unit) -> Path:
        return folder / "searches" / f"seed-{unit.seeds[0]}" / unit.part

    def run(self, unit: Unit, context: StudyContext) -> Record:
        (seed,), part = unit.seeds, unit.part
        folders = self.search_folder(context.folder, unit).parent
        config = self._config(seed, part)
        if part == FIRST_ROUND:
            return _explored(folders / part, None, config, 1, context)
        if part == CONTROLS:
            return self._compared(folders, config, context)
        names = list(ARMS)
        before = tuple(found for arm in names[: names.index(part)] if Ledger.exists(found := folders / arm))
        return _explored(folders / part, folders / FIRST_ROUND, config, config.search.rounds, context, before)

    def findings(self, words: Words, results: Results) -> FeedbackFindings:
        """A pair of searches counts when both are there."""
        rounds = self.config.search.rounds
        found = {
            arm: each(self.ended(results, SearchRecord, arm), lambda item: measures(item.candidates, rounds))
            for arm in ARMS
        }
        families = [
            words.family("last_round", by_seed(found, lambda item: item.last_f1), PAIRS, primary=True),
            words.family("best_candidate", by_seed(found, lambda item: item.best_f1), PAIRS),
        ]
        tables = [words.table(name, found) for name in ("arms_table", "searches_table", "proposals_table")]
        needed: list[object] = [item for items in found.values() for item in items]
        if self.config.finals.random_controls.pool:
            finals = self.ended(results, FinalsRecord, CONTROLS)
            needed += finals
            ensembles = each(finals, lambda item: item.ensemble)
            draws = each(finals, lambda item: None if None in item.draws else mean(item.draws))
            families.append(words.family("ensembles", dict(zip(COMPARED, (ensembles, draws), strict=True)), [COMPARED]))
            tables.append(words.table("ensembles_table", finals))
        runs = {arm: [item.by_round_f1 for item in items if item] for arm, items in found.items()}
        return FeedbackFindings(
            complete=None not in needed,
            families=families,
            figures=[words.figure("rounds_figure", runs)],
            tables=tables,
            parent_chance=_parent_chance(self.config),
        )

    def _compared(self, folders: Path, config: SearchConfig, context: StudyContext) -> FinalsRecord:
        """The finals of `ranked` in a folder of their own, with random draws from what `none` scored."""
        folder = folders / CONTROLS
        if not Ledger.exists(folder):
            fork(folders / "ranked", folder, config)
        with opened_run(folder, config, context.progress, resume=True) as run:
            watch(run)
            run_finals(run, observe_base(run), _scored(folders / "none"))
            return finals_record(config, run.ledger)

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
    context: StudyContext,
    caches: tuple[Path, ...] = (),
) -> SearchRecord:
    """A search up to that round, begun anew, or from where the search in `start` stands, or gone on with.

    What another arm has trained is not trained again: a candidate that two arms propose has one score. Raises
    AwaitingAnswer where it waits for a person.
    """
    begun = Ledger.exists(folder)
    if begun:
        context.progress.skip_steps(_steps(folder) - (_steps(start) if start else 0))
    elif start is not None:
        fork(start, folder, config)
    with opened_run(folder, config, context.progress, resume=begun or start is not None, caches=caches) as run:
        watch(run)
        try:
            explore(run, rounds)
        except AwaitingAnswer as waiting:
            record_question(run, waiting)
            raise
        return search_record(run.config, run.ledger)


def _steps(folder: Path) -> int:
    with closing(Ledger.open(folder)) as ledger:
        return recorded_steps(ledger)


def _scored(folder: Path) -> list[Candidate]:
    with closing(Ledger.open(folder)) as ledger:
        config = parse_config(ledger.fact("config"))
        return [outcome.candidate for outcome in outcomes(config, ledger) if outcome.scores]


def _parent_chance(config: SearchConfig) -> float | None:
    if config.proposer.name != "evolve":
        return None
    decay = read_options(EvolveSettings, config.proposer.options, "proposer.options", "proposer 'evolve'").rank_decay
    return 1 / sum(decay**place for place in range((config.search.rounds - 1) * config.search.candidates_per_round))
