"""Training with rewards that see whole groups: each call has one, packed and alone alike, or the run is refused."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from eval.engines.transformers_engine import TransformersEngine
from eval.tasks.base import Task
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.rollout import Sample
from rewards_generated.schedule import Schedule
from rewards_generated.score import Score
from rewards_generated.scorer import EnsembleScorer
from tests.rewards_generated.export.test_real_trl import require_our_totals
from tests.rewards_generated.export.test_scores import export
from tests.rewards_generated.group_rewards import SHORTER, VARIETY
from tests.trainer.grpo.packs import exact_policy
from tests.trainer.tiny import COUNTS_SO, Sums, trained, training_run, write_policy
from trainer.algorithms import algorithm_of
from trainer.grpo.arguments import check
from trainer.grpo.training import Training
from trainer.jobs.train import EvaluationRequest, TrainingRun, TrainJob

RANKED = '''
"""Pays by rank of length within the group, and for being unlike the others."""

def reward(prompt: str, group: list[str], answer: str) -> list[float]:
    ranks = [sum(len(other) < len(text) for other in group) for text in group]
    return [rank / len(group) + 0.5 / group.count(text) for rank, text in zip(ranks, group)]
'''


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp("policy"))


def group_run(base: Path, label: str, *members: Member, **changes: Any) -> TrainingRun:
    members = (Member(name="format_approximate"), *members)
    return training_run(base, ensemble=Ensemble(name=label, members=members), label=label, **changes)


def trainings(base: Path, folder: Path, runs: Sequence[TrainingRun], task: Task) -> Training:
    """In float64, with the rewards in the sandbox."""
    policy = exact_policy(base)
    scorings = [algorithm_of(run.algorithm).scoring(run, EnsembleScorer(run.ensemble), task) for run in runs]
    return Training(TrainJob.of(*runs, label="pack"), policy, TransformersEngine(policy), task, scorings, folder)


def require_equal_results(base: Path, folder: Path, runs: Sequence[TrainingRun], task: Task) -> Training:
    """Of the runs in one pack and of each by itself."""
    pack = trainings(base, folder, runs, task)
    pack.train()
    assert pack.failures == {}
    for place, run in enumerate(runs):
        alone = trainings(base, folder, [run], task)
        alone.train()
        for name, weight in alone.tuned.state(0).items():
            assert torch.allclose(pack.tuned.state(place)[name], weight, rtol=0, atol=1e-12), (run.label, name)
        for mine, theirs in zip(pack.curves(place), alone.curves(0), strict=True):
            assert mine["rewards"] == theirs["rewards"]
    return pack


@pytest.mark.parametrize(
    "changes", [{}, pytest.param({"completions_per_forward": 2}, marks=pytest.mark.slow)], ids=["whole", "accumulated"]
)
def test_a_pack_gives_what_runs_by_themselves_give(base: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    fading = Member(name="ranked", code=RANKED, schedule=Schedule(kind="switch", to=0.0, at=0.5))
    runs = [
        group_run(base, "groups", Member(name="ranked", code=RANKED), grpo=changes),
        group_run(base, "counts", Member(name="counts", code=COUNTS_SO), grpo=changes),
        group_run(base, "both", fading, Member(name="counts", code=COUNTS_SO), grpo=changes, seed=4),
    ]
    pack = require_equal_results(base, tmp_path, runs, Sums({}))
    for step in pack.curves(0):
        assert step["rewards"]["ranked"]["failures"] == 0
        assert 0 < step["rewards"]["ranked"]["mean"] < 1.5
    [statistics] = [item for item in pack.scoring.scorings[0].statistics() if item.name == "ranked"]
    assert statistics.calls == 3 * runs[0].grpo.completions


class Seen:
    """Keeps what a reward of whole groups was given."""

    def __init__(self) -> None:
        self.groups: list[list[Sample]] = []

    def score(self, samples: Sequence[Sample], groups: Sequence[Hashable] | None = None) -> list[Score]:
        assert groups is not None
        self.groups += [
            [sample for sample, own in zip(samples, groups, strict=True) if own == group]
            for group in dict.fromkeys(groups)
        ]
        return [Score(float(len(sample.completion))) for sample in samples]

    def close(self) -> None: ...


def test_the_second_layer_has_groups_of_one_prompt(base: Path, tmp_path: Path) -> None:
    algorithm = {"name": "multilayer", "options": {"corrections": 3, "responses": 2}}
    run = group_run(base, "layers", Member(name="ranked", code=RANKED), algorithm=algorithm)
    seen = Seen()
    scorer = EnsembleScorer(run.ensemble, worker=lambda code, settings: seen)
    policy = exact_policy(base)
    scorings = [algorithm_of(run.algorithm).scoring(run, scorer, Sums({}))]
    Training(TrainJob.of(run), policy, TransformersEngine(policy), Sums({}), scorings, tmp_path).train()
    second = [group for group in seen.groups if "Earlier:" in group[0].prompt]
    assert [len(group) for group in second] == [3] * (3 * 2 * 2)
    assert len(seen.groups) - len(second) == 3 * 2
    assert all(len({(sample.prompt, sample.answer) for sample in group}) == 1 for group in seen.groups)


def test_runs_that_would_divide_or_mix_groups_are_refused(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_question = {"name": "multilayer", "options": {"group": "question"}}
    ranked = Member(name="ranked", code=RANKED)
    with pytest.raises(UserError, match=r"'ranked' sees all completions of one prompt.*use 'question\+response'"):
        check(group_run(base, "mixed", ranked, algorithm=by_question))
    check(group_run(base, "no groups", Member(name="counts", code=COUNTS_SO), algorithm=by_question))
    check(group_run(base, "one process", ranked))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="the 2 processes of this run"):
        check(group_run(base, "several", ranked))


def test_every_run_of_a_pack_is_checked(base: Path, tmp_path: Path) -> None:
    by_question = {"name": "multilayer", "options": {"group": "question"}}
    runs = [
        group_run(base, "plain", Member(name="counts", code=COUNTS_SO), algorithm=by_question),
        group_run(base, "mixed", Member(name="ranked", code=RANKED), algorithm=by_question),
    ]
    with pytest.raises(UserError, match="'ranked' sees all completions of one prompt"):
        trainings(base, tmp_path, runs, Sums({}))


@pytest.mark.slow
def test_the_testbed_trains_with_rewards_of_whole_groups(tmp_path: Path) -> None:
    """From the base policy to a score; packed and alone the same in float64; and TRL with the export."""
    from eval.tasks.base import TaskReference
    from eval.tasks.registry import build_task
    from trainer.policy import base_model_source

    reference = TaskReference(name="testbed", options={"train": 40, "validation": 40, "test": 40})
    policy, task = Path(base_model_source("testbed")), build_task(reference)
    members = (Member(name="variety", code=VARIETY), Member(name="shorter", code=SHORTER, weight=0.5))
    settings: dict[str, Any] = {
        "task": reference,
        "grpo": {"steps": 3, "generations": 4, "max_completion_tokens": 48, "learning_rate": 1e-3},
    }
    runs = [
        group_run(policy, "groups", *members, **settings),
        group_run(policy, "answers", Member(name="answer_check"), **settings),
    ]
    pack = require_equal_results(policy, tmp_path / "exact", runs, task)
    assert {step["rewards"]["variety"]["failures"] for step in pack.curves(0)} == {0}
    assert any(step["rewards"]["shorter"]["std"] > 0 for step in pack.curves(0))

    asked = EvaluationRequest(split="validation", limit=20, max_completion_tokens=48, batch_size=20)
    result = trained(runs[0].model_copy(update={"evaluation": asked}), tmp_path / "job")
    assert len(result.predictions) == 20
    assert [reward.failures for reward in result.rewards] == [0, 0, 0]

    folder = export(runs[0].ensemble, tmp_path / "exported")
    require_our_totals(folder, policy, tmp_path, task.examples("train", 20), tokens=48)
