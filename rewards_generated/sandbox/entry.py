"""How the function inside a reward module is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """The name and the calling convention of a reward function.

    `sample`: `f(prompt, completion, answer) -> float`, once per sample. `batch`: the convention of TRL,
    `f(prompts=[...], completions=[...], **columns) -> list[float]`, once per batch; the gold answers are passed under
    each name of `answer_columns` (or only under those that the function accepts), and with `conversational` prompts
    and completions are lists of one chat message.
    """

    name: str = "reward"
    kind: Literal["sample", "batch"] = "sample"
    answer_columns: tuple[str, ...] = ("answer", "answers", "solution", "ground_truth", "target")
    conversational: bool = False
