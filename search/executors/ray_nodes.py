"""The nodes of a Ray cluster: which are there, what they have room for, and how something is sent to one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.grpo.memory import free_memory


def alive_nodes() -> list[dict[str, Any]]:
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def pinned_to(node: str) -> Any:
    """Where Ray has to run it: there, or nowhere."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=False)


def room_on(resources: Mapping[str, float], wanted: Mapping[str, float], taken: float = 0.0) -> int:
    """So many jobs a node with these resources can run side by side. `taken`: of one of its GPUs."""
    names = {"num_cpus": "CPU", "memory": "memory"}
    rooms = [int(resources.get(there, 0) / wanted[name]) for name, there in names.items() if wanted.get(name)]
    if gpus := wanted["num_gpus"]:
        count = int(resources.get("GPU", 0))
        # A part lies on one GPU whole; Ray counts in ten thousandths.
        parts = [1 - taken, *[1.0] * (count - 1)] if count else []
        rooms.append(sum(int(round(part / gpus, 4)) for part in parts) if gpus <= 1 else int((count - taken) / gpus))
    return min(rooms)


def free_on_node(gpus: int) -> int:
    """Bytes: of the machine that calls it, or of the fullest of its GPUs where it has any."""
    return free_memory(tuple(str(number) for number in range(gpus)))
