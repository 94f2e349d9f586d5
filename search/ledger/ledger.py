"""Reading and writing the ledger of one run directory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eval.prediction import Prediction
from eval.prescreening import PreScreening
from eval.report.data import Flag
from eval.tasks.base import Split
from rewards_generated.ensemble import Ensemble
from rewards_generated.errors import UserError
from rewards_generated.gate.verdict import Verdict
from search.ledger.files import Files
from search.ledger.records import (
    Candidate,
    Evaluation,
    Finalist,
    JobRecord,
    Milestone,
    PackOutcome,
    PackRecord,
    Round,
    Stage,
)
from search.ledger.schema import SCHEMA, SCHEMA_VERSION
from search.proposers.base import LanguageModelCall, UnusableItem
from trainer.jobs.evaluate import EvaluateJob, EvaluateResult
from trainer.jobs.train import RunResult, TrainingRun, TrainJob

LEDGER_FILE = "ledger.sqlite"


class Ledger:
    """Every `record_...` is one transaction: after a crash it is there wholly or not at all."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.files = Files(folder / "files")
        self._connection = connection

    @classmethod
    def create(cls, folder: Path, facts: Mapping[str, Any]) -> Ledger:
        """A new ledger with its first facts. The folder must not hold one."""
        folder.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(folder / LEDGER_FILE, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        ledger = cls(folder, connection)
        with ledger._transaction():
            for statement in SCHEMA.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            for name, value in facts.items():
                ledger._set_fact(name, value)
            ledger._milestone("started", {})
        return ledger

    @classmethod
    def open(cls, folder: Path, *, write: bool = False) -> Ledger:
        """Opens what is there. Raises UserError if there is no run in the folder or it is of another version."""
        path = folder / LEDGER_FILE
        if not cls.exists(folder):
            raise UserError(f"{folder} holds no search: there is no {LEDGER_FILE} in it; give the folder of a run")
        # A reader opens read-write too: SQLite needs to make the shared-memory file where no writer is alive.
        connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        if not write:
            connection.execute("PRAGMA query_only = 1")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA_VERSION:
            raise UserError(
                f"{path} has version {version}, this program reads version {SCHEMA_VERSION}: read it with the version "
                "that wrote it, or start a new search"
            )
        return cls(folder, connection)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether the folder holds a ledger whose creation was completed."""
        path = folder / LEDGER_FILE
        if not path.is_file():
            return False
        with closing(sqlite3.connect(path)) as connection:
            try:
                return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'facts'").fetchone())
            except sqlite3.DatabaseError:
                raise UserError(f"{path} is not a ledger: it is no SQLite file") from None

    def close(self) -> None:
        self._connection.close()

    # Facts and milestones

    def fact(self, name: str) -> Any:
        """None if there is none."""
        row = self._one("SELECT value FROM facts WHERE name = ?", name)
        return None if row is None else json.loads(row[0])

    def record_fact(self, name: str, value: Any) -> None:
        """`value` is anything that JSON holds; None removes the fact."""
        with self._transaction():
            self._set_fact(name, value)

    def milestone(self, name: str) -> Milestone | None:
        row = self._one("SELECT at, detail FROM milestones WHERE name = ?", name)
        return None if row is None else Milestone(datetime.fromisoformat(row[0]), json.loads(row[1]))

    def record_milestone(self, name: str, detail: Mapping[str, Any]) -> None:
        with self._transaction():
            self._milestone(name, detail)

    # Rounds

    def calls(self, round_number: int | None = None) -> list[LanguageModelCall]:
        """Of one round, or of all, in order."""
        query = "SELECT call FROM calls WHERE ?1 IS NULL OR round = ?1 ORDER BY round, position"
        rows = self._all(query, round_number)
        return [LanguageModelCall(**json.loads(row[0])) for row in rows]

    def record_call(self, round_number: int, call: LanguageModelCall) -> None:
        with self._transaction():
            self._insert_call(round_number, call)

    def record_answer(self, round_number: int, call: LanguageModelCall) -> None:
        """A person's answer to the open question, which is closed by it."""
        with self._transaction():
            self._insert_call(round_number, call)
            self._set_fact("question", None)

    def rounds(self) -> list[Round]:
        """Rounds whose proposals are in, in order."""
        unusable: dict[int, list[UnusableItem]] = {}
        for row in self._all("SELECT round, reason, detail, excerpt FROM unusable ORDER BY round, position"):
            unusable.setdefault(row[0], []).append(UnusableItem(*row[1:]))
        return [
            Round(row[0], row[1], row[2], tuple(unusable.get(row[0], ())))
            for row in self._all("SELECT number, requested, seconds FROM rounds ORDER BY number")
        ]

    def record_round(
        self,
        number: int,
        requested: int,
        candidates: Sequence[Candidate],
        unusable: Sequence[UnusableItem],
        seconds: float,
    ) -> None:
        with self._transaction():
            self._insert("rounds", number, requested, _now(), seconds)
            for position, item in enumerate(unusable):
                self._insert("unusable", number, position, item.reason, item.detail, item.excerpt)
            for candidate in candidates:
                self._insert("candidates", *astuple(candidate)[:-1], json.dumps(candidate.parents))

    def candidates(self, round_number: int | None = None) -> list[Candidate]:
        """Of one round, or of all, in the order in which they were proposed."""
        rows = self._all(
            "SELECT name, round, position, identity, code, origin, description, family, parents "
            "FROM candidates WHERE ?1 IS NULL OR round = ?1 ORDER BY round, position",
            round_number,
        )
        return [Candidate(*row[:-1], *[tuple(json.loads(row[-1]))]) for row in rows]

    def verdicts(self) -> dict[str, Verdict]:
        """By candidate."""
        rows = self._all("SELECT candidate, verdict FROM verdicts")
        return {row[0]: Verdict.model_validate_json(row[1]) for row in rows}

    def record_verdict(self, candidate: str, verdict: Verdict) -> None:
        with self._transaction():
            self._insert("verdicts", candidate, verdict.accepted, verdict.model_dump_json(), _now())

    def prescreenings(self) -> dict[str, PreScreening]:
        """By candidate, in the order in which they were made."""
        rows = self._all("SELECT candidate, prescreening FROM prescreenings ORDER BY rowid")
        return {row[0]: PreScreening.model_validate_json(row[1]) for row in rows}

    def prescreening_scores(self) -> dict[str, list[float | None]]:
        """By candidate: its scores of the base rollouts, in their order."""
        rows = self._all("SELECT candidate, scores FROM prescreenings ORDER BY rowid")
        return {row[0]: json.loads(row[1]) for row in rows}

    def record_prescreening(self, candidate: str, prescreening: PreScreening, scores: Sequence[float | None]) -> None:
        found = prescreening.model_dump_json()
        with self._transaction():
            self._insert("prescreenings", candidate, prescreening.duplicate, found, json.dumps(list(scores)), _now())

    def audits(self) -> dict[str, tuple[Flag, ...]]:
        """By candidate; without signs of reward hacking an empty tuple."""
        rows = self._all("SELECT candidate, flags FROM audits")
        return {row[0]: tuple(Flag.model_validate(flag) for flag in json.loads(row[1])) for row in rows}

    def record_audit(self, candidate: str, flags: Sequence[Flag]) -> None:
        found = json.dumps([flag.model_dump(mode="json") for flag in flags])
        with self._transaction():
            self._insert("audits", candidate, found, _now())

    # Jobs and what they answered

    def job(self, stage: Stage, subject: str, seed: int) -> JobRecord | None:
        return next(iter(self._jobs("stage = ? AND subject = ? AND seed = ?", stage, subject, seed)), None)

    def jobs(self, stage: Stage | None = None) -> list[JobRecord]:
        return self._jobs("?1 IS NULL OR stage = ?1", stage)

    def packs(self, stage: Stage) -> list[PackRecord]:
        """In the order in which they were written down."""
        rows = self._all("SELECT stage, description, outcome FROM packs WHERE stage = ? ORDER BY rowid", stage)
        return [PackRecord(row[0], TrainJob.model_validate_json(row[1]), row[2]) for row in rows]

    def record_packs(self, stage: Stage, packs: Sequence[TrainJob], instead_of: TrainJob | None = None) -> None:
        """Before they start: who trains with whom decides the last bits. `instead_of`: a pack that was too large."""
        with self._transaction():
            if instead_of is not None:
                self._set_outcome(instead_of, "too large")
            for pack in packs:
                self._insert("packs", pack.digest, stage, len(pack.members), pack.model_dump_json(), _now(), None)

    def record_pack_outcome(self, pack: TrainJob, outcome: PackOutcome) -> None:
        """When the results of all its members are recorded."""
        with self._transaction():
            self._set_outcome(pack, outcome)

    def record_training(
        self, stage: Stage, subject: str, job: TrainingRun, result: RunResult, split: Split | None
    ) -> None:
        """A training run that is over, with its evaluation on `split`, if it was scored. One that was stopped at a
        rung has the predictions of its rungs alone: its result holds none."""
        completions = self.files.put_predictions(result.predictions) if result.predictions else None
        with self._transaction():
            self._insert_job(stage, subject, job, result)
            if result.failure is None and split is not None and completions is not None:
                self._insert_evaluation(stage, subject, job.seed, split, completions, result.predictions)

    def record_rung(
        self, stage: Stage, subject: str, job: TrainingRun, rung: int, result: RunResult, split: Split
    ) -> None:
        """A training run that came to a rung, with its evaluation there. Raises ValueError for a rung that is not
        below the job's steps, or a result that is not scored."""
        if not 0 < rung < job.grpo.steps:
            raise ValueError(f"rung {rung} of {subject} is not below the {job.grpo.steps} steps of its job")
        if result.failure is not None or not result.predictions:
            raise ValueError(f"{subject} has no score at rung {rung}")
        completions = self.files.put_predictions(result.predictions)
        so_far = result.model_dump_json(exclude={"predictions"})
        with self._transaction():
            self._insert("rungs", stage, subject, job.seed, rung, job.digest, so_far, _now())
            self._insert_evaluation(stage, subject, job.seed, split, completions, result.predictions, rung)

    def rung_result(self, stage: Stage, subject: str, seed: int, rung: int) -> RunResult | None:
        """What a run had come to at a rung, without predictions; None if it has not come there."""
        row = self._one(
            "SELECT result FROM rungs WHERE (stage, subject, seed, rung) = (?, ?, ?, ?)", stage, subject, seed, rung
        )
        return None if row is None else RunResult.model_validate_json(row[0])

    def digests(self, stage: Stage, rung: int | None = None) -> set[str]:
        """Of the jobs that are over, and of those that came to the rung."""
        over = self._all("SELECT digest FROM jobs WHERE stage = ?", stage)
        return {
            row[0] for row in over + self._all("SELECT digest FROM rungs WHERE stage = ? AND rung = ?", stage, rung)
        }

    def record_evaluation(
        self,
        stage: Stage,
        subject: str,
        job: EvaluateJob,
        result: EvaluateResult,
        policies: Sequence[tuple[str, int]],
    ) -> None:
        """An evaluation of several policies on the job's one suite, each named by its subject and training seed, in the
        job's order. Raises ValueError for a job of several suites."""
        [(suite, asked)] = job.suites.items()
        answers = [found[suite] for found in result.predictions]
        names = [self.files.put_predictions(predictions) for predictions in answers]
        with self._transaction():
            self._insert_job(stage, subject, job, result)
            for (name, seed), file, predictions in zip(policies, names, answers, strict=False):
                self._insert_evaluation(stage, name, seed, asked.split, file, predictions)

    def evaluations(self, stage: Stage | None = None) -> list[Evaluation]:
        rows = self._all(
            "SELECT stage, subject, seed, split, completions, rung FROM evaluations "
            "WHERE ?1 IS NULL OR stage = ?1 ORDER BY id",
            stage,
        )
        return [Evaluation(*row) for row in rows]

    def rungs(self, stage: Stage, subject: str, split: Split) -> list[int]:
        """Numbers of steps after which there are predictions from before the training was over, rising."""
        rows = self._all(
            "SELECT DISTINCT rung FROM evaluations WHERE stage = ? AND subject = ? AND split = ? AND rung IS NOT NULL "
            "ORDER BY rung",
            stage,
            subject,
            split,
        )
        return [row[0] for row in rows]

    def predictions(
        self, stage: Stage, subject: str, split: Split, rung: int | None = None
    ) -> dict[int, list[Prediction]]:
        """By training seed, in the split's order, without the completions' texts (see `completions`).

        `rung`: those measured after so many steps; None: those from the end of the training, and no others.
        """
        found: dict[int, list[Prediction]] = {}
        rows = self._all(
            "SELECT seed, question, strict, flexible, correct, correct_flexible, completion_tokens "
            "FROM evaluations JOIN predictions ON evaluation = id "
            "WHERE stage = ? AND subject = ? AND split = ? AND rung IS ? ORDER BY seed, predictions.position",
            stage,
            subject,
            split,
            rung,
        )
        for seed, question, strict, flexible, correct, correct_flexible, tokens in rows:
            found.setdefault(seed, []).append(
                Prediction.model_construct(
                    id=question,
                    completion="",
                    strict=strict,
                    flexible=flexible,
                    correct=bool(correct),
                    correct_flexible=bool(correct_flexible),
                    completion_tokens=tokens,
                )
            )
        return found

    def completions(self, evaluation: Evaluation) -> list[Prediction]:
        """The predictions of one evaluation with the completions' texts."""
        return self.files.predictions(evaluation.completions)

    # Finalists

    def finalists(self) -> list[Finalist]:
        rows = self._all(
            "SELECT name, kind, candidates, ensemble, steps, same_as, listed_apart, control "
            "FROM ensembles ORDER BY position"
        )
        return [
            Finalist(row[0], row[1], tuple(json.loads(row[2])), Ensemble.model_validate_json(row[3]), *row[4:])
            for row in rows
        ]

    def record_finalists(self, finalists: Sequence[Finalist], milestone: str) -> None:
        """Finalists that are fixed together, with the milestone that says so."""
        with self._transaction():
            [(earlier,)] = self._all("SELECT COUNT(*) FROM ensembles")
            for position, item in enumerate(finalists, start=earlier):
                made_of = json.dumps(item.candidates), item.ensemble.model_dump_json()
                remarks = item.same_as, item.listed_apart, item.control
                self._insert("ensembles", item.name, position, item.kind, *made_of, item.steps, *remarks)
            self._milestone(milestone, {"names": [item.name for item in finalists]})

    # Below the surface

    def _set_fact(self, name: str, value: Any) -> None:
        self._connection.execute("DELETE FROM facts WHERE name = ?", (name,))
        if value is not None:
            self._insert("facts", name, json.dumps(value))

    def _insert_call(self, round_number: int, call: LanguageModelCall) -> None:
        [(position,)] = self._all("SELECT COUNT(*) FROM calls WHERE round = ?", round_number)
        self._insert("calls", round_number, position, _now(), json.dumps(asdict(call)))

    def _milestone(self, name: str, detail: Mapping[str, Any]) -> None:
        self._insert("milestones", name, _now(), json.dumps(dict(detail)))

    def _set_outcome(self, pack: TrainJob, outcome: PackOutcome) -> None:
        self._connection.execute("UPDATE packs SET outcome = ? WHERE digest = ?", (outcome, pack.digest))

    def _insert_job(
        self, stage: Stage, subject: str, job: TrainingRun | EvaluateJob, result: RunResult | EvaluateResult
    ) -> None:
        place, description = (stage, subject, job.seed), job.model_dump_json()
        kept = result.model_dump_json(exclude={"predictions"})
        self._insert("jobs", *place, job.digest, description, result.failure, kept, _now())

    def _insert_evaluation(
        self,
        stage: Stage,
        subject: str,
        seed: int,
        split: Split,
        file: str,
        predictions: Sequence[Prediction],
        rung: int | None = None,
    ) -> None:
        number = self._insert("evaluations", None, stage, subject, seed, split, rung, file, _now())
        for i, p in enumerate(predictions):
            answer = p.strict, p.flexible, p.correct, p.correct_flexible, p.completion_tokens
            self._insert("predictions", number, i, p.id, *answer)

    def _jobs(self, where: str, *values: Any) -> list[JobRecord]:
        rows = self._all(
            f"SELECT stage, subject, seed, digest, failure, result FROM jobs WHERE {where} ORDER BY rowid", *values
        )
        return [JobRecord(*row[:-1], *[json.loads(row[-1])]) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._connection:  # commits, or rolls back after an exception
            self._connection.execute("BEGIN IMMEDIATE")
            yield

    def _insert(self, table: str, *values: Any) -> int | None:
        """A row with all columns of the table in order; returns its number."""
        places = ", ".join("?" * len(values))
        return self._connection.execute(f"INSERT INTO {table} VALUES ({places})", values).lastrowid

    def _one(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(statement, values).fetchone()
        return row

    def _all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values).fetchall()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
