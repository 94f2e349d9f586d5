"""Answers of a policy to the questions of a split, judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eval.engines.base import Generated, GenerationEngine, Sampling
from eval.prediction import Prediction
from eval.second_turn import second_prompt
from eval.tasks.base import Example, Message, Task
from rewards_generated.answers.programs import judge_ahead

SECOND_PASS_SEED = 7_919
"""Added to the seed for the draws of a second pass."""


def evaluate(
    engine: GenerationEngine,
    task: Task,
    examples: Sequence[Example],
    sampling: Sampling,
    *,
    adapter: str | None = None,
    samples_per_question: int = 1,
    second_turn: str | None = None,
) -> list[Prediction]:
    """Predictions in the order of the examples; with several samples per question, all of one question together.

    Every adapter that is evaluated with the same arguments sees the same draws. `second_turn`: every answer is shown
    to the policy again with this phrase, and it answers a second time; None: one pass.
    """
    asked = [example for example in examples for _ in range(samples_per_question)]
    generated = engine.generate([example.prompt for example in asked], sampling, adapter)
    if second_turn is None:
        return judge_all(task, asked, generated)
    again = engine.generate(_second_prompts(asked, generated, second_turn), _second_draws(sampling), adapter)
    return _judge_both(task, asked, generated, again)


def evaluate_all(
    engine: GenerationEngine,
    task: Task,
    examples: Sequence[Example],
    sampling: Sampling,
    *,
    adapters: Sequence[str | None],
    samples_per_question: int = 1,
    second_turn: str | None = None,
) -> list[list[Prediction]]:
    """Per adapter (None: the base policy), its predictions as `evaluate` gives them; all adapters at once."""
    asked = [example for example in examples for _ in range(samples_per_question)]
    rows = [(adapter, example) for adapter in adapters for example in asked]
    owners = [adapter for adapter, _ in rows]
    sampling = replace(sampling, draws_period=len(asked))
    generated = engine.generate([example.prompt for _, example in rows], sampling, owners)
    every = [example for _, example in rows]
    if second_turn is None:
        predictions = judge_all(task, every, generated)
    else:
        again = engine.generate(_second_prompts(every, generated, second_turn), _second_draws(sampling), owners)
        predictions = _judge_both(task, every, generated, again)
    return [predictions[place * len(asked) :][: len(asked)] for place in range(len(adapters))]


def _second_prompts(
    asked: Sequence[Example], generated: Sequence[Generated], second_turn: str
) -> list[tuple[Message, ...]]:
    return [
        second_prompt(example.prompt, answer.completion, second_turn)
        for example, answer in zip(asked, generated, strict=True)
    ]


def _second_draws(sampling: Sampling) -> Sampling:
    return replace(sampling, seed=sampling.seed + SECOND_PASS_SEED)


def _judge_both(
    task: Task, asked: Sequence[Example], first: Sequence[Generated], second: Sequence[Generated]
) -> list[Prediction]:
    pairs = zip(judge_all(task, asked, first), judge_all(task, asked, second), strict=True)
    return [after.model_copy(update={"earlier": before}) for before, after in pairs]


def judge_all(task: Task, examples: Sequence[Example], generated: Sequence[Generated]) -> list[Prediction]:
    """One prediction per example, in order."""
    judge_ahead(task, [answer.completion for answer in generated], [example.answer for example in examples])
    return [judge(task, example, answer) for example, answer in zip(examples, generated, strict=True)]


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
