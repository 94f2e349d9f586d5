"""Jobs with two layers: what they are told apart by, what they refuse, and one from its folder to its result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.second_turn import second_question
from eval.two_turn_figures import two_turn_figures
from rewards_generated.ensemble import Member
from rewards_generated.errors import UserError
from tests.trainer.tiny import trained, training_run, write_policy
from trainer.algorithms import algorithm_of
from trainer.grpo.arguments import check
from trainer.jobs.settings import AlgorithmSettings, GrpoSettings
from trainer.jobs.train import EvaluationRequest
from trainer.multilayer.algorithm import Multilayer

SEES_THE_RESPONSE = '''
def reward(prompt: str, completion: str, answer: str) -> float:
    """Pays for a second look."""
    return 1.0 if "Earlier:" in prompt and prompt.endswith("again ?") else 0.0
'''


def multilayer(**options: Any) -> dict[str, Any]:
    return {"name": "multilayer", "options": options}


def test_algorithm_and_second_turn_are_part_of_the_digest() -> None:
    policy = Path("/policy")
    one_turn = EvaluationRequest(split="validation", limit=4, max_completion_tokens=12)
    digests = [
        training_run(policy).digest,
        training_run(policy, evaluation=one_turn).digest,
        training_run(policy, evaluation=one_turn.model_copy(update={"second_turn": "look"})).digest,
        training_run(policy, algorithm="multilayer").digest,
        training_run(policy, algorithm=multilayer(corrections=4)).digest,
    ]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    ("algorithm", "sentence"),
    [
        ({"name": "multilayr"}, "'multilayr' is not a known algorithm"),
        (multilayer(correction=4), r"`algorithm\.options\.correction` is unknown.*corrections"),
        (multilayer(select="some"), r"`algorithm\.options\.select` = 'some'"),
        ({"name": "grpo", "options": {"corrections": 2}}, r"`algorithm\.options\.corrections` is unknown"),
    ],
    ids=["name", "option", "value", "of another"],
)
def test_an_unknown_algorithm_or_option_is_named(algorithm: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        algorithm_of(AlgorithmSettings.model_validate(algorithm))


@pytest.mark.parametrize(
    ("grpo", "settings", "sentence"),
    [
        ({}, {"corrections": 1}, "groups of one completion"),
        ({"completions_per_forward": 2}, {"corrections": 3, "responses": 1}, "6 completions of the second layer"),
        ({"prompts_per_step": 1}, {"control": "random_response"}, "prompts_per_step >= 2"),
        ({"generations": 4}, {"select": "best", "responses": 4}, "'best' chooses among the 4 responses"),
    ],
    ids=["no group", "micro-batches", "control", "best of all"],
)
def test_settings_that_do_not_fit_are_named(grpo: dict[str, Any], settings: dict[str, Any], sentence: str) -> None:
    job = training_run(Path("/policy"), algorithm=multilayer(**settings), grpo=grpo)
    with pytest.raises(UserError, match=sentence):
        check(job)


def test_completions_of_a_run_are_counted_by_layer() -> None:
    def grpo(steps: int, prompts: int, generations: int) -> GrpoSettings:
        return GrpoSettings(
            steps=steps,
            prompts_per_step=prompts,
            generations=generations,
            max_completion_tokens=9,
            learning_rate=0.1,
        )

    joint = Multilayer(corrections=4, responses=1)
    assert joint.completions(grpo(10, 8, 4), 10) == 10 * (32 + 32)
    assert joint.steps_of_as_many_completions(grpo(10, 8, 4)) == 20
    turns = Multilayer(corrections=2, updates="alternating")
    assert [turns.trains(step) for step in (1, 2, 3)] == [(1,), (2,), (1,)]
    assert turns.completions(grpo(3, 2, 3), 3) == 2 * 6 + 12
    assert turns.prompt_batches(5) == [0, 0, 1, 1, 2]
    assert Multilayer(corrections=0, updates="alternating").prompt_batches(3) == [0, 1, 2]


def test_a_job_gives_curves_and_predictions_of_both_layers(tmp_path: Path) -> None:
    base = write_policy(tmp_path / "policy")
    job = training_run(
        base,
        Member(name="format_approximate"),
        Member(name="second", code=SEES_THE_RESPONSE),
        algorithm=multilayer(corrections=2, responses=3, phrase="again ?"),
        evaluation=EvaluationRequest(split="validation", limit=6, max_completion_tokens=12, second_turn="again ?"),
        grpo={"steps": 2},
    )
    result = trained(job, tmp_path / "alone")
    assert result.failure is None
    assert [entry["layers"] for entry in result.curves] == [[1, 2], [1, 2]]
    for entry in result.curves:
        assert entry["rewards"]["second"]["firing_rate"] == 0
        assert entry["layer2"]["rewards"]["second"]["firing_rate"] == 1
        assert entry["layer2"]["completions"] == 12
        assert {"accuracy", "completion_tokens", "truncated", "groups_without_spread"} <= entry["layer2"].keys()
    counted = {item.name: item for item in result.rewards}
    assert counted["second"].calls == 2 * (8 + 12)
    assert counted["second"].firing_rate == pytest.approx(12 / 20)
    assert {"Earlier:" in sample.prompt for sample in result.samples} == {True, False}
    assert all(item.earlier is not None for item in result.predictions)
    figures = two_turn_figures(result.predictions)
    assert figures is not None
    assert figures.second.n == 6

    shown = next(sample for sample in result.samples if "Earlier:" in sample.prompt)
    question, _, response = shown.prompt.partition("\nEarlier: ")
    assert shown.prompt == second_question(question, response.removesuffix("\nagain ?"), "again ?")
