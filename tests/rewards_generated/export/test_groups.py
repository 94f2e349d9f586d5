"""Exports with members that see whole groups: scores equal ours where a host passes groups, refusals elsewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rewards_generated.ensemble import Aggregation, Ensemble, Member
from rewards_generated.rollout import Sample
from rewards_generated.schedule import Schedule
from rewards_generated.scorer import EnsembleScorer
from tests.rewards_generated.export.hosts import load as module_of
from tests.rewards_generated.export.test_scores import GROUP_SIZE, elsewhere, export, ours, samples
from tests.rewards_generated.group_rewards import AGREEMENT, SHORTER, STEPS

MEMBERS = (
    Member(name="answer_check"),
    Member(name="shorter", code=SHORTER, weight=0.5, mean=0.3, std=2.0),
    Member(name="agreement", code=AGREEMENT, mean=0.1, std=0.5),
)
ONE_AT_A_TIME = (
    "compute_score",
    "compute_member_scores",
    "reward_func",
    "verifiers_reward",
    "slime_reward",
    "areal_reward",
)


def grouped(aggregation: Aggregation = "sum", *further: Member) -> Ensemble:
    first = MEMBERS[0].model_copy(update={"mean": 0.0, "std": 1.0})
    return Ensemble(name="grouped", members=(first, *MEMBERS[1:], *further), aggregation=aggregation)


def columns(chosen: list[Sample]) -> dict[str, list[Any]]:
    return {
        "prompts": [sample.prompt for sample in chosen],
        "completions": [sample.completion for sample in chosen],
        "answers": [sample.answer for sample in chosen],
    }


def trl(module: ModuleType, chosen: list[Sample], generations: int | None = None) -> list[list[float | None]]:
    rows = columns(chosen)
    return [
        function(rows["prompts"], rows["completions"], answer=rows["answers"])
        for function in module.trl_reward_functions(generations=generations)
    ]


@pytest.mark.parametrize("aggregation", ["sum", "zscore", "group_normalised"])
def test_hosts_that_pass_groups_get_our_scores_and_others_a_sentence(aggregation: Aggregation, tmp_path: Path) -> None:
    ensemble = grouped(aggregation)
    expected = ours(ensemble)
    folder = export(ensemble, tmp_path / "exported")
    found = elsewhere(folder, tmp_path)
    assert found["loaded"] == found["importable"] == []
    for host in ("score", "verifiers"):
        assert found[host] == pytest.approx(expected, abs=1e-6), host
    said = "'shorter', 'agreement' of ensemble 'grouped' needs all completions of a prompt together"
    for host in ("verl", "openrlhf", "verifiers, v1"):
        assert said in found[host]
    module = module_of(folder / "reward.py")
    for name in ONE_AT_A_TIME:
        with pytest.raises(module.UnsuitableHost, match="is given one at a time"):
            getattr(module, name)


def test_trl_gets_our_scores_with_groups_cut_from_the_rows_of_a_prompt(tmp_path: Path) -> None:
    """Two groups of these are of one prompt."""
    ensemble = grouped()
    module = module_of(export(ensemble, tmp_path / "exported") / "reward.py")
    [totals] = trl(module, samples(), GROUP_SIZE)
    assert totals == pytest.approx(ours(ensemble), abs=1e-9)
    apart = module_of(export(grouped("group_normalised"), tmp_path / "apart") / "reward.py")
    groups = [place // GROUP_SIZE for place in range(len(samples()))]
    with EnsembleScorer(ensemble) as scorer:
        components = scorer.score(samples(), groups).components
    assert trl(apart, samples(), GROUP_SIZE) == [pytest.approx(row) for row in components.values()]


def test_trl_without_the_size_takes_all_rows_of_a_prompt_for_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = module_of(export(grouped(), tmp_path / "exported") / "reward.py")
    with EnsembleScorer(grouped()) as scorer:
        by_prompt = scorer.score(samples(), [sample.prompt for sample in samples()]).totals
    assert trl(module, samples()) == [pytest.approx(by_prompt)]
    with pytest.raises(module.UnsuitableHost, match="TRL passed 3 completions of a prompt where groups have 4"):
        trl(module, samples()[:3], GROUP_SIZE)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(module.UnsuitableHost, match="generations=num_generations"):
        trl(module, samples())
    assert trl(module, samples()[:4], GROUP_SIZE)[0] == pytest.approx(ours(grouped())[:4])


def test_slime_passes_groups(tmp_path: Path) -> None:
    module = module_of(export(grouped(), tmp_path / "exported") / "reward.py")
    group = [SimpleNamespace(prompt=s.prompt, response=s.completion, label=s.answer) for s in samples()[:GROUP_SIZE]]
    found = asyncio.run(module.slime_group_reward(None, group))
    assert found == pytest.approx(ours(grouped())[:GROUP_SIZE])


def test_what_a_member_cannot_score_is_counted_per_completion(tmp_path: Path) -> None:
    raising = "def reward(prompt, group, answer):\n    return [len(t) / 0 if 'b' in t else 1.0 for t in group]\n"
    short = "def reward(prompt, group, answer):\n    return [1.0] if 'b' in group else [None, 2.0]\n"
    members = (Member(name="raising", code=raising), Member(name="short", code=short))
    module = module_of(export(Ensemble(name="e", members=members), tmp_path / "exported") / "reward.py")
    rows = columns([Sample("p", "a", ""), Sample("p", "c", ""), Sample("q", "b", ""), Sample("q", "c", "")])
    assert module.score(**rows, groups=[0, 0, 1, 1]) == [None, 3.0, None, None]
    assert module.failures == {"raising": 2, "short": 3}
    with pytest.raises(module.UnsuitableHost, match="give the group of every completion"):
        module.score(**rows)
    with pytest.raises(module.UnsuitableHost, match="different prompts, gold answers or worked"):
        module.score(**rows, groups=[0] * 4)


def test_with_a_schedule_only_trl_is_left(tmp_path: Path) -> None:
    fading = MEMBERS[1].model_copy(update={"name": "fading", "schedule": Schedule(kind="linear", to=0.0)})
    module = module_of(export(grouped("sum", fading), tmp_path / "exported") / "reward.py")
    with pytest.raises(module.UnsuitableHost, match="has a schedule"):
        module.verifiers_group_reward  # noqa: B018
    rows = columns(samples()[:GROUP_SIZE])
    (function,) = module.trl_reward_functions(generations=GROUP_SIZE)
    state = SimpleNamespace(global_step=1, max_steps=4)
    found = function(rows["prompts"], rows["completions"], trainer_state=state, answer=rows["answers"])
    with EnsembleScorer(grouped("sum", fading)) as scorer:
        assert found == pytest.approx(scorer.score(samples()[:GROUP_SIZE], [0] * GROUP_SIZE, 0.25).totals)


def test_the_card_says_who_passes_groups(tmp_path: Path) -> None:
    card = (export(grouped(), tmp_path / "exported") / "README.md").read_text()
    assert "`shorter`, `agreement`: called with all completions of a prompt together" in card
    assert "trl_reward_functions(generations=8)" in card
    assert "pass one completion at a time:\nrefused" in card
    assert "compute_score" not in card


def test_groups_that_ask_for_worked_solutions_get_them_where_groups_are_passed(tmp_path: Path) -> None:
    ensemble = Ensemble(name="mine", members=(Member(name="steps", code=STEPS),))
    module = module_of(export(ensemble, tmp_path / "exported") / "reward.py")
    worked, texts = "1 + 1 = 2", ["<solution> 2 </solution>", "1 + 1 = 2 <solution> 2 </solution>"]
    rows: list[list[Any]] = [["p"] * 4, texts * 2, ["2"] * 4]
    (function,) = module.trl_reward_functions(generations=2)
    assert function(*rows[:2], answer=rows[2], worked_solution=[worked] * 2 + [None] * 2) == [0.5, 1.0, 1.0, 1.0]
    assert module.score(*rows, [0, 0, 1, 1], worked_solutions=[worked] * 2 + [None] * 2) == [0.5, 1.0, 1.0, 1.0]
    has = {"worked_solution": worked}
    assert module.verifiers_group_reward(["p"] * 2, texts, ["2"] * 2, [has] * 2) == [0.5, 1.0]
    slime = [SimpleNamespace(prompt="p", response=text, label="2", metadata=has) for text in texts]
    assert asyncio.run(module.slime_group_reward(None, slime)) == [0.5, 1.0]
    with pytest.raises(module.UnsuitableHost, match="'steps' of ensemble 'mine' asks for the worked solution"):
        function(*rows[:2], answer=rows[2])
    with pytest.raises(module.UnsuitableHost, match="different prompts, gold answers or worked solutions"):
        module.score(*rows, [0] * 4, worked_solutions=[worked] * 2 + [None] * 2)
    with pytest.raises(module.UnsuitableHost, match="needs all completions of a prompt together"):
        _ = module.reward_func
    card = (tmp_path / "exported" / "README.md").read_text()
    assert "a column of the dataset for TRL, in slime's `sample.metadata`, in verifiers' `info`." in card
