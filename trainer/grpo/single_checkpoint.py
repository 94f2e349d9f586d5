"""Where a GRPO run that was interrupted goes on: transformers' checkpoint, and in it what the run has kept."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.grpo.saving import newest

KEPT_FILE = "run.json"
BYTES_PER_PARAMETER = 12
"""Of a trained parameter in a checkpoint: weight and AdamW's two moments, in float32."""


def has_room(folder: Path, trained_parameters: int) -> bool:
    """Whether the disk holds the two checkpoints that may lie there at once, and half as much besides."""
    return shutil.disk_usage(folder).free > 3 * BYTES_PER_PARAMETER * trained_parameters


def last_checkpoint(folder: Path, digest: str) -> Path | None:
    """The newest checkpoint in the folder that was written to its end by the job of that digest."""
    complete = [kept.parent for kept in folder.glob(f"checkpoint-*/{KEPT_FILE}") if read_kept(kept.parent)[0] == digest]
    return newest(complete)


def read_kept(checkpoint: Path) -> tuple[str, dict[str, Any]]:
    """The job's digest, and what the run had kept."""
    record = json.loads((checkpoint / KEPT_FILE).read_text(encoding="utf-8"))
    return record["digest"], record["kept"]


def keeping_callback(digest: str, kept: Callable[[], dict[str, Any]]) -> Any:
    """A transformers callback that writes what the run has kept into every checkpoint, last and by rename."""
    from transformers import TrainerCallback

    class Keeping(TrainerCallback):  # type: ignore[misc]
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            temporary = folder / f".{KEPT_FILE}"
            with temporary.open("w", encoding="utf-8") as file:
                json.dump({"digest": digest, "kept": kept()}, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(folder / KEPT_FILE)

    return Keeping()
