"""Where a pack that was interrupted goes on: one folder, replaced as a whole, always of a step that was finished.

The state of a pack holds everything per member, so that a member's part can go on in a pack of others.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rewards_generated.errors import UserError
from rewards_generated.files import former_of, partial_of, replace_folder, restored, write_whole

BYTES_PER_PARAMETER = 12
"""Of a trained parameter in a checkpoint: weight and AdamW's two moments, in float32."""
STATE_FILE, TENSORS_FILE = "state.json", "state.safetensors"
TRAINER_STATE_FILE = "trainer_state.json"


class Checkpoint:
    """The last finished step that was kept. At most one is on disk, beside one that is being written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def exists(self) -> bool:
        """One that is not what was written counts for none: the run then begins again."""
        if not restored(self.folder):
            return False
        try:
            described = json.loads((self.folder / STATE_FILE).read_text(encoding="utf-8"))
            content = (self.folder / TENSORS_FILE).read_bytes()
        except (OSError, ValueError):
            return False
        return bool(hashlib.sha256(content).hexdigest() == described["tensors_sha256"])

    @property
    def step(self) -> int:
        """Steps that were finished."""
        return int(self._trainer_state().global_step)

    def write(self, trainer_state: Any, state: dict[str, Any]) -> None:
        """`trainer_state`: transformers' `TrainerState`. `state`: tensors and plain values."""
        from safetensors.torch import save

        partial = partial_of(self.folder)
        partial.mkdir(parents=True)
        trainer_state.save_to_json(str(partial / TRAINER_STATE_FILE))
        tensors: dict[str, Any] = {}
        plain = packed(state, tensors)
        content = save(tensors)
        write_whole(partial / TENSORS_FILE, content)
        sha256 = hashlib.sha256(content).hexdigest()
        write_whole(partial / STATE_FILE, json.dumps({"tensors_sha256": sha256, "state": plain}))
        replace_folder(partial, self.folder)

    def read(self) -> dict[str, Any]:
        """The `state` of the last `write`, on the CPU."""
        from safetensors.torch import load

        described = json.loads((self.folder / STATE_FILE).read_text(encoding="utf-8"))
        state: dict[str, Any] = unpacked(described["state"], load((self.folder / TENSORS_FILE).read_bytes()))
        return state

    def gather(self, members: Sequence[str], origins: Sequence[Checkpoint]) -> None:
        """Writes the checkpoint of members, named by their digests, that each come from one of another pack.

        Raises UserError if one of those is gone, ValueError if they do not belong together.
        """
        import torch

        states: dict[Path, dict[str, Any]] = {}
        for origin in origins:
            if not origin.exists:
                raise UserError(f"{origin.folder} is gone, from which this pack has to go on; start a new search")
            if origin.folder not in states:
                states[origin.folder] = origin.read()
        if len({origin.step for origin in origins}) > 1:
            raise ValueError("the members of a pack come from different steps")
        places = []
        for member, origin in zip(members, origins, strict=True):
            kept = states[origin.folder]["kept"]
            places.append(kept["members"].index(member))
            if places[-1] in kept["failures"]:
                raise ValueError(f"member {member} has failed in {origin.folder} and cannot go on")
        first = states[origins[0].folder]
        if list(members) == first["kept"]["members"]:
            # The same runs together again: as it is, whatever is trained.
            self.write(origins[0]._trainer_state(), {**first, "kept": {**first["kept"], "seconds": _no_seconds(first)}})
            return
        parts = [_of_member(states[origin.folder], place) for place, origin in zip(places, origins, strict=True)]
        optimizer = {
            "state": {
                index: {
                    name: torch.stack([part["optimizer"][index][name] for part in parts]) if value.ndim else value
                    for name, value in moments.items()
                }
                for index, moments in first["optimizer"]["state"].items()
            },
            "param_groups": first["optimizer"]["param_groups"],
        }
        gathered = {
            "adapters": [torch.stack(weights) for weights in zip(*(part["adapters"] for part in parts), strict=True)],
            "optimizer": optimizer,
            "schedule": first["schedule"],
            "random": first["random"],
            "kept": {
                "members": list(members),
                "scorings": [part["scoring"] for part in parts],
                "figures": [part["figures"] for part in parts],
                "failures": {},
                "seconds": _no_seconds(first),
            },
        }
        self.write(origins[0]._trainer_state(), gathered)

    def _trainer_state(self) -> Any:
        from transformers import TrainerState

        return TrainerState.load_from_json(str(self.folder / TRAINER_STATE_FILE))

    def remove(self) -> None:
        for folder in (self.folder, partial_of(self.folder), former_of(self.folder)):
            shutil.rmtree(folder, ignore_errors=True)


def packed(value: Any, tensors: dict[str, Any]) -> Any:
    """The value as plain JSON, and what of it are tensors or arrays in `tensors`, by the names that stand there."""
    import numpy
    import torch

    if isinstance(value, numpy.ndarray | torch.Tensor):
        name = str(len(tensors))
        tensor = torch.from_numpy(value) if isinstance(value, numpy.ndarray) else value.detach().cpu()
        tensors[name] = tensor.clone().contiguous()
        return {"array" if isinstance(value, numpy.ndarray) else "tensor": name}
    if isinstance(value, dict):
        return {"items": [[packed(key, tensors), packed(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [packed(item, tensors) for item in value]}
    return [packed(item, tensors) for item in value] if isinstance(value, list) else value


def unpacked(value: Any, tensors: Mapping[str, Any]) -> Any:
    """What `packed` was given."""
    if isinstance(value, list):
        return [unpacked(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    [(form, content)] = value.items()
    if form == "items":
        return {unpacked(key, tensors): unpacked(item, tensors) for key, item in content}
    if form == "tuple":
        return tuple(unpacked(item, tensors) for item in content)
    return tensors[content].numpy() if form == "array" else tensors[content]


def _of_member(state: dict[str, Any], place: int) -> dict[str, Any]:
    """The part of a pack's state that is one member's: the first dimension of every weight is the member."""
    kept = state["kept"]
    return {
        "adapters": [weights[place] for weights in state["adapters"]],
        "optimizer": {
            index: {name: value[place] if value.ndim else value for name, value in moments.items()}
            for index, moments in state["optimizer"]["state"].items()
        },
        "scoring": kept["scorings"][place],
        "figures": kept["figures"][place],
    }


def _no_seconds(state: dict[str, Any]) -> dict[str, float]:
    return dict.fromkeys(state["kept"]["seconds"], 0.0)


def has_room(folder: Path, trained_parameters: int) -> bool:
    """Whether the disk holds the two checkpoints that may lie there at once, and half as much besides."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free > 3 * BYTES_PER_PARAMETER * trained_parameters
