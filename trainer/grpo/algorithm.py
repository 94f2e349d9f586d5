"""Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300)."""

from __future__ import annotations

from typing import ClassVar

from trainer.algorithms import Algorithm


class Grpo(Algorithm):
    """All of its options are in the settings of GRPO, which every algorithm has."""

    name: ClassVar[str] = "grpo"
