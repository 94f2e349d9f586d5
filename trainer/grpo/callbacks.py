"""What happens at the end of a step beside training: checkpoints, the count of steps, the engine's new weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.jobs.folder import STEPS_FILE

CHECKPOINT_SECONDS = 300.0
"""So often at most, at the end of a step, a run writes down where it is."""


def step_end_callback(
    folder: Path, refresh: Callable[[], None], *, start: int, stop: int | None, every_seconds: float
) -> Any:
    """A transformers callback that writes to the folder how far the training has come, for those who watch it; has the
    engine take over the weights, before the first step too; and has a checkpoint written when so much time has passed.

    `start`: steps done before this job. `stop`: the step after which a checkpoint is written and the training ends.
    """
    from transformers import TrainerCallback

    class StepEnd(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self._last = time.monotonic()

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            refresh()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            (folder / STEPS_FILE).write_text(str(state.global_step - start), encoding="ascii")
            refresh()
            if state.global_step == stop:
                control.should_save = control.should_training_stop = True
            elif time.monotonic() - self._last >= every_seconds and state.global_step < state.max_steps:
                control.should_save = True
                self._last = time.monotonic()

    return StepEnd()
