"""What may be packed, and what a pack's digest stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rewards_generated.errors import UserError
from tests.trainer.grpo.packs import member_run
from trainer.jobs.train import TrainingRun, TrainJob

BASE = Path("/nowhere")


def job(name: str = "one", **changes: Any) -> TrainingRun:
    return member_run(BASE, name, **changes)


def two(**changes: Any) -> tuple[TrainingRun, TrainingRun]:
    return job("one", **changes), job("two", **changes)


def pack(*members: TrainingRun, **fields: Any) -> TrainJob:
    return TrainJob.of(*members, label="pack", **fields)


def test_members_may_differ_in_reward_label_and_seed() -> None:
    assert len(pack(job("one"), job("two", seed=4), job("two", seed=5)).members) == 3


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ((job("one"), job("two", grpo={"steps": 9})), "differ in `grpo`"),
        ((job("one"), job("two", hardware={"device": "cpu", "threads": 2})), "differ in `hardware`"),
        ((job("one"), job("one", label="again")), "are the same; give"),
        (two(tuning="full"), "tuning = 'full' cannot be packed"),
        (two(lora={"dropout": 0.1}), r"lora.dropout = 0.1 cannot be packed"),
        (two(grpo={"optimizer": "adamw_8bit"}), "'adamw_8bit' cannot be packed"),
        (two(grpo={"loss": "bnpo", "completions_per_forward": 4}), "completions_per_forward cannot be packed"),
    ],
)
def test_what_cannot_train_together_is_named(members: tuple[TrainingRun, ...], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        pack(*members)


def test_the_digest_names_the_members_and_their_order() -> None:
    one, two = job("one"), job("two")
    assert pack(one, two).digest == TrainJob.of(one, two, label="other").digest
    assert len({pack(one, two).digest, pack(two, one).digest, pack(one).digest, one.digest}) == 4


def test_the_digest_names_the_stop_and_where_members_come_from() -> None:
    one, two = job("one", grpo={"steps": 5}), job("two", grpo={"steps": 5})
    origins = [{}, {"origins": ("a", "b")}, {"origins": ("b", "a")}]
    packs = [pack(one, two, stop=stop, **origin) for stop in (None, 1, 2) for origin in origins]
    assert len({pack.digest for pack in packs}) == 9


@pytest.mark.parametrize("stop", [0, 3, 4])
def test_a_pack_stops_within_its_members_steps(stop: int) -> None:
    with pytest.raises(UserError, match=f"stop = {stop} of a job is not below the 3 steps of its runs"):
        pack(job("one"), stop=stop)


def test_every_member_has_an_origin_or_none_has() -> None:
    with pytest.raises(UserError, match="2 runs of a job have 1 origins"):
        pack(job("one"), job("two"), origins=("a",))


def test_a_pack_survives_json() -> None:
    original = pack(job("one"), job("two", seed=3))
    assert TrainJob.model_validate_json(original.model_dump_json()) == original


@pytest.mark.parametrize(
    "changes", [{"tuning": "full"}, {"lora": {"dropout": 0.1}}, {"grpo": {"optimizer": "adamw_8bit"}}], ids=str
)
def test_a_run_by_itself_may_do_what_a_pack_may_not(changes: dict[str, Any]) -> None:
    assert pack(job("one", **changes)).runs == 1
