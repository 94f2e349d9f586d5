"""Answers question by question, as the report shows them: which policy got which question right, and how."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

from eval.report.data import AskedQuestion, AskedSplit, PolicyAnswers, QuestionSamples
from eval.tasks.base import Split, Task
from eval.tasks.registry import build_task, makes_its_questions
from rewards_generated.errors import UserError
from search.config.models import SearchConfig
from search.config.names import BASE_ONLY, UNTRAINED
from search.ledger import Evaluation, Ledger


def asked_splits(config: SearchConfig, ledger: Ledger, task: Task | None = None) -> tuple[AskedSplit, ...]:
    """Screenings of candidates and controls; finalists on the test split once it is open, else on the split that
    ranks. `task`: where it is loaded already; the texts of the questions come from it."""
    test: Split = "test"
    names = [candidate.name for candidate in ledger.candidates()]
    task = task or _generated(config)
    screened = _asked(task, ledger, "screening", config.search.select_on, [UNTRAINED, BASE_ONLY, *names])
    trained = {item.name: item.same_as or item.name for item in ledger.finalists()}
    opened = ledger.milestone("test_opened") is not None
    split = test if opened else config.search.select_on
    finals = _asked(task, ledger, "finals", split, [UNTRAINED, *trained], trained)
    return tuple(found for found in (screened, finals) if found is not None and len(found.policies) > 1)


def _asked(
    task: Task | None,
    ledger: Ledger,
    stage: Literal["screening", "finals"],
    split: Split,
    names: list[str],
    trained: dict[str, str] | None = None,
) -> AskedSplit | None:
    """`trained`: by name of a finalist the one that was trained for it. None where nothing was asked. Those whose
    completions are lost, and those that were asked something else, are left out."""
    first: dict[str, Evaluation] = {}
    for evaluation in ledger.evaluations():
        fits = (evaluation.stage == "screening") == (stage == "screening") or evaluation.subject == UNTRAINED
        if fits and evaluation.split == split and evaluation.rung is None and _counts(evaluation):
            known = first.get(evaluation.subject)
            if known is None or evaluation.seed < known.seed:
                first[evaluation.subject] = evaluation
    policies: list[PolicyAnswers] = []
    for name in names:
        found = first.get((trained or {}).get(name, name))
        if found is not None:
            with suppress(UserError):
                answered = tuple(ledger.completions(found))
                policies.append(PolicyAnswers(policy=name, seed=found.seed, predictions=answered))
    if not policies:
        return None
    ids = max((tuple(p.id for p in found.predictions) for found in policies), key=len)
    kept = tuple(found for found in policies if tuple(p.id for p in found.predictions) == ids)
    texts, sampled = _texts(task, split), _base_samples(ledger)
    shown = "validation" if split == "validation" else "test"
    return AskedSplit(
        stage=stage,
        split=shown,
        questions=tuple(
            texts.get(question, AskedQuestion(id=question)).model_copy(update={"base": sampled.get(question)})
            for question in ids
        ),
        policies=kept,
    )


def _counts(evaluation: Evaluation) -> bool:
    return evaluation.stage in ("screening", "retraining", "test")


def _generated(config: SearchConfig) -> Task | None:
    """None for any other task: to load it could run code that the run names, or fetch something."""
    return build_task(config.task) if makes_its_questions(config.task.name) else None


def _base_samples(ledger: Ledger) -> dict[str, QuestionSamples]:
    """Of the untrained policy, by question: of the training split, and of the others where strata were made."""
    right: dict[str, list[bool]] = {}
    for evaluation in ledger.evaluations("base-rollouts"):
        for runs in ledger.predictions("base-rollouts", evaluation.subject, evaluation.split).values():
            for p in runs:
                right.setdefault(p.id, []).append(p.correct)
    return {question: QuestionSamples(right=sum(found), samples=len(found)) for question, found in right.items()}


def _texts(task: Task | None, split: Split) -> dict[str, AskedQuestion]:
    """By id; empty where no task is loaded."""
    found = task.examples(split) if task else ()
    return {e.id: AskedQuestion(id=e.id, prompt=e.question, answer=e.answer) for e in found}
