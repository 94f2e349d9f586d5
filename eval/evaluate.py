"""Answers of a policy to the questions of a split, judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eval.engine import Generated, GenerationEngine, Sampling
from eval.prediction import Prediction
from eval.tasks.base import Example, Task


def evaluate(
    engine: GenerationEngine,
    task: Task,
    examples: Sequence[Example],
    sampling: Sampling,
    *,
    adapter: str | None = None,
    samples_per_question: int = 1,
) -> list[Prediction]:
    """Predictions in the order of the examples; with several samples per question, all of one question together.

    Every adapter that is evaluated with the same arguments sees the same draws.
    """
    asked = [example for example in examples for _ in range(samples_per_question)]
    generated = engine.generate([example.prompt for example in asked], sampling, adapter)
    return [judge(task, example, answer) for example, answer in zip(asked, generated, strict=True)]


def evaluate_all(
    engine: GenerationEngine,
    task: Task,
    examples: Sequence[Example],
    sampling: Sampling,
    *,
    adapters: Sequence[str | None],
    samples_per_question: int = 1,
) -> list[list[Prediction]]:
    """Per adapter (None: the base policy), its predictions as `evaluate` gives them; all adapters in one pass."""
    asked = [example for example in examples for _ in range(samples_per_question)]
    rows = [(adapter, example) for adapter in adapters for example in asked]
    generated = engine.generate(
        [example.prompt for _, example in rows],
        replace(sampling, draws_period=len(asked)),
        [adapter for adapter, _ in rows],
    )
    predictions = [judge(task, example, answer) for (_, example), answer in zip(rows, generated, strict=True)]
    return [predictions[place * len(asked) :][: len(asked)] for place in range(len(adapters))]


def judge(task: Task, example: Example, generated: Generated) -> Prediction:
    """Reads the answer from the completion and compares it with the gold answer."""
    extraction = task.extract(generated.completion)
    correct = extraction.strict is not None and task.equal(extraction.strict, example.answer)
    return Prediction(
        id=example.id,
        completion=generated.completion,
        strict=extraction.strict,
        flexible=extraction.flexible,
        correct=correct,
        correct_flexible=correct
        if extraction.flexible == extraction.strict
        else extraction.flexible is not None and task.equal(extraction.flexible, example.answer),
        completion_tokens=generated.tokens,
    )
