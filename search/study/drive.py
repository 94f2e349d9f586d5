"""Drives a study for the command line: plan, units in order, a clean stop, the report."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from rich.console import Console

from eval.report.study.page import render_page
from eval.report.study.text import format_json, format_markdown, format_summary
from eval.report.text import counted
from rewards_generated.files import write_whole
from rewards_generated.sandbox import require_strength
from search.config.checks import checked_task
from search.driver.calibration import GATE_SECONDS, calibrate, language_model_cost
from search.driver.drive import INTERRUPTED, stop_on_termination
from search.driver.launch import PACKAGES, configured_executor
from search.ledger import DriverLock
from search.proposers.registry import build_proposer, prepare
from search.session import duration
from search.study.base import Cost, Study, StudyContext
from search.study.ledger import StudyFacts, StudyLedger
from search.study.progress import StudyProgress

MARKDOWN, PAGE, RECORD = "report.md", "report.html", "results.json"


def new_study_folder(study: Study) -> Path:
    """The default: a folder of its own for every start."""
    return Path("runs") / f"study-{study.name}-{study.size}-{datetime.now():%Y%m%d-%H%M%S}"


def drive_study(study: Study, folder: Path, *, resume: bool) -> int:
    """Runs the study, or what is left of it, to its report; returns the exit code. Raises UserError."""
    console = _console()
    checked_task(study.config)
    prepare(build_proposer(study.config.proposer.name, study.config.proposer.options))
    configured_executor(study.config)
    require_strength(study.config.sandbox)
    ledger = StudyLedger.open(folder) if resume else StudyLedger.create(folder, _facts(study))
    units = study.units()
    try:
        with stop_on_termination(), DriverLock(folder):
            console.print(f"study directory: {folder}", soft_wrap=True)
            ended = ledger.ended(units)
            progress = StudyProgress(console, sum(unit.cost.steps for unit in units if unit.name not in ended))
            with progress:
                for number, unit in enumerate(units, start=1):
                    if unit.name in ended:
                        continue
                    progress.unit(f"{number}/{len(units)}", unit.label)
                    started = time.monotonic()
                    record = study.run(unit, StudyContext(folder, progress))
                    ledger.record(unit, record, time.monotonic() - started)
            _write_report(study, ledger, console)
            return 0
    except KeyboardInterrupt:
        if ledger.ended(units):
            _write_report(study, ledger, console)
        console.print(
            f"stopped; continue with: reward-search study {study.name} --run-dir {folder} --resume", soft_wrap=True
        )
        return INTERRUPTED


def print_plan(study: Study) -> None:
    """What the study would do, with the time it would take by a short calibration. Writes nothing."""
    console = _console()
    units = study.units()
    total = sum((unit.cost for unit in units), Cost())
    for sentence in study.outline:
        console.print(sentence, soft_wrap=True, markup=False)
    console.print(
        f"at most {counted(len(units), 'unit')}: {total.candidates:,} candidates, {total.trainings:,} training runs, "
        f"{total.steps:,} GRPO steps, {total.completions:,} completions, {total.questions:,} answers",
        soft_wrap=True,
    )
    console.print(f"language model, for each search: {language_model_cost(study.config)}", soft_wrap=True)
    pace = calibrate(study.config)
    work = total.processes * pace.start + total.steps * pace.per_step + total.questions * pace.per_question
    seconds = work / pace.parallel + total.candidates * GATE_SECONDS + len(units) * pace.start
    packed = "" if study.config.executor.pack == 1 else " at the pace of single runs, less in packs"
    console.print(
        f"time: about {duration(seconds)}{packed}, from a calibration of "
        f"{pace.measured_steps} steps and {pace.measured_questions} questions here ({duration(pace.measuring)})",
        soft_wrap=True,
    )


def _write_report(study: Study, ledger: StudyLedger, console: Console) -> None:
    ended = ledger.ended(study.units())
    report = study.report({name: item.record for name, item in ended.items()})
    seconds = {name: item.seconds for name, item in ended.items()}
    record = {"facts": ledger.facts.model_dump(), "seconds": seconds}
    write_whole(ledger.folder / MARKDOWN, format_markdown(report))
    write_whole(ledger.folder / PAGE, render_page(report))
    write_whole(ledger.folder / RECORD, format_json(report, record))
    console.print(format_summary(report), markup=False, soft_wrap=True)
    console.print(f"report: {ledger.folder / PAGE}", soft_wrap=True)


def _facts(study: Study) -> StudyFacts:
    import os
    import platform
    from importlib.metadata import version

    hardware = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores"
    return StudyFacts.of(study, {name: version(name) for name in PACKAGES}, hardware)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=120)
