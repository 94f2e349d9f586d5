"""Runs a job of supervised fine-tuning in this process, or what is left of it."""

from __future__ import annotations

import math
import time
from pathlib import Path

from trainer.jobs.fine_tune import POLICY, FineTuneJob, FineTuneResult
from trainer.jobs.folder import ADAPTER, versions
from trainer.jobs.peak_memory import peak_memory


def run_fine_tune(job: FineTuneJob, folder: Path, started: float) -> FineTuneResult:
    """Leaves the whole policy in `folder`, and the adapter beside it if one was trained.

    A run that was interrupted goes on from its last checkpoint, to the same weights. `started`: when the process
    began, by `time.perf_counter`. Raises UserError for a base or pairs that cannot be used.
    """
    from trainer.policy import base_model_source, merge_adapter
    from trainer.sft.fine_tune import fine_tune
    from trainer.sft.pairs import read_pairs

    pairs, base = read_pairs(job), job.placed(job.base_model)
    output = folder / (POLICY if job.settings.tuning == "full" else ADAPTER)
    seconds = {"start": time.perf_counter() - started}
    before = time.process_time()
    tuned = fine_tune(
        base_model_source(base), pairs, job.settings, output, job.hardware, job.prompt_format, resume=True
    )
    seconds.update(train=tuned.seconds, processor=time.process_time() - before)
    memory = peak_memory()

    def diverged(how: str) -> FineTuneResult:
        failure = f"training diverged{how}"
        return FineTuneResult(digest=job.digest, failure=failure, owner="candidate", versions=versions())

    if not all(math.isfinite(loss) for _, loss in tuned.losses):
        step = next(step for step, loss in tuned.losses if not math.isfinite(loss))
        return diverged(f" at step {step}: the loss is not finite")
    if job.settings.tuning == "lora":
        try:
            merge_adapter(base, output, folder / POLICY, job.hardware.dtype, job.prompt_format)
        except FloatingPointError as error:
            return diverged(f": {error}")
    return FineTuneResult(
        digest=job.digest,
        policy=POLICY,
        adapter=ADAPTER if job.settings.tuning == "lora" else None,
        losses=tuned.losses,
        pairs=len(pairs),
        trained_parameters=tuned.trained_parameters,
        seconds=seconds,
        memory=memory,
        versions=versions(),
    )
