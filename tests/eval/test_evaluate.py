"""Judging of completions, and the order of predictions."""

from __future__ import annotations

from collections.abc import Sequence

from eval.engines.base import Generated, Sampling
from eval.evaluate import evaluate, evaluate_all
from eval.tasks.base import Message
from tests.trainer.tiny import Sums


class ScriptedEngine:
    """Answers by the question; counts how often each was asked."""

    def __init__(self, answers: dict[str, list[str]]) -> None:
        self.answers = answers
        self.adapters: list[object] = []

    def generate(
        self,
        prompts: Sequence[Sequence[Message]],
        sampling: Sampling,
        adapters: str | Sequence[str | None] | None = None,
    ) -> list[Generated]:
        self.adapters.append(adapters)
        texts = [self.answers[prompt[-1]["content"]].pop(0) for prompt in prompts]
        return [Generated(text, len(text.split()), truncated=False) for text in texts]


def test_strict_and_flexible_answers_are_judged_apart() -> None:
    task = Sums({})
    examples = task.examples("train", 4)
    engine = ScriptedEngine(
        {
            "0 + 0 = ?": ["so <solution> 0 </solution>"],
            "0 + 1 = ?": ["so 1"],
            "0 + 2 = ?": ["<solution> 3 </solution> 2"],
            "0 + 3 = ?": ["wait"],
        }
    )
    predictions = evaluate(engine, task, examples, Sampling(8), adapter="folder")
    assert [item.id for item in predictions] == [example.id for example in examples]
    assert [(item.correct, item.correct_flexible, item.answered) for item in predictions] == [
        (True, True, True),
        (False, True, False),
        (False, False, True),
        (False, False, False),
    ]
    assert [item.completion_tokens for item in predictions] == [4, 2, 4, 1]
    assert engine.adapters == ["folder"]


def test_samples_of_one_question_stay_together() -> None:
    task = Sums({})
    engine = ScriptedEngine({"0 + 0 = ?": ["a", "b"], "0 + 1 = ?": ["c", "d"]})
    predictions = evaluate(engine, task, task.examples("train", 2), Sampling(8, 1.0), samples_per_question=2)
    assert [(item.id, item.completion) for item in predictions] == [
        ("train-0-0", "a"),
        ("train-0-0", "b"),
        ("train-0-1", "c"),
        ("train-0-1", "d"),
    ]


def test_all_adapters_are_asked_in_one_call_with_the_same_draws() -> None:
    task = Sums({})
    examples = task.examples("train", 2)
    answers = {
        "0 + 0 = ?": ["<solution> 0 </solution>", "so 0", "one", "two"],
        "0 + 1 = ?": ["<solution> 1 </solution>", "so 1", "three", "four"],
    }
    engine = ScriptedEngine(answers)
    periods = []
    generate = engine.generate

    def spy(prompts, sampling, adapters=None):  # type: ignore[no-untyped-def]
        periods.append(sampling.draws_period)
        return generate(prompts, sampling, adapters)

    engine.generate = spy  # type: ignore[method-assign]
    first, second = evaluate_all(engine, task, examples, Sampling(8), adapters=["a", None], samples_per_question=2)
    assert engine.adapters == [["a"] * 4 + [None] * 4]
    assert periods == [4]
    assert [item.id for item in first] == ["train-0-0", "train-0-0", "train-0-1", "train-0-1"]
    assert [item.completion for item in second] == ["one", "two", "three", "four"]
    assert [item.correct for item in first] == [True, False, True, False]
