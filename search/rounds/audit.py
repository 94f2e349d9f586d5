"""The audit of a search: every screening is looked through for signs of reward hacking once it has ended."""

from __future__ import annotations

from eval.audit import AuditedRun, audit
from eval.prediction import Prediction
from eval.report.data import Sample
from search.config.names import BASE_ONLY, UNTRAINED
from search.ledger import Ledger
from search.results.ranking import Outcome, outcomes, seeds_of
from search.session import Run


def audit_screenings(run: Run) -> None:
    """Audits what has scores and was not audited yet, candidates stopped at a rung with their answers there."""
    config, ledger = run.config, run.ledger
    known = ledger.audits()
    missing = [
        outcome
        for outcome in outcomes(config, ledger)
        if (outcome.scores or outcome.rung_scores) and outcome.candidate.name not in known
    ]
    if not missing:
        return
    split = config.search.select_on
    questions = {example.id: example for example in run.task.examples(split, config.question_pool)}
    untrained = [p for answers in _answers(ledger, UNTRAINED, split, None).values() for p in answers]
    control = [p for answers in _answers(ledger, BASE_ONLY, split, None).values() for p in answers]
    for outcome in missing:
        name = outcome.candidate.name
        flags = audit(name, _runs(run, outcome), untrained, questions, config.audit, control)
        ledger.record_audit(name, flags)
        if flags and not run.answered_blind:
            run.progress.note(f"{name} shows signs of reward hacking: {', '.join(flag.name for flag in flags)}")


def _runs(run: Run, outcome: Outcome) -> list[AuditedRun]:
    config, ledger, name = run.config, run.ledger, outcome.candidate.name
    answers = _answers(ledger, name, config.search.select_on, outcome.rung)
    runs = []
    for seed in seeds_of(config, ledger, name):
        record = ledger.job("screening", name, seed)
        assert record is not None
        samples = [Sample(**sample) for sample in record.result["samples"]]
        runs.append(AuditedRun(record.result["curves"], samples, answers[seed]))
    return runs


def _answers(ledger: Ledger, subject: str, split: str, rung: int | None) -> dict[int, list[Prediction]]:
    """By seed, with the completions' texts."""
    return {
        evaluation.seed: ledger.completions(evaluation)
        for evaluation in ledger.evaluations("screening")
        if (evaluation.subject, evaluation.split, evaluation.rung) == (subject, split, rung)
    }
