"""One model that vLLM holds in this process, with room for so many adapters of so high a rank."""

from __future__ import annotations

import gc
import json
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards_generated.errors import UserError

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Most that vLLM can be told of the rank of its adapters."""
CPU_CACHE_GIB = int(os.environ.get("VLLM_CPU_KVCACHE_SPACE") or 1)
"""What vLLM's cache takes on a CPU."""
MOST_ROWS = 256
"""Decoded together, as vLLM itself chooses on most GPUs: it keeps the logits of as many in memory."""
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": str(CPU_CACHE_GIB),
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
"""What vLLM reads when it is imported or started, where nothing else is set: all in this process, nothing sent out; on
a CPU threads are left where they are."""


def prepare() -> None:
    """To be called before vLLM is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@dataclass(frozen=True, slots=True)
class Served:
    """What a model was started for. `adapters`: at once in one batch; more wait. `rank`: the highest of theirs."""

    source: str
    adapters: int = 0
    rank: int = 0

    def beside(self, other: Served) -> Served:
        """Room for these and those."""
        return Served(self.source, max(self.adapters, other.adapters), max(self.rank, other.rank))


class ServedModel:
    def __init__(self, served: Served, like: Any, batch_size: int, memory_share: float) -> None:
        """`like`: the transformers model whose device and precision vLLM takes. `batch_size`: rows of one adapter to
        decode together. Raises UserError for a rank that is too high."""
        self.served = served
        self._requests: dict[str, Any] = {}
        self._count = 0
        if served.rank > RANKS[-1]:
            raise UserError(
                f"engine.name = 'vllm' serves LoRA adapters up to rank {RANKS[-1]}, and one has {served.rank}"
            )
        fields: dict[str, Any] = {}
        if served.adapters:
            rank = next(rank for rank in RANKS if rank >= served.rank)
            # On a CPU a row of the base beside others takes what is in the last place (index -1): nobody gets that.
            places = served.adapters + (like.device.type == "cpu")
            fields = {"enable_lora": True, "max_loras": places, "max_cpu_loras": places, "max_lora_rank": rank}
        if like.device.type == "cpu":
            # A seed per request and a prompt that is read in parts do not go together on a CPU. Blocks are of 128
            # tokens unless it is told, and short prompts would not be cached.
            fields |= {"enforce_eager": True, "enable_chunked_prefill": False, "block_size": 32}
            _never_compile()
        else:
            fields["gpu_memory_utilization"] = memory_share
        with _undisturbed():
            from vllm import LLM

            self._llm = LLM(
                model=served.source,
                dtype=str(like.dtype).removeprefix("torch."),
                max_num_seqs=min(batch_size * max(1, served.adapters), MOST_ROWS),
                max_model_len=-1,
                enable_prefix_caching=True,
                generation_config="vllm",
                logprobs_mode="processed_logprobs",
                **fields,
            )

    def holds(self, needed: Served) -> bool:
        """Whether it can do what is needed as it is."""
        most = next((rank for rank in RANKS if rank >= self.served.rank), 0) if self.served.adapters else 0
        return self.served.source == needed.source and needed.adapters <= self.served.adapters and needed.rank <= most

    def generate(
        self, prompts: Sequence[Sequence[int]], asked: Sequence[Any], adapters: Sequence[str | None]
    ) -> list[Any]:
        """vLLM's output of each row. `asked`: its SamplingParams. Raises UserError for an adapter that it cannot serve,
        FloatingPointError for one that is not finite."""
        if not prompts:
            return []
        self._make_room({_content(folder) for folder in adapters if folder is not None})
        requests = [None if folder is None else self._request(folder) for folder in adapters]
        with _undisturbed():
            found = self._llm.generate(
                [{"prompt_token_ids": list(prompt)} for prompt in prompts],
                list(asked),
                lora_request=requests if self.served.adapters else None,
                use_tqdm=False,
            )
        return [request.outputs[0] for request in found]

    def forget(self, folder: str) -> None:
        """The adapter of a folder that will not be asked for again."""
        self._remove(_content(folder))

    def _make_room(self, wanted: set[str]) -> None:
        """Removes adapters that were asked for longest ago, where these would be more than it was started for."""
        others = [name for name in self._requests if name not in wanted]
        for name in others[: max(0, len(others) + len(wanted) - self.served.adapters)]:
            self._remove(name)

    def _remove(self, name: str) -> None:
        request = self._requests.pop(name, None)
        if request is not None:
            self._llm.llm_engine.remove_lora(request.lora_int_id)

    def stop(self) -> None:
        """Gives back its memory."""
        import torch
        from vllm.distributed import cleanup_dist_env_and_memory

        self._llm.llm_engine.engine_core.shutdown()
        del self._llm
        self._requests = {}
        gc.collect()
        cleanup_dist_env_and_memory()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _request(self, folder: str) -> Any:
        """Under a name that no other adapter has or had, since vLLM's prefix cache goes by names."""
        from vllm.lora.request import LoRARequest

        name = _content(folder)
        if name not in self._requests:
            _require_finite(folder)
            self._count += 1
            request = LoRARequest(f"{self._count}", self._count, folder)
            try:
                with _undisturbed():
                    self._llm.llm_engine.add_lora(request)
            except (ValueError, RuntimeError) as error:
                reason = " ".join(str(error).split())[:300]
                raise UserError(f"vLLM cannot serve the adapter {folder!r}: {reason}") from error
            self._requests[name] = request
        return self._requests[name]


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


def _never_compile() -> None:
    """Even an eager vLLM builds some kernels on a CPU, for minutes."""
    import torch._dynamo.config

    torch._dynamo.config.disable = True


@contextmanager
def _undisturbed() -> Iterator[None]:
    """What vLLM changes in the whole process, and training depends on, is put back: random numbers, threads, whether
    kernels have to be deterministic."""
    import numpy
    import torch

    python, arrays, threads = random.getstate(), numpy.random.get_state(legacy=False), torch.get_num_threads()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            numpy.random.set_state(arrays)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
