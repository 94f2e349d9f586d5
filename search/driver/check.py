"""Whether a run directory is whole: its ledger, its completions, its adapters; and what can be mended of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from eval.prediction import Prediction
from rewards_generated.errors import UserError
from search.jobs.descriptions import jobs_folder
from search.ledger import LEDGER_FILE, Evaluation, Ledger, driver_lock
from search.ledger.reopening import (
    mend_evaluations,
    numbered_evaluations,
    policies_of,
    recorded_rows,
    reopen,
    rows_of,
    rungs_of,
)
from search.ledger.salvage import problems, salvage
from trainer.jobs.folder import RESULT_FILE, damaged

PREDICTIONS = TypeAdapter(list[Prediction])


@dataclass
class Damage:
    """What was found in a run directory whose ledger can be read."""

    said: list[str] = field(default_factory=list)
    """A sentence each."""
    lost_files: set[Path] = field(default_factory=set)
    """Files of completions that are not what was stored."""
    rows: dict[int, list[Prediction]] = field(default_factory=dict)
    """By number of an evaluation, the predictions that its rows, and its file, have to be made from again."""
    orphans: set[int] = field(default_factory=set)
    """Numbers of evaluations whose job is not recorded."""
    again: set[str] = field(default_factory=set)
    """Digests of jobs that have to run again."""


def check(folder: Path, *, repair: bool) -> tuple[list[str], list[str]]:
    """What is damaged, and with `repair` what was done about it, a sentence each; without damage both are empty.

    A repair leaves every sound row as it is; jobs whose results are lost are taken back, for a resumed search to run
    them again. Raises UserError for a folder without a run, one that is being driven where it is to be repaired, and
    damage that nothing mends.
    """
    if not (folder / LEDGER_FILE).is_file():
        Ledger.open(folder)
    if not repair:
        if said := problems(folder):
            return said, []
        with closing(Ledger.open(folder)) as ledger:
            return _damage(folder, ledger).said, []
    with driver_lock(folder):
        said, done = problems(folder), []
        if said:
            rows = ", ".join(f"{count} of {table}" for table, count in salvage(folder).items())
            done.append(f"the ledger was written anew; rows that its copy alone had: {rows or 'none'}")
        with closing(Ledger.open(folder, write=True)) as ledger:
            found = _damage(folder, ledger)
            done += _mend(folder, ledger, found)
        return said + found.said, done


def _damage(folder: Path, ledger: Ledger) -> Damage:
    found, jobs = Damage(), policies_of(ledger)
    owners: dict[tuple[Any, ...], str] = {
        (key[0], *policy): key[3] for key, policies in jobs.items() for policy in policies
    }
    rungs = rungs_of(ledger)
    there: set[tuple[Any, ...]] = set()
    for number, evaluation in numbered_evaluations(ledger):
        place = (evaluation.stage, evaluation.subject, evaluation.seed)
        there.add((*place, evaluation.rung))
        digest = owners.get(place) if evaluation.rung is None else rungs.get((*place, evaluation.rung))
        if digest is None:
            found.orphans.add(number)
            found.said.append(f"{_words(evaluation)}: its job is not recorded")
            continue
        try:
            predictions = ledger.completions(evaluation)
        except UserError as error:
            found.said.append(f"{_words(evaluation)}: {str(error).partition(': the completions')[0]}")
            found.lost_files.add(ledger.files.folder / evaluation.completions)
            kept = _kept(folder, ledger, evaluation.completions, digest)
            if kept is None:
                found.again.add(digest)
            else:
                found.rows[number] = kept
            continue
        if recorded_rows(ledger, number) != rows_of(predictions):
            found.rows[number] = predictions
            found.said.append(f"{_words(evaluation)}: its rows in the ledger are not those of its completions")
    for at, job in rungs.items():
        if at not in there:
            found.again.add(job)
            found.said.append(f"{at[0]} of {at[1]}, seed {at[2]}: its evaluation at step {at[3]} is lost")
    _damage_of_jobs(folder, ledger, found, jobs, there)
    return found


def _damage_of_jobs(
    folder: Path,
    ledger: Ledger,
    found: Damage,
    jobs: dict[tuple[str, str, int, str], list[tuple[str, int]]],
    there: set[tuple[Any, ...]],
) -> None:
    finished = ledger.milestone("finished") is not None
    for record in ledger.jobs():
        what = f"{record.stage} of {record.subject}, seed {record.seed}"
        policies = jobs[record.stage, record.subject, record.seed, record.digest]
        # A run that halving stopped has no adapter, and the evaluations of its rungs alone.
        scored = record.failure is None and record.result.get("adapter", "") is not None
        if scored and any((record.stage, *policy, None) not in there for policy in policies):
            found.again.add(record.digest)
            found.said.append(f"{what}: its evaluation is lost")
        place = jobs_folder(folder) / record.digest
        lost = [place / name for name in damaged(place, record.result.get("sha256", {}))]
        # Of a run that is a copy of another the adapters that nothing needs may be gone.
        if lost and (place.is_dir() or (record.stage == "retraining" and not finished)):
            found.again.add(record.digest)
            found.said.append(f"{what}: {lost[0]} is {'damaged' if lost[0].is_file() else 'gone'}")


def _kept(folder: Path, ledger: Ledger, name: str, digest: str) -> list[Prediction] | None:
    """What the file of that name held, where the job's own result still has it."""
    for place in (digest, *(pack for pack, members in _packs(ledger) if digest in members)):
        try:
            result = json.loads((jobs_folder(folder) / place / RESULT_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        for listed in _lists(result):
            try:
                predictions = PREDICTIONS.validate_python(listed)
            except ValidationError:
                continue
            if ledger.files.name_of(predictions) == name:
                return predictions
    return None


def _packs(ledger: Ledger) -> Iterator[tuple[str, set[str]]]:
    for stage in ("screening", "greedy", "retraining", "transfer"):
        for pack in ledger.packs(stage):
            yield pack.job.digest, {member.digest for member in pack.job.members}


def _lists(value: Any) -> Iterator[list[Any]]:
    """Every list of predictions in it, as plain JSON."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and "completion_tokens" in value[0]:
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _lists(part)


def _mend(folder: Path, ledger: Ledger, found: Damage) -> list[str]:
    done = []
    for file in found.lost_files:
        file.unlink(missing_ok=True)
    mend_evaluations(ledger, found.orphans, found.rows)
    if found.rows:
        done.append(f"evaluations made whole again from what was kept of them: {len(found.rows)}")
    if found.again:
        for digest in reopen(ledger, found.again):
            shutil.rmtree(jobs_folder(folder) / digest, ignore_errors=True)
        done.append(f"jobs that run again: {len(found.again)}; `reward-search run --run-dir {folder} --resume` goes on")
    ledger.back_up()
    return done


def _words(evaluation: Evaluation) -> str:
    rung = "" if evaluation.rung is None else f" at step {evaluation.rung}"
    return f"{evaluation.stage} of {evaluation.subject}, seed {evaluation.seed}{rung}"
