"""One model that vLLM holds in this process."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from eval.engines.vllm_served import ENVIRONMENT, Completed, Served, ServedModel
from rewards_generated.errors import UserError


def prepare() -> None:
    """To be called before vLLM is imported: all of it in this process."""
    for name, value in {**ENVIRONMENT, "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}.items():
        os.environ.setdefault(name, value)


class ModelInProcess(ServedModel):
    def __init__(self, served: Served, fields: Mapping[str, Any]) -> None:
        """`fields`: as `model_fields` gives them."""
        super().__init__(served)
        self._count = 0
        if fields.get("enforce_eager"):
            _never_compile()
        with _undisturbed():
            from vllm import LLM

            self._llm = LLM(**fields)

    def complete(
        self, prompts: Sequence[Sequence[int]], asked: Sequence[Mapping[str, Any]], adapters: Sequence[str | None]
    ) -> list[Completed]:
        from vllm import SamplingParams

        if not prompts:
            return []
        requests = self.hold(adapters)
        with _undisturbed():
            found = self._llm.generate(
                [{"prompt_token_ids": list(prompt)} for prompt in prompts],
                [SamplingParams(**fields, detokenize=bool(fields.get("stop"))) for fields in asked],
                lora_request=requests if self.served.adapters else None,
                use_tqdm=False,
            )
        return [_completed(request.outputs[0]) for request in found]

    def stop(self) -> None:
        import torch
        from vllm.distributed import cleanup_dist_env_and_memory

        self._llm.llm_engine.engine_core.shutdown()
        del self._llm
        self._held = {}
        gc.collect()
        cleanup_dist_env_and_memory()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _load(self, folder: str) -> Any:
        from vllm.lora.request import LoRARequest

        self._count += 1
        request = LoRARequest(f"{self._count}", self._count, folder)
        try:
            with _undisturbed():
                self._llm.llm_engine.add_lora(request)
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(f"vLLM cannot serve the adapter {folder!r}: {reason}") from error
        return request

    def _unload(self, held: Any) -> None:
        self._llm.llm_engine.remove_lora(held.lora_int_id)

    def _fall_asleep(self) -> None:
        self._llm.sleep(level=1)

    def _wake_up(self) -> None:
        self._llm.wake_up()


def _completed(output: Any) -> Completed:
    steps = [{token: found.logprob for token, found in step.items()} for step in output.logprobs or ()]
    return Completed(list(output.token_ids), steps)


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
