"""What happens at the end of a step beside training: checkpoints, the count of steps, the engine's new weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.jobs.folder import STEPS_FILE

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


def steps_callback(folder: Path, start: int = 0) -> Any:
    """A transformers callback that writes down how far the training has come, for those who watch it. `start`: steps
    done before this job."""
    from transformers import TrainerCallback

    class Steps(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            (folder / STEPS_FILE).write_text(str(state.global_step - start), encoding="ascii")

    return Steps()


def refreshing_callback(refresh: Callable[[], None]) -> Any:
    """A transformers callback that has the engine take over the weights before the first step and after each."""
    from transformers import TrainerCallback

    class Refreshing(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            refresh()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            refresh()

    return Refreshing()
