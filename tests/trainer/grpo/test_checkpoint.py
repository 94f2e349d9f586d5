"""A checkpoint comes back as it was, without unpickling; one that is damaged counts for none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainer.grpo.checkpoint import STATE_FILE, TENSORS_FILE, Checkpoint, packed, unpacked


def test_values_come_back_as_they_were() -> None:
    state = {
        1: {"step": torch.tensor(3.0), "moment": torch.ones(2, 3, dtype=torch.bfloat16)},
        "random": (3, tuple(range(5)), None, {"key": np.arange(4, dtype=np.uint32)}),
        "loss": [1e-300, float("inf"), 0.1, True, None, "NaN"],
    }
    tensors: dict[str, torch.Tensor] = {}
    found = unpacked(json.loads(json.dumps(packed(state, tensors))), tensors)
    assert found[1]["moment"].dtype == torch.bfloat16
    assert torch.equal(found[1]["moment"], state[1]["moment"])  # type: ignore[call-overload]
    assert found[1]["step"].shape == ()
    assert found["random"][:3] == state["random"][:3]
    assert found["random"][3]["key"].tolist() == [0, 1, 2, 3]
    assert found["loss"] == state["loss"]


class TrainerState:
    def save_to_json(self, path: str) -> None:
        Path(path).write_text("{}", encoding="utf-8")


@pytest.mark.parametrize("damage", ["flipped", "truncated", "gone", "plain part cut"])
def test_a_damaged_checkpoint_is_none(tmp_path: Path, damage: str) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    state: dict[str, Any] = {"adapters": [torch.arange(100.0)], "kept": {"members": ["a"]}}
    checkpoint.write(TrainerState(), state)
    assert checkpoint.exists
    assert torch.equal(checkpoint.read()["adapters"][0], state["adapters"][0])
    tensors, plain = tmp_path / "checkpoint" / TENSORS_FILE, tmp_path / "checkpoint" / STATE_FILE
    content = bytearray(tensors.read_bytes())
    if damage == "flipped":
        content[-7] ^= 1
        tensors.write_bytes(content)
    elif damage == "truncated":
        tensors.write_bytes(content[:-4])
    elif damage == "gone":
        tensors.unlink()
    else:
        plain.write_text(plain.read_text(encoding="utf-8")[:30], encoding="utf-8")
    assert not checkpoint.exists
