"""What every form of a served vLLM model has in common: what it is started with, and the adapters that it holds."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rewards_generated.errors import UserError

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Most that vLLM can be told of the rank of its adapters."""
CPU_CACHE_GIB = int(os.environ.get("VLLM_CPU_KVCACHE_SPACE") or 1)
"""What vLLM's cache takes on a CPU."""
MOST_ROWS = 256
"""Decoded together, as vLLM itself chooses on most GPUs: it keeps the logits of as many in memory."""
MEMORY_SHARE = 0.4
"""Of a GPU's memory, what is vLLM's unless told."""
ASLEEP_GIB = 2
"""What a GPU holds of a vLLM that sleeps, as packs are planned: its CUDA context and captured graphs. Not measured."""
ENVIRONMENT = {
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": str(CPU_CACHE_GIB),
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
"""What vLLM reads when it is imported or started, where nothing else is set: nothing sent out; on a CPU threads are
left where they are."""
WARM = "REWARD_SEARCH_WARM_VLLM"
"""Variable by which a job is told of a server that was started for it and others: a `Warm`, as JSON."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a model was started for. `adapters`: at once in one batch; more wait. `rank`: the highest of theirs."""

    source: str
    adapters: int = 0
    rank: int = 0

    def __post_init__(self) -> None:
        """Raises UserError for a rank that is too high."""
        if self.rank > RANKS[-1]:
            raise UserError(
                f"engine.name = 'vllm' serves LoRA adapters up to rank {RANKS[-1]}, and one has {self.rank}"
            )

    def beside(self, other: Served) -> Served:
        """Room for these and those."""
        return Served(self.source, max(self.adapters, other.adapters), max(self.rank, other.rank))

    def holds(self, needed: Served) -> bool:
        """Whether it can do what is needed as it is."""
        most = highest_rank(self) if self.adapters else 0
        return self.source == needed.source and needed.adapters <= self.adapters and needed.rank <= most


@dataclass(frozen=True, slots=True)
class Warm:
    """A server that others started, on this machine, for jobs of one base policy. `socket`: its path."""

    socket: str
    served: Served

    def variables(self) -> dict[str, str]:
        """Of the environment of a job that may ask it."""
        return {WARM: json.dumps(asdict(self))}


def warm_server() -> Warm | None:
    """That of which this process was told, if it was."""
    if (told := os.environ.get(WARM)) is None:
        return None
    fields = json.loads(told)
    return Warm(fields["socket"], Served(**fields["served"]))


@dataclass(frozen=True, slots=True)
class Completed:
    """A row. `log_probabilities`: at each of its tokens, of this token and of any that was asked for, by token id;
    empty where none was asked for."""

    ids: list[int]
    log_probabilities: list[dict[int, float]]


class ServedModel(ABC):
    """One model that vLLM holds, with room for so many adapters of so high a rank."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self._held: dict[str, Any] = {}
        """What vLLM knows an adapter by, by what tells its content from others'; last asked for last."""
        self._asleep = False

    @abstractmethod
    def complete(
        self, prompts: Sequence[Sequence[int]], asked: Sequence[Mapping[str, Any]], adapters: Sequence[str | None]
    ) -> list[Completed]:
        """`asked`: of each row, fields of vLLM's SamplingParams. `adapters`: the folder of each row's, None for the
        model itself. Raises UserError for an adapter that it cannot serve, FloatingPointError for one that is not
        finite, EngineLost if vLLM ended."""

    @abstractmethod
    def stop(self) -> None:
        """Gives back its memory."""

    @abstractmethod
    def _load(self, folder: str) -> Any:
        """Under a name that no other adapter has or had, since vLLM's prefix cache goes by names."""

    @abstractmethod
    def _unload(self, held: Any) -> None: ...

    def sleep(self) -> None:
        """Gives back a GPU's memory until it is asked again: weights and adapters wait in the host's, the cache is
        lost. A server that others use stays awake."""
        if not self._asleep:
            self._fall_asleep()
            self._asleep = True

    def hold(self, folders: Sequence[str | None]) -> list[Any]:
        """What vLLM knows each of these adapters by, loaded where they are not."""
        self._wake()
        self._make_room({_content(folder) for folder in folders if folder is not None})
        return [None if folder is None else self._known(folder) for folder in folders]

    def forget(self, folder: str) -> None:
        """The adapter of a folder that will not be asked for again."""
        self._remove(_content(folder))

    def _known(self, folder: str) -> Any:
        name = _content(folder)
        if name not in self._held:
            _require_finite(folder)
            self._held[name] = self._load(str(Path(folder).absolute()))
        return self._held[name]

    def _make_room(self, wanted: set[str]) -> None:
        """Removes adapters that were loaded longest ago, where these would be more than it was started for."""
        others = [name for name in self._held if name not in wanted]
        for name in others[: max(0, len(others) + len(wanted) - self.served.adapters)]:
            self._remove(name)

    def _remove(self, name: str) -> None:
        if (held := self._held.pop(name, None)) is not None:
            self._wake()
            self._unload(held)

    def _fall_asleep(self) -> None:
        return

    def _wake_up(self) -> None:
        return

    def _wake(self) -> None:
        if self._asleep:
            import torch

            # What training has left is the process's until it is given back.
            torch.cuda.empty_cache()
            self._wake_up()
            self._asleep = False


def model_fields(
    served: Served, device: str, dtype: str, batch_size: int, memory_share: float, sleep: bool = False
) -> dict[str, Any]:
    """Arguments of vLLM's `LLM`, and with dashes of its server. `device`: `cpu` or `cuda`. `dtype`: as `Hardware` has
    it. `batch_size`: rows of one adapter to decode together. `memory_share`: of a GPU's. `sleep`: whether it has to be
    able to, on a GPU."""
    fields: dict[str, Any] = {
        "model": served.source,
        "dtype": dtype,
        "max_num_seqs": min(batch_size * max(1, served.adapters), MOST_ROWS),
        "max_model_len": -1,
        "enable_prefix_caching": True,
        "generation_config": "vllm",
        "logprobs_mode": "processed_logprobs",
    }
    on_cpu = device == "cpu"
    if served.adapters:
        # On a CPU a row of the base beside others takes what is in the last place (index -1): nobody gets that.
        places = served.adapters + on_cpu
        fields |= {"enable_lora": True, "max_loras": places, "max_cpu_loras": places}
        fields["max_lora_rank"] = highest_rank(served)
    if on_cpu:
        # A seed per request and a prompt that is read in parts do not go together on a CPU. Blocks are of 128
        # tokens unless it is told, and short prompts would not be cached.
        return fields | {"enforce_eager": True, "enable_chunked_prefill": False, "block_size": 32}
    return fields | {"gpu_memory_utilization": memory_share, "enable_sleep_mode": sleep}


def highest_rank(served: Served) -> int:
    """What vLLM is told of the rank of its adapters."""
    return next(rank for rank in RANKS if rank >= served.rank)


def adapter_rank(folder: str) -> int:
    """The highest rank of a PEFT adapter's matrices."""
    config = json.loads((Path(folder) / "adapter_config.json").read_text(encoding="utf-8"))
    return max([int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values())])


def _content(folder: str) -> str:
    """Another where the adapter in the folder is another."""
    return f"{folder} {max(path.stat().st_mtime_ns for path in Path(folder).iterdir())}"


def _require_finite(folder: str) -> None:
    import torch
    from peft import load_peft_weights

    if not all(torch.isfinite(weight).all() for weight in load_peft_weights(folder, device="cpu").values()):
        raise FloatingPointError(f"the adapter {folder!r} holds values that are not finite")
