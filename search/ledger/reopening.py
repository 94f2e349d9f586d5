"""Jobs whose results are lost: their rows are taken back, so that a resumed search runs them again, and only them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from eval.prediction import Prediction
from search.config.names import UNTRAINED
from search.ledger.ledger import Ledger
from search.ledger.records import Evaluation
from trainer.jobs.evaluate import EvaluateJob
from trainer.jobs.train import TrainJob

OVER = ("finished", "suites_evaluated")
"""Milestones that say that nothing is left to run."""


def reopen(ledger: Ledger, digests: Collection[str]) -> list[str]:
    """Takes back what is recorded of these jobs, and of the training runs that shared a job with one of them, for a
    job runs as a whole. Returns the digests, of packs too. What was decided from the results stands: a job is a
    function of its description, and comes to the same."""
    packs = [TrainJob.model_validate_json(row[0]) for row in ledger._all("SELECT description FROM packs")]
    again = set(digests)
    while True:
        shared = [pack for pack in packs if again.intersection(member.digest for member in pack.members)]
        wider = again.union(*({member.digest for member in pack.members} for pack in shared))
        if wider == again:
            break
        again = wider
    policies = policies_of(ledger)
    with ledger._transaction():
        for (stage, subject, seed, digest), evaluated in policies.items():
            if digest not in again:
                continue
            for name, of_seed in evaluated:
                place = (stage, name, of_seed)
                where = "(stage, subject, seed) = (?, ?, ?)"
                for (number,) in ledger._all(f"SELECT id FROM evaluations WHERE {where}", *place):
                    forget_evaluation(ledger, number)
            run = ledger._connection.execute
            run("DELETE FROM rungs WHERE digest = ?", (digest,))
            run("DELETE FROM jobs WHERE (stage, subject, seed) = (?, ?, ?)", (stage, subject, seed))
        for pack in shared:
            ledger._connection.execute(
                "UPDATE packs SET outcome = NULL WHERE digest = ? AND outcome IS NOT 'too large'", (pack.digest,)
            )
        for name in OVER:
            ledger._connection.execute("DELETE FROM milestones WHERE name = ?", (name,))
    ledger.back_up()
    return sorted(again | {pack.digest for pack in shared})


def policies_of(ledger: Ledger) -> dict[tuple[str, str, int, str], list[tuple[str, int]]]:
    """By stage, subject, seed and digest of every job: subject and seed of the evaluations that it gave at its end."""
    rows = ledger._all("SELECT stage, subject, seed, digest, description FROM jobs")
    trained = {row[3]: row[1:3] for row in rows if row[0] == "retraining"}
    found = {}
    for stage, subject, seed, digest, description in rows:
        policies = [(subject, seed)]
        if stage in ("test", "suite"):
            prefix = f"{subject.rpartition(', ')[0]}: " if stage == "suite" else ""
            digests = EvaluateJob.model_validate_json(description).adapter_digests
            known = [(UNTRAINED, 0) if item is None else trained[item] for item in digests if item in {None, *trained}]
            policies = [(f"{prefix}{name}", of_seed) for name, of_seed in known]
        found[stage, subject, seed, digest] = policies
    return found


def rungs_of(ledger: Ledger) -> dict[tuple[str, str, int, int], str]:
    """By stage, subject, seed and step, the digest of the run that was evaluated there."""
    return {row[:4]: row[4] for row in ledger._all("SELECT stage, subject, seed, rung, digest FROM rungs")}


def numbered_evaluations(ledger: Ledger) -> list[tuple[int, Evaluation]]:
    """All, with the numbers that the functions below take."""
    numbers = ledger._all("SELECT id FROM evaluations ORDER BY id")
    return [(row[0], evaluation) for row, evaluation in zip(numbers, ledger.evaluations(), strict=True)]


def mend_evaluations(ledger: Ledger, orphans: Collection[int], predictions: Mapping[int, Sequence[Prediction]]) -> None:
    """Forgets evaluations, and makes the rows and the files of others again from their predictions; all or nothing."""
    with ledger._transaction():
        for number in orphans:
            forget_evaluation(ledger, number)
        # Those of evaluations that are lost.
        ledger._connection.execute("DELETE FROM predictions WHERE evaluation NOT IN (SELECT id FROM evaluations)")
        for number, made in predictions.items():
            ledger.files.put_predictions(made)
            ledger._connection.execute("DELETE FROM predictions WHERE evaluation = ?", (number,))
            ledger._insert_predictions(number, made)


def forget_evaluation(ledger: Ledger, number: int) -> None:
    """In a transaction of the caller's."""
    ledger._connection.execute("DELETE FROM predictions WHERE evaluation = ?", (number,))
    ledger._connection.execute("DELETE FROM evaluations WHERE id = ?", (number,))


def recorded_rows(ledger: Ledger, number: int) -> list[tuple[object, ...]]:
    """Of an evaluation, in order: question, both answers, whether they are right, and tokens."""
    return ledger._all(
        "SELECT question, strict, flexible, correct, correct_flexible, completion_tokens FROM predictions "
        "WHERE evaluation = ? ORDER BY position",
        number,
    )


def rows_of(predictions: Sequence[Prediction]) -> list[tuple[object, ...]]:
    """What `recorded_rows` has to be."""
    return [(p.id, p.strict, p.flexible, p.correct, p.correct_flexible, p.completion_tokens) for p in predictions]
