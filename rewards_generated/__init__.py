"""What a reward is: its contract, ensembles of rewards, the sandbox, the gate and the starter library.

    ensemble = rewards_generated.load("NAME")
    ensemble(prompt, completion, answer)

Everything is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewards_generated.lazy import lazy_exports

if TYPE_CHECKING:
    from rewards_generated.ensemble import Ensemble, Member, load
    from rewards_generated.errors import UserError
    from rewards_generated.rollout import Sample
    from rewards_generated.scorer import EnsembleScorer, EnsembleScores

__all__ = ["Ensemble", "EnsembleScorer", "EnsembleScores", "Member", "Sample", "UserError", "load"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        **dict.fromkeys(("Ensemble", "Member", "load"), "rewards_generated.ensemble"),
        **dict.fromkeys(("EnsembleScorer", "EnsembleScores"), "rewards_generated.scorer"),
        "Sample": "rewards_generated.rollout",
        "UserError": "rewards_generated.errors",
    },
)
