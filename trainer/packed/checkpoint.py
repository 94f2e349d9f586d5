"""Where a pack that was interrupted goes on: one folder, replaced as a whole, always of a step that was finished."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STATE_FILE = "state.pt"
TRAINER_STATE_FILE = "trainer_state.json"


class Checkpoint:
    """The last finished step that was kept. At most one is on disk, beside one that is being written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._partial = folder.with_name(folder.name + ".partial")
        self._former = folder.with_name(folder.name + ".former")

    @property
    def exists(self) -> bool:
        if not self.folder.is_dir() and self._former.is_dir():
            # The process ended between the two renames of `write`.
            self._former.rename(self.folder)
        return (self.folder / STATE_FILE).is_file()

    def write(self, trainer_state: Any, state: dict[str, Any]) -> None:
        """`trainer_state`: transformers' `TrainerState`. `state`: tensors and plain values."""
        import torch

        for leftover in (self._partial, self._former):
            shutil.rmtree(leftover, ignore_errors=True)
        self._partial.mkdir(parents=True)
        trainer_state.save_to_json(str(self._partial / TRAINER_STATE_FILE))
        with (self._partial / STATE_FILE).open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        if self.folder.exists():
            self.folder.rename(self._former)
        self._partial.rename(self.folder)
        shutil.rmtree(self._former, ignore_errors=True)

    def read(self) -> dict[str, Any]:
        """The `state` of the last `write`, on the CPU. It is a file of this project's own, and read as such."""
        import torch

        state: dict[str, Any] = torch.load(self.folder / STATE_FILE, map_location="cpu", weights_only=False)
        return state

    def remove(self) -> None:
        for folder in (self.folder, self._partial, self._former):
            shutil.rmtree(folder, ignore_errors=True)


def saving_callback(every_seconds: float, clock: Callable[[], float] = time.monotonic) -> Any:
    """A transformers callback that has a checkpoint written at the end of a step, when so much time has passed."""
    from transformers import TrainerCallback

    class Saving(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self._last = clock()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if clock() - self._last >= every_seconds and state.global_step < state.max_steps:
                control.should_save = True
                self._last = clock()

    return Saving()
