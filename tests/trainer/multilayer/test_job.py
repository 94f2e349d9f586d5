"""Jobs with two layers: what they are told apart by, what they refuse, and one from its folder to its result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.second_turn import second_question
from eval.two_turn_figures import two_turn_figures
from rewards_generated.ensemble import Member
from rewards_generated.errors import UserError
from tests.trainer.tiny import TASK, train_job, write_policy
from trainer.grpo.single import check
from trainer.jobs.evaluate import EvaluationJob
from trainer.jobs.folder import write_atomically
from trainer.jobs.pack import PackJob, PackResult
from trainer.jobs.process import run
from trainer.jobs.train import EvaluationRequest, TrainResult
from trainer.multilayer.settings import MultilayerSettings

SEES_THE_RESPONSE = '''
def reward(prompt: str, completion: str, answer: str) -> float:
    """Pays for a second look."""
    return 1.0 if "Earlier:" in prompt and prompt.endswith("again ?") else 0.0
'''


def test_jobs_without_a_second_layer_have_the_digests_that_they_had_before_there_was_one() -> None:
    policy = Path("/policy")
    one_pass = EvaluationRequest(split="validation", limit=4, max_completion_tokens=12)
    plain = train_job(policy)
    assert plain.digest == "6ea5b93374b31bb225fbff8b4e472fbaec8da6de564732bfa018ed76a14d79cc"
    evaluated = train_job(policy, evaluation=one_pass)
    assert evaluated.digest == "61d9d9751763f16c8c77606c707efd5bf6761e4266ecefb8c563799253317504"
    fields: dict[str, Any] = {"label": "x", "base_model": "/policy", "task": TASK, "split": "test", "limit": 3}
    evaluation = EvaluationJob(**fields, max_completion_tokens=12)
    assert evaluation.digest == "14fa9210c61185b7dc0bc4e1b53c0ef46a95d00cf3a2586f604c74e5b95b7ce6"
    digests = [
        plain.digest,
        evaluated.digest,
        evaluation.digest,
        EvaluationJob(**fields, max_completion_tokens=12, second_turn="look").digest,
        train_job(policy, evaluation=one_pass.model_copy(update={"second_turn": "look"})).digest,
        train_job(policy, algorithm="multilayer", multilayer={}).digest,
        train_job(policy, algorithm="multilayer", multilayer={"corrections": 4}).digest,
    ]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("fields", [{"algorithm": "multilayer"}, {"multilayer": {}}], ids=str)
def test_the_algorithm_and_its_settings_come_together(fields: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="give both or neither"):
        train_job(Path("/policy"), **fields)


@pytest.mark.parametrize(
    ("grpo", "settings", "sentence"),
    [
        ({}, {"corrections": 1}, "groups of one completion"),
        ({"completions_per_forward": 2}, {"corrections": 3, "responses": 1}, "6 completions of the second layer"),
        ({"prompts_per_step": 1}, {"control": "random_response"}, "prompts_per_step >= 2"),
    ],
    ids=["no group", "micro-batches", "control"],
)
def test_settings_that_do_not_fit_are_named(grpo: dict[str, Any], settings: dict[str, Any], sentence: str) -> None:
    job = train_job(Path("/policy"), algorithm="multilayer", multilayer=settings, grpo=grpo)
    with pytest.raises(UserError, match=sentence):
        check(job)


def test_completions_of_a_run_are_counted_by_layer() -> None:
    joint = MultilayerSettings(corrections=4, responses=1)
    assert joint.completions_of_run(10, prompts=8, generations=4) == 10 * (32 + 32)
    assert joint.steps_of_as_many_completions(10, prompts=8, generations=4) == 20
    turns = MultilayerSettings(corrections=2, updates="alternating")
    assert [turns.trains(step) for step in (1, 2, 3)] == [(1,), (2,), (1,)]
    assert turns.completions_of_run(3, prompts=2, generations=3) == 2 * 6 + 12
    assert turns.prompt_batches(5) == [0, 0, 1, 1, 2]
    assert MultilayerSettings(corrections=0, updates="alternating").prompt_batches(3) == [0, 1, 2]


def test_a_job_alone_and_in_a_pack_gives_curves_and_predictions_of_both_layers(tmp_path: Path) -> None:
    base = write_policy(tmp_path / "policy")
    job = train_job(
        base,
        Member(name="format_approximate"),
        Member(name="second", code=SEES_THE_RESPONSE),
        algorithm="multilayer",
        multilayer={"corrections": 2, "responses": 3, "phrase": "again ?"},
        evaluation=EvaluationRequest(split="validation", limit=6, max_completion_tokens=12, second_turn="again ?"),
        grpo={"steps": 2},
    )
    folder = tmp_path / "alone"
    folder.mkdir()
    write_atomically(folder / "job.json", job)
    result = run(folder)
    assert isinstance(result, TrainResult)
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

    folder = tmp_path / "pack"
    folder.mkdir()
    write_atomically(folder / "job.json", PackJob(label="pack", members=(job,)))
    packed = run(folder)
    assert isinstance(packed, PackResult)
    [member] = packed.members
    assert [item.completion for item in member.predictions] == [item.completion for item in result.predictions]
    assert [entry["layer2"]["accuracy"] for entry in member.curves] == [
        entry["layer2"]["accuracy"] for entry in result.curves
    ]
    shown = next(sample for sample in member.samples if "Earlier:" in sample.prompt)
    question, _, response = shown.prompt.partition("\nEarlier: ")
    assert shown.prompt == second_question(question, response.removesuffix("\nagain ?"), "again ?")
