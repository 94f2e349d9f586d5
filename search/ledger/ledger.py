"""Reading and writing the ledger of one run directory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, replace
from datetime import datetime
from typing import Any

from eval.prediction import Prediction
from eval.prescreening import PreScreening
from eval.report.data import Flag
from eval.tasks.base import Split
from rewards_generated.ensemble import Ensemble
from rewards_generated.errors import UserError
from rewards_generated.gate.verdict import Verdict, together
from search.ledger.connection import telling_of_damage
from search.ledger.database import Database, now
from search.ledger.records import (
    Candidate,
    Evaluation,
    Finalist,
    JobRecord,
    PackOutcome,
    PackRecord,
    Round,
    Stage,
)
from search.proposers.base import LanguageModelCall, SettleCall, UnusableItem
from trainer.jobs.evaluate import EvaluateJob, EvaluateResult
from trainer.jobs.train import RunResult, TrainingRun, TrainJob

ATTEMPTS = 1000
"""Attempts at one exchange have positions from this many times its number on."""


@telling_of_damage
class Ledger(Database):
    """Every `record_...` is one transaction: after a crash it is there wholly or not at all."""

    # Rounds

    def calls(self, round_number: int | None = None) -> list[LanguageModelCall]:
        """Of one round, or of all, in order."""
        query = "SELECT call FROM calls WHERE ?1 IS NULL OR round = ?1 ORDER BY round, position"
        rows = self._all(query, round_number)
        return [LanguageModelCall(**json.loads(row[0])) for row in rows]

    def record_call(self, round_number: int, call: LanguageModelCall) -> SettleCall:
        """A call that is about to be sent, or is over; the function that comes back replaces it by what came of it."""
        with self._transaction():
            position = self._insert_call(round_number, call)

        def settle(settled: LanguageModelCall) -> None:
            with self._transaction():
                self._connection.execute(
                    "UPDATE calls SET call = ? WHERE round = ? AND position = ?",
                    (json.dumps(asdict(settled)), round_number, position),
                )
            self.back_up()

        return settle

    def record_answer(self, round_number: int, call: LanguageModelCall) -> None:
        """A person's answer to the open question, which is closed by it."""
        with self._transaction():
            self._insert_call(round_number, replace(call, exchange=len(self.calls(round_number))))
            self._set_fact("question", None)
        self.back_up()

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
            self._insert("rounds", number, requested, now(), seconds)
            for position, item in enumerate(unusable):
                self._insert("unusable", number, position, item.reason, item.detail, item.excerpt)
            for candidate in candidates:
                self._insert("candidates", *astuple(candidate)[:-2], json.dumps(candidate.parents), candidate.kind)
        self.back_up()

    def waits(self) -> tuple[list[float], list[float]]:
        """Seconds: of proposing a round, each; and from then until its first job was sent off, per candidate, of those
        rounds that sent any."""
        rows = self._all(
            "SELECT r.seconds, r.proposed_at, (SELECT min(p.at) FROM packs p WHERE p.at > r.proposed_at), "
            "(SELECT count(*) FROM candidates c WHERE c.round = r.number) FROM rounds r ORDER BY r.number"
        )
        checked = [
            (datetime.fromisoformat(sent) - datetime.fromisoformat(proposed)).total_seconds() / candidates
            for _, proposed, sent, candidates in rows
            if sent is not None and candidates
        ]
        return [row[0] for row in rows], checked

    def candidates(self, round_number: int | None = None) -> list[Candidate]:
        """Of one round, or of all, in the order in which they were proposed."""
        query = "SELECT * FROM candidates WHERE ?1 IS NULL OR round = ?1 ORDER BY round, position"
        rows = self._all(query, round_number)
        self._require_printable(row[0] for row in rows)
        return [Candidate(*row[:-2], *[tuple(json.loads(row[-2])), row[-1]]) for row in rows]

    def verdicts(self) -> dict[str, Verdict]:
        """By candidate; of a set that of all its rewards together."""
        of_members: dict[str, dict[str, Verdict]] = {}
        for candidate, member, verdict in self._all("SELECT candidate, member, verdict FROM verdicts ORDER BY rowid"):
            of_members.setdefault(candidate, {})[member] = Verdict.model_validate_json(verdict)
        return {candidate: together(found) for candidate, found in of_members.items()}

    def member_verdicts(self) -> dict[str, Verdict]:
        """By the name of the reward in ensembles."""
        rows = self._all("SELECT member, verdict FROM verdicts")
        return {row[0]: Verdict.model_validate_json(row[1]) for row in rows}

    def record_verdict(self, candidate: str, verdicts: Mapping[str, Verdict]) -> None:
        """`verdicts`: by the names that its rewards have in ensembles."""
        with self._transaction():
            for member, verdict in verdicts.items():
                self._insert("verdicts", candidate, member, verdict.accepted, verdict.model_dump_json(), now())

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
            self._insert("prescreenings", candidate, prescreening.duplicate, found, json.dumps(list(scores)), now())

    def audits(self) -> dict[str, tuple[Flag, ...]]:
        """By candidate; without signs of reward hacking an empty tuple."""
        rows = self._all("SELECT candidate, flags FROM audits")
        return {row[0]: tuple(Flag.model_validate(flag) for flag in json.loads(row[1])) for row in rows}

    def record_audit(self, candidate: str, flags: Sequence[Flag]) -> None:
        found = json.dumps([flag.model_dump(mode="json") for flag in flags])
        with self._transaction():
            self._insert("audits", candidate, found, now())

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
                self._insert("packs", pack.digest, stage, len(pack.members), pack.model_dump_json(), now(), None)

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
                self._insert_evaluation((stage, subject, job.seed, split, None), completions, result.predictions)

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
            self._insert("rungs", stage, subject, job.seed, rung, job.digest, so_far, now())
            self._insert_evaluation((stage, subject, job.seed, split, rung), completions, result.predictions)

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
                self._insert_evaluation((stage, name, seed, asked.split, None), file, predictions)

    def evaluations(self, stage: Stage | None = None) -> list[Evaluation]:
        query = (
            "SELECT stage, subject, seed, split, completions, rung FROM evaluations "
            "WHERE ?1 IS NULL OR stage = ?1 ORDER BY id"
        )
        return [Evaluation(*row) for row in self._all(query, stage)]

    def rungs(self, stage: Stage, subject: str, split: Split) -> list[int]:
        """Numbers of steps after which there are predictions from before the training was over, rising."""
        query = (
            "SELECT DISTINCT rung FROM evaluations WHERE stage = ? AND subject = ? AND split = ? AND rung IS NOT NULL "
            "ORDER BY rung"
        )
        return [row[0] for row in self._all(query, stage, subject, split)]

    def predictions(
        self, stage: Stage, subject: str, split: Split, rung: int | None = None
    ) -> dict[int, list[Prediction]]:
        """By training seed, in the split's order, without the completions' texts (see `completions`).

        `rung`: those measured after so many steps; None: those from the end of the training, and no others.
        """
        query = (
            "SELECT seed, question, strict, flexible, correct, correct_flexible, completion_tokens "
            "FROM evaluations JOIN predictions ON evaluation = id "
            "WHERE stage = ? AND subject = ? AND split = ? AND rung IS ? ORDER BY seed, predictions.position"
        )
        found: dict[int, list[Prediction]] = {}
        rows = self._all(query, stage, subject, split, rung)
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
        self._require_printable(row[0] for row in rows)
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

    def _require_printable(self, names: Iterable[str]) -> None:
        """No name with a control character was ever recorded: raises UserError for a ledger that has one."""
        if strange := next((name for name in names if not name.isprintable()), None):
            raise UserError(f"{self.folder} was tampered with: a name in its ledger is {strange!r}")

    def _insert_call(self, round_number: int, call: LanguageModelCall) -> int:
        """Returns its position: exchanges in order, whichever is answered first, and in each the attempts."""
        first = call.exchange * ATTEMPTS
        [(attempts,)] = self._all(
            "SELECT COUNT(*) FROM calls WHERE round = ? AND position BETWEEN ? AND ?",
            *(round_number, first, first + ATTEMPTS - 1),
        )
        self._insert("calls", round_number, first + attempts, now(), json.dumps(asdict(call)))
        return first + int(attempts)

    def _set_outcome(self, pack: TrainJob, outcome: PackOutcome) -> None:
        self._connection.execute("UPDATE packs SET outcome = ? WHERE digest = ?", (outcome, pack.digest))

    def _insert_job(
        self, stage: Stage, subject: str, job: TrainingRun | EvaluateJob, result: RunResult | EvaluateResult
    ) -> None:
        place, description = (stage, subject, job.seed), job.model_dump_json()
        kept = result.model_dump_json(exclude={"predictions"})
        self._insert("jobs", *place, job.digest, description, result.failure, kept, now())

    def _insert_evaluation(
        self, place: tuple[Stage, str, int, Split, int | None], file: str, predictions: Sequence[Prediction]
    ) -> None:
        """`place`: stage, subject, seed, split and rung."""
        number = self._insert("evaluations", None, *place, file, now())
        self._insert_predictions(number, predictions)

    def _insert_predictions(self, number: int | None, predictions: Sequence[Prediction]) -> None:
        for i, p in enumerate(predictions):
            answer = p.strict, p.flexible, p.correct, p.correct_flexible, p.completion_tokens
            self._insert("predictions", number, i, p.id, *answer)

    def _jobs(self, where: str, *values: Any) -> list[JobRecord]:
        query = f"SELECT stage, subject, seed, digest, failure, result FROM jobs WHERE {where} ORDER BY rowid"
        return [JobRecord(*row[:-1], *[json.loads(row[-1])]) for row in self._all(query, *values)]
