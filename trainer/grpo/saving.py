"""When a run, packed or alone, writes a checkpoint, and which of transformers' checkpoints is the newest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

CHECKPOINT_SECONDS = 300.0
"""So often at most, at the end of a step, a run writes down where it is."""


def saving_callback(every_seconds: float, stop: int | None = None, clock: Callable[[], float] = time.monotonic) -> Any:
    """A transformers callback that has a checkpoint written at the end of a step, when so much time has passed; and
    after the step `stop`, where it ends the training."""
    from transformers import TrainerCallback

    class Saving(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self._last = clock()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == stop:
                control.should_save = control.should_training_stop = True
            elif clock() - self._last >= every_seconds and state.global_step < state.max_steps:
                control.should_save = True
                self._last = clock()

    return Saving()


def newest(checkpoints: Iterable[Path]) -> Path | None:
    """Of folders named `checkpoint-STEP`, as transformers names them, the one with the most steps."""
    return max(checkpoints, key=lambda path: int(path.name.split("-")[1]), default=None)
