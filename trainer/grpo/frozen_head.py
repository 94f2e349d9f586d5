"""Log-probabilities over a large vocabulary by a head that is not trained, in one pass over it. Imports torch.

The gradient of a token's log-probability by the hidden state h is (w_token - E[w]) / temperature, with the expectation
over the vocabulary, and the entropy is log Z - h E[w] / temperature. E[w] is found beside log Z, tile by tile with a
running maximum, as attention finds its output (arXiv 1805.02867; arXiv 2205.14135, algorithm 1, with the rows w of the
head as keys and as values). So nothing is computed again in the backward pass, and of the logits a tile at a time lies
in memory.
"""

from __future__ import annotations

from typing import Any

import torch

TILE = 8192
"""Tokens of the vocabulary at once."""
SCALING = ("final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling")
"""Fields of configurations by which logits are more than the head's product."""


def has_frozen_head(model: Any) -> bool:
    """Whether the logits of the causal language model are the product of its last hidden states with weights that are
    not trained."""
    head, config = model.get_output_embeddings(), model.config.get_text_config()
    plain = type(head) is torch.nn.Linear and head.bias is None and not head.weight.requires_grad
    return plain and all(getattr(config, name, None) is None for name in SCALING)


def logps_and_entropies_of(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """`hidden`: (tokens, hidden size); `weight`: (vocabulary, hidden size); `targets`: (tokens,). Both results are
    float32, (tokens,); the entropies have no gradient."""
    with torch.no_grad(), torch.autocast(hidden.device.type, enabled=False):
        states = hidden.to(weight.dtype)
        highest = states.new_full((len(states),), -torch.inf, dtype=torch.float32)
        total, weighted = torch.zeros_like(highest), torch.zeros(hidden.shape, device=hidden.device)
        for tile in weight.split(TILE):
            logits = (states @ tile.t()).float().div_(temperature)
            higher = torch.maximum(highest, logits.amax(-1))
            shrink = torch.exp(highest - higher)
            shares = logits.sub_(higher[:, None]).exp_()
            total.mul_(shrink).add_(shares.sum(-1))
            # In float32 whatever the weights are: sums of rounded tiles would drift.
            weighted.mul_(shrink[:, None]).addmm_(shares, tile.float())
            highest = higher
        expected, own, log_total = weighted / total[:, None], weight[targets].float(), highest + total.log()
        logps = (states.float() * own).sum(-1) / temperature - log_total
        entropies = log_total - (states.float() * expected).sum(-1) / temperature
    moved = (hidden - hidden.detach()).float()  # 0, with the gradient of the hidden states
    return logps + (moved * (own - expected) / temperature).sum(-1), entropies
