"""What may be packed, and what a pack's digest stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rewards_generated.errors import UserError
from tests.trainer.grpo.packs import member_job
from trainer.jobs.pack import PackJob
from trainer.jobs.train import TrainJob

BASE = Path("/nowhere")


def job(name: str = "one", **changes: Any) -> TrainJob:
    return member_job(BASE, name, **changes)


def pack(*members: TrainJob) -> PackJob:
    return PackJob(label="pack", members=members)


def test_members_may_differ_in_reward_label_and_seed() -> None:
    assert len(pack(job("one"), job("two", seed=4), job("two", seed=5)).members) == 3


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ((job("one"), job("two", grpo={"steps": 9})), "differ in `grpo`"),
        ((job("one"), job("two", hardware={"device": "cpu", "threads": 2})), "differ in `hardware`"),
        ((job("one"), job("one", label="again")), "are the same job"),
        ((job(tuning="full"),), "tuning = 'full' cannot be packed"),
        ((job(lora={"dropout": 0.1}),), r"lora.dropout = 0.1 cannot be packed"),
        ((job(grpo={"optimizer": "adamw_8bit"}),), "'adamw_8bit' cannot be packed"),
        ((job(grpo={"loss": "bnpo", "completions_per_forward": 4}),), "'bnpo' cannot be packed"),
    ],
)
def test_what_cannot_train_together_is_named(members: tuple[TrainJob, ...], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        pack(*members)


def test_the_digest_names_the_members_and_their_order() -> None:
    one, two = job("one"), job("two")
    assert pack(one, two).digest == PackJob(label="other", members=(one, two)).digest
    assert len({pack(one, two).digest, pack(two, one).digest, pack(one).digest, one.digest}) == 4


def test_the_digest_names_the_stop_and_where_members_come_from() -> None:
    one, two = job("one", grpo={"steps": 5}), job("two", grpo={"steps": 5})
    origins = [{}, {"origins": ("a", "b")}, {"origins": ("b", "a")}]
    packs = [
        PackJob(label="pack", members=(one, two), stop=stop, **origin) for stop in (None, 1, 2) for origin in origins
    ]
    assert len({pack.digest for pack in packs}) == 9


@pytest.mark.parametrize("stop", [0, 3, 4])
def test_a_pack_stops_within_its_members_steps(stop: int) -> None:
    with pytest.raises(UserError, match=f"stop = {stop} of a pack is not below the 3 steps of its members"):
        PackJob(label="pack", members=(job("one"),), stop=stop)


def test_every_member_has_an_origin_or_none_has() -> None:
    with pytest.raises(UserError, match="2 members of a pack have 1 origins"):
        PackJob(label="pack", members=(job("one"), job("two")), origins=("a",))


def test_a_pack_survives_json() -> None:
    original = pack(job("one"), job("two", seed=3))
    assert PackJob.model_validate_json(original.model_dump_json()) == original
