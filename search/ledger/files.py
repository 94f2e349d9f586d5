"""Large files beside the ledger, named by the hash of their content and written by atomic rename."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from pathlib import Path

from eval.prediction import Prediction
from rewards_generated.errors import UserError
from rewards_generated.files import write_whole

LOST = (
    "the completions of one evaluation are lost; `reward-search check RUN --repair` brings them back or has their job "
    "run again"
)


class Files:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put_predictions(self, predictions: Sequence[Prediction]) -> str:
        """Stores one JSON object per line, compressed without a time stamp, so that equal predictions have equal names;
        returns the name. What is there already is left as it is."""
        name, content = _packed(predictions)
        target = self.folder / name
        if not target.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(target, content)
        return name

    def predictions(self, name: str) -> list[Prediction]:
        """What was stored under that name. Raises UserError if it is missing or is not what was stored."""
        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}): {LOST}") from None
        if hashlib.sha256(content).hexdigest() != name.partition(".")[0]:
            raise UserError(f"{path} is damaged: {LOST}")
        return [Prediction.model_validate_json(line) for line in gzip.decompress(content).splitlines()]

    def name_of(self, predictions: Sequence[Prediction]) -> str:
        """The name under which they are, or would be, stored."""
        return _packed(predictions)[0]


def _packed(predictions: Sequence[Prediction]) -> tuple[str, bytes]:
    text = "".join(prediction.model_dump_json() + "\n" for prediction in predictions)
    content = gzip.compress(text.encode(), mtime=0)
    return hashlib.sha256(content).hexdigest() + ".jsonl.gz", content
