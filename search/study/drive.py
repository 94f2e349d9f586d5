"""Drives a study for the command line: which it is, plan, units in order, a clean stop, the report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console

from eval.report.data import Scores
from eval.report.study.page import render_page
from eval.report.study.text import format_json, format_markdown, format_summary
from eval.report.text import counted
from rewards_generated.errors import UserError
from rewards_generated.files import write_whole
from search.config.source import load_config, require_same
from search.driver.answers import record_answer, waits_for
from search.driver.calibration import calibrate, language_model_cost
from search.driver.drive import INTERRUPTED, say, stop_on_termination, terminal
from search.driver.launch import checked
from search.ledger import driver_lock
from search.proposers.base import AwaitingAnswer
from search.proposers.manual import ManualProposer
from search.results.ranking import Outcome, ranked
from search.session import Progress, duration
from search.study.base import Cost, Size, Study, StudyContext, Unit
from search.study.feedback.study import FeedbackStudy
from search.study.ledger import StudyFacts, StudyLedger
from search.study.multilayer.study import MultilayerStudy
from search.study.questions import ANSWERS, QUESTIONS, Questions
from search.study.reach.study import ReachStudy
from search.study.reflection.study import ReflectionStudy

STUDIES: dict[str, type[Study]] = {
    kind.name: kind for kind in (FeedbackStudy, MultilayerStudy, ReachStudy, ReflectionStudy)
}
PRESET = "testbed"
"""What every study's configuration starts from."""
FEWEST_SEEDS = 2
MARKDOWN, PAGE, RECORD = "report.md", "report.html", "results.json"


def build_study(name: str, size: Size, seeds: int | None, assignments: Sequence[str]) -> Study:
    """`seeds` None: as many as that size has; `assignments` replace fields of its configuration. Raises UserError."""
    kind = STUDIES[name]
    usual, own = kind.presets[size]
    chosen = usual if seeds is None else seeds
    if chosen < FEWEST_SEEDS:
        raise UserError(f"{chosen} is too few seeds: runs are compared over seeds, so give at least {FEWEST_SEEDS}")
    config = load_config(PRESET, None, [*own, *assignments])
    if config.trackers:
        raise UserError(f"a study is not logged to `trackers` = {list(config.trackers)}; leave them out")
    return kind(size, chosen, config)


def recorded_study(
    name: str, facts: StudyFacts, size: Size | None, seeds: int | None, assignments: Sequence[str]
) -> Study:
    """The study that the facts are of. Raises UserError naming what is given besides and would change it."""
    if facts.study != name:
        raise UserError(f"the folder holds the study {facts.study!r}; resume it with `study {facts.study}`")
    config = load_config(values=facts.config)
    recorded = {"size": facts.size, "seeds": facts.seeds, **config.plain()}
    given = {
        "size": size or facts.size,
        "seeds": facts.seeds if seeds is None else seeds,
        **load_config(values=facts.config, assignments=list(assignments)).plain(),
    }
    require_same(recorded, given, "the study", "a new study in another --run-dir")
    return STUDIES[name](facts.size, facts.seeds, config)


class StudyProgress(Progress):
    """A search's view, with one line instead of a table after every round: a study has many rounds."""

    def __init__(self, console: Console, planned_steps: int, *, blind: bool = False) -> None:
        """`blind`: neither arms nor results are told, since whoever watches may answer for them."""
        super().__init__(console, planned_steps)
        self._blind = blind
        self._place = ""
        self._worked = False

    def unit(self, place: str, label: str) -> None:
        """A new unit; `place` such as `3/15`."""
        self._place = f"[{place}] "
        self.note(f"{self._place}{'a search' if self._blind else label}")

    def phase(self, label: str, jobs: int, steps_per_job: int = 0) -> None:
        self._worked = self._worked or jobs > 0
        super().phase(f"{self._place}{label}", jobs, steps_per_job)

    def show_round(self, number: int, every: Sequence[Outcome], controls: Mapping[str, Scores | None]) -> None:
        if self._blind or not self._worked:
            return  # A round that an earlier unit made, if it is not for other eyes.
        self._worked = False
        values = [s.scores.f1.value for s in ranked(list(every)) if s.scores and s.candidate.round == number]
        proposed = sum(outcome.candidate.round == number for outcome in every)
        mean = f", mean F1 {sum(values) / len(values):.3f}" if values else ""
        self.note(f"round {number}: {len(values)} of {proposed} candidates scored{mean}")


def new_study_folder(study: Study) -> Path:
    """The default: a folder of its own for every start."""
    return Path("runs") / f"study-{study.name}-{study.size}-{datetime.now():%Y%m%d-%H%M%S}"


def drive_study(study: Study, folder: Path, *, resume: bool) -> int:
    """Runs the study, or what is left of it, to its report; returns the exit code. Raises UserError."""
    console = terminal()
    executor = checked(study.config).executor
    ledger = StudyLedger.open(folder) if resume else StudyLedger.create(folder, study)
    units = study.units()
    try:
        with stop_on_termination(), driver_lock(folder):
            say(console, f"study directory: {folder}")
            questions = Questions(folder)
            ended = set(ledger.ended(units))
            steps = sum(unit.cost.steps for unit in units if unit.name not in ended)
            progress = StudyProgress(console, steps, blind=study.config.proposer.name == ManualProposer.name)
            with progress:
                while True:
                    # Answers that come while others are trained on are taken as soon as that is over.
                    questions.take(lambda name, question, answer: _tell(study, folder, units, name, question, answer))
                    passed = ended | questions.waiting
                    ready = (unit for unit in units if unit.name not in passed and ended.issuperset(unit.after))
                    if (unit := next(ready, None)) is None:
                        break
                    progress.unit(f"{units.index(unit) + 1}/{len(units)}", unit.label)
                    started = time.monotonic()
                    try:
                        record = study.run(unit, StudyContext(folder, progress, executor))
                    except AwaitingAnswer as unanswered:
                        questions.ask(unit.name, unanswered.prompt)
                        continue
                    ledger.record(unit, record, time.monotonic() - started)
                    ended.add(unit.name)
            if questions.waiting:
                return _waits(console, study, folder, questions)
            _write_report(study, ledger, console)
            return 0
    except KeyboardInterrupt:
        if ledger.ended(units):
            _write_report(study, ledger, console)
        say(console, f"stopped; continue with: reward-search study {study.name} --run-dir {folder} --resume")
        return INTERRUPTED


def _tell(study: Study, folder: Path, units: Sequence[Unit], name: str, question: str, answer: Path) -> None:
    """Gives the search of that unit the answer, if it still waits for it."""
    search = study.search_folder(folder, next(unit for unit in units if unit.name == name))
    if waits_for(search, question):
        record_answer(search, answer)


def _waits(console: Console, study: Study, folder: Path, questions: Questions) -> int:
    count = len(questions.unanswered)
    say(console, f"{counted(count, 'question')} in {folder / QUESTIONS}, text alone, in an order that was drawn:")
    say(console, f"    write the answer to {QUESTIONS}/NAME.md into {folder / ANSWERS}/NAME.md, all or some of them")
    say(console, f"    reward-search study {study.name} --run-dir {folder} --resume")
    return 0


def print_plan(study: Study) -> None:
    """What the study would do, with the time it would take by a short calibration. Writes nothing."""
    console = terminal()
    checked(study.config)
    units = study.units()
    total = sum((unit.cost for unit in units), Cost())
    for sentence in study.outline:
        say(console, sentence)
    say(
        console,
        f"at most {counted(len(units), 'unit')}: {total.candidates:,} candidates, {total.trainings:,} training runs, "
        f"{total.steps:,} GRPO steps, {total.completions:,} completions, {total.questions:,} answers",
    )
    say(console, f"language model, for each search: {language_model_cost(study.config)}")
    pace = calibrate(study.config)
    seconds = pace.seconds(total.processes, total.steps, total.questions, total.candidates, len(units))
    packed = "" if study.config.executor.pack == 1 else " at the pace of single runs, less in packs"
    say(console, f"time: about {duration(seconds)}{packed}, from {pace.measured}")


def _write_report(study: Study, ledger: StudyLedger, console: Console) -> None:
    ended = ledger.ended(study.units())
    report = study.report({name: item.record for name, item in ended.items()})
    seconds = {name: item.seconds for name, item in ended.items()}
    record = {"facts": ledger.facts.model_dump(), "seconds": seconds}
    write_whole(ledger.folder / MARKDOWN, format_markdown(report))
    write_whole(ledger.folder / PAGE, render_page(report))
    write_whole(ledger.folder / RECORD, format_json(report, record))
    say(console, format_summary(report))
    say(console, f"report: {ledger.folder / PAGE}")
