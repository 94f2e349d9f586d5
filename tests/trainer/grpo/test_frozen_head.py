"""One pass over a vocabulary, in tiles, against all logits at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from trainer.grpo import frozen_head
from trainer.grpo.frozen_head import has_frozen_head, logps_and_entropies_of

TOKENS, WIDTH, VOCABULARY, TEMPERATURE = 7, 12, 50, 0.8


def at_once(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    every = torch.log_softmax((hidden.double() @ weight.double().t()) / TEMPERATURE, dim=-1)
    return every.gather(1, targets[:, None])[:, 0], -(every.exp() * every).sum(-1)


@pytest.mark.parametrize("tile", [1, 9, 10, 64])
@pytest.mark.parametrize("size", [1.0, 40.0])
def test_values_and_gradients_are_those_of_all_logits(monkeypatch: pytest.MonkeyPatch, tile: int, size: float) -> None:
    """However it is cut, and where one token has nearly all of the probability."""
    monkeypatch.setattr(frozen_head, "TILE", tile)
    torch.manual_seed(0)
    hidden, weight = size * torch.randn(TOKENS, WIDTH), torch.randn(VOCABULARY, WIDTH)
    targets, by_logps = torch.randint(0, VOCABULARY, (TOKENS,)), torch.randn(TOKENS)
    found, expected = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    logps, entropies = logps_and_entropies_of(found, weight, targets, TEMPERATURE)
    wanted, spread = at_once(expected, weight, targets)
    assert torch.allclose(logps.double(), wanted, rtol=1e-5, atol=1e-4)
    assert torch.allclose(entropies.double(), spread, atol=2e-3)
    assert not entropies.requires_grad
    (logps * by_logps).sum().backward()
    (wanted * by_logps).sum().backward()
    assert found.grad is not None
    assert expected.grad is not None
    assert torch.allclose(found.grad, expected.grad, atol=1e-4)


def test_weights_in_bfloat16_lose_what_their_logits_lose_and_no_more() -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(TOKENS, 64).bfloat16(), (0.2 * torch.randn(20_000, 64)).bfloat16()
    targets = torch.randint(0, 20_000, (TOKENS,))
    states = hidden.clone().requires_grad_()
    logps, _ = logps_and_entropies_of(states, weight, targets, TEMPERATURE)
    logps.sum().backward()
    expected = hidden.clone().requires_grad_()
    wanted, _ = at_once(expected, weight, targets)
    wanted.sum().backward()
    assert torch.allclose(logps.double(), wanted, atol=0.05)
    assert states.grad is not None
    assert expected.grad is not None
    assert states.grad.dtype == torch.bfloat16
    assert torch.allclose(states.grad, expected.grad, atol=0.05)


def test_nothing_to_score_is_scored() -> None:
    logps, entropies = logps_and_entropies_of(
        torch.zeros(0, 4), torch.ones(9, 4), torch.zeros(0, dtype=torch.long), 1.0
    )
    assert logps.shape == entropies.shape == (0,)


SMALL: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


@pytest.mark.parametrize(("kind", "changes"), [("Gemma2", {"head_dim": 8}), ("Cohere", {}), ("Granite", {})])
def test_logits_that_are_scaled_or_capped_are_none_of_its(kind: str, changes: dict[str, Any]) -> None:
    model = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}Config")(**SMALL, **changes))
    model.requires_grad_(False)
    assert not has_frozen_head(model)
