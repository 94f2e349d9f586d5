"""What a reward is: its contract, ensembles of rewards, the sandbox, the gate and the starter library.

import rewards_generated

ensemble = rewards_generated.load("NAME")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rewards_generated.ensemble import Ensemble


def load(source: str | os.PathLike[str]) -> Ensemble:
    """The ensemble of that name, TOML file or folder; see `rewards_generated.ensemble.load`. Raises UserError."""
    from rewards_generated.ensemble import load as load_ensemble

    return load_ensemble(source)
