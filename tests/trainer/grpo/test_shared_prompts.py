"""Prompts that are read once, on the model classes that people train, against whole rows read one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from trl.trainer.utils import add_fused_lm_head

from tests.eval.engines.test_model_classes import CLASSES, FAST, random_model
from trainer.grpo.frozen_head import has_frozen_head
from trainer.grpo.shared_prompts import can_share_prompts, logps_and_entropies

WIDTH, KEPT, ROWS, TEMPERATURE = 19, 12, 6, 0.7


def model_of(name: str, **changes: Any) -> Any:
    model = random_model(name, **changes)
    add_fused_lm_head(model, temperature=TEMPERATURE, outputs=("log_probs", "entropy"))
    return model


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    """Three prompts of different lengths for two rows each; completions of 1 to `KEPT` tokens, and an empty one."""
    torch.manual_seed(1)
    ids, mask = torch.randint(5, 97, (ROWS, WIDTH)), torch.ones(ROWS, WIDTH, dtype=torch.long)
    prompt = WIDTH - KEPT
    for row, (left, tokens) in enumerate([(0, KEPT), (0, 1), (3, 5), (3, 7), (5, KEPT - 1), (5, 0)]):
        mask[row, :left] = 0
        mask[row, prompt + tokens :] = 0
    ids[1::2, :prompt] = ids[::2, :prompt]
    return ids.masked_fill(mask == 0, 0), mask


def one_by_one(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    logps, entropies = torch.zeros(ROWS, KEPT), torch.zeros(ROWS, KEPT)
    for row in range(ROWS):
        tokens, behind = int(mask[row, -KEPT:].sum()), int(mask[row, :-KEPT].sum())
        own = ids[row][mask[row] == 1]
        every = torch.log_softmax(model(input_ids=own[None]).logits[0] / TEMPERATURE, dim=-1)[behind - 1 : -1]
        logps[row, :tokens] = every.gather(1, own[behind:, None])[:, 0]
        entropies[row, :tokens] = -(every.exp() * every).sum(-1)
    return logps, entropies


def gradients(model: Any, logps: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    (logps * torch.linspace(-1, 1, KEPT)).sum().backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize(("tiled", "frozen"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in CLASSES]
)
def test_figures_and_gradients_are_those_of_whole_rows(name: str, tiled: bool, frozen: bool) -> None:
    windows = {"sliding_window": 64} if "sliding_window" in CLASSES[name][1] else {}
    model = model_of(name, **windows)
    model.get_output_embeddings().weight.requires_grad = not frozen
    assert has_frozen_head(model) == (frozen and name != "phi")  # whose head has a bias
    assert can_share_prompts(model, WIDTH)
    ids, mask = rows()
    found, spread = logps_and_entropies(
        model,
        ids,
        mask,
        KEPT,
        temperature=TEMPERATURE,
        compute_entropy=True,
        chunks=[torch.tensor([5, 1, 2]), torch.tensor([3, 0, 4])],
        tiled=tiled,
    )
    ours = gradients(model, found)
    expected, entropies = one_by_one(model, ids, mask)
    assert torch.allclose(found, expected, atol=1e-4)
    assert spread is not None
    assert torch.allclose(spread, entropies, atol=1e-4)
    theirs = gradients(model, expected)
    assert ours.keys() == theirs.keys()
    for weight, gradient in theirs.items():
        assert torch.allclose(ours[weight], gradient, atol=1e-3 * max(1.0, float(gradient.abs().max()))), weight


@pytest.mark.parametrize("name", ["gemma3", "mistral", "phi3"])
def test_rows_that_are_longer_than_a_window_are_read_whole(name: str) -> None:
    for window, shared in ((WIDTH, False), (WIDTH + 1, True)):
        assert can_share_prompts(model_of(name, sliding_window=window), WIDTH) == shared
