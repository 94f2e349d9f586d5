"""Second prompts, evaluation in two passes, and its figures."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from statsmodels.stats.proportion import proportion_confint

from eval.engines.base import Generated, Sampling
from eval.evaluate import evaluate, evaluate_all
from eval.prediction import Prediction
from eval.second_turn import second_prompt, second_question
from eval.statistics.paired import paired_difference
from eval.tasks.base import Message
from eval.two_turn_figures import figures_of, two_turn_figures
from tests.trainer.tiny import Sums


def test_a_second_prompt_extends_the_last_question_of_the_chat() -> None:
    chat: list[Message] = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "1 + 1 ?"},
    ]
    assert second_question("1 + 1 ?", "so 3", "look") == "1 + 1 ?\nEarlier: so 3\nlook"
    assert second_prompt(chat, "so 3", "look") == (
        *chat[:3],
        {"role": "user", "content": "1 + 1 ?\nEarlier: so 3\nlook"},
    )
    assert chat[3]["content"] == "1 + 1 ?"


class Engine:
    """Answers first questions wrongly; looks again at what it is shown, and mends it for the adapter `good`."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], Sampling]] = []

    def generate(
        self,
        prompts: Sequence[Sequence[Message]],
        sampling: Sampling,
        adapters: str | Sequence[str | None] | None = None,
    ) -> list[Generated]:
        self.calls.append(([prompt[-1]["content"] for prompt in prompts], sampling))
        owners = [adapters] * len(prompts) if adapters is None or isinstance(adapters, str) else list(adapters)
        return [self._answer(prompt[-1]["content"], owner) for prompt, owner in zip(prompts, owners, strict=True)]

    def _answer(self, question: str, owner: str | None) -> Generated:
        left, right = int(question.split()[0]), int(question.split()[2])
        again = "Earlier" in question
        value = left + right + (0 if again and owner == "good" else 1)
        return Generated(f"<solution> {value} </solution>", 4, truncated=False)


def test_both_passes_are_judged_and_kept_and_the_second_counts() -> None:
    task, engine = Sums({}), Engine()
    examples = task.examples("train", 3)
    sampling = Sampling(8, 1.0, seed=4)
    base, good = evaluate_all(engine, task, examples, sampling, adapters=[None, "good"], second_turn="look")
    (first, _), (second, drawn) = engine.calls
    assert second == [
        f"{question}\nEarlier: <solution> {i % 3 + 1} </solution>\nlook" for i, question in enumerate(first)
    ]
    assert drawn.seed != sampling.seed
    assert drawn.draws_period == 3
    assert [item.id for item in good] == [example.id for example in examples]
    assert [item.correct for item in good] == [True] * 3
    assert [item.earlier.correct for item in good if item.earlier] == [False] * 3
    assert [item.correct for item in base] == [False] * 3
    assert evaluate(engine, task, examples, sampling, adapter="good", second_turn="look") == good
    assert all(item.earlier is None for item in evaluate(engine, task, examples, sampling, adapter="good"))
    assert Prediction.model_validate_json(good[0].model_dump_json()) == good[0]


def test_figures_count_what_became_of_each_answer() -> None:
    first = [True] * 20 + [False] * 30
    second = [True] * 16 + [False] * 4 + [True] * 11 + [False] * 19
    figures = figures_of(first, second)
    for estimate, hits in zip(
        (figures.first, figures.second, figures.corrected, figures.regressed), (20, 27, 11, 4), strict=True
    ):
        low, high = proportion_confint(hits, 50, method="wilson")
        assert (estimate.value, estimate.n) == (hits / 50, 50)
        assert (estimate.low, estimate.high) == pytest.approx((low, high))
    assert figures.delta.value == pytest.approx(7 / 50)
    assert figures.delta == paired_difference(second, first)
    assert figures.delta.value == pytest.approx(figures.corrected.value - figures.regressed.value)


def test_predictions_of_one_pass_have_no_such_figures() -> None:
    task = Sums({})
    predictions = evaluate(Engine(), task, task.examples("train", 2), Sampling(8))
    assert two_turn_figures([]) is None
    with pytest.raises(ValueError, match="one pass"):
        two_turn_figures(predictions)
