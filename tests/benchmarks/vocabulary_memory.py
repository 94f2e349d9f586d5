"""What log-probabilities take over a vocabulary of 262,144 tokens: all logits in memory, against tiles.

    python -m tests.benchmarks.vocabulary_memory [--rows 8] [--tokens 96] [--output FILE]

A random Llama of two layers, 640 wide like Gemma 3 270M, with that one's vocabulary and tied embeddings; `rows`
completions of `tokens` tokens after prompts of 64. One forward and backward pass of a run by itself, each arm in a
process of its own, in float32 on one thread. `before`: what a pass takes where all logits lie in memory, as they do for
small vocabularies; `tiles of TRL`: with its head, which computes them again in the backward pass; `after`: as the
trainer does beyond LOGITS_IN_MEMORY, in one pass over the head, which is not trained. Memory is the largest resident
set beyond that before the pass; the largest gap between the arms' log-probabilities stands beside it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.machine import machine

VOCABULARY = 262_144
PROMPT_TOKENS = 64
ARMS = ("before", "tiles of TRL", "after")


def one_pass(arm: str, rows: int, tokens: int, output: Path) -> dict[str, float]:
    """Writes the log-probabilities to `output`; returns mebibytes and seconds of processor time."""
    import torch

    from eval.engines.policy import load_policy
    from rewards_generated.scorer import EnsembleScorer
    from tests.benchmarks.runs import training
    from tests.trainer.tiny import Sums, training_run, write_policy
    from trainer.algorithms import algorithm_of
    from trainer.grpo import pack_trainer, shared_prompts
    from trainer.jobs.peak_memory import peak_memory

    torch.set_num_threads(1)
    if arm == "before":
        pack_trainer.LOGITS_IN_MEMORY = 2**62
    elif arm == "tiles of TRL":
        shared_prompts.has_frozen_head = lambda model: False
    with tempfile.TemporaryDirectory() as folder:
        base = write_policy(
            Path(folder) / "policy",
            vocab_size=VOCABULARY,
            hidden_size=640,
            intermediate_size=2048,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
        )
        run = training_run(base, grpo={"prompts_per_step": 1, "generations": rows, "max_completion_tokens": tokens})
        task = Sums({})
        with EnsembleScorer(run.ensemble, run.sandbox, answers=task) as scorer:
            scoring = algorithm_of(run.algorithm).scoring(run, scorer, task)
            trainer = training([run], load_policy(str(base), "cpu"), task, [scoring], Path(folder) / "job")._trainer
            torch.manual_seed(0)
            ids = torch.randint(5, VOCABULARY, (rows, PROMPT_TOKENS + tokens))
            ids[:, :PROMPT_TOKENS] = ids[0, :PROMPT_TOKENS]
            trainer._members, trainer._row_members = [0], [0] * rows
            resting, before = peak_memory()["resident"], time.process_time()
            logps, _, _ = trainer._get_per_token_logps_and_entropies(
                trainer.model, ids, torch.ones_like(ids), tokens, compute_entropy=True
            )
            logps.mean().backward()
            spent = time.process_time() - before
            torch.save(logps.detach(), output)
            return {"MiB": (peak_memory()["resident"] - resting) / 2**20, "seconds": spent}


def measured(rows: int, tokens: int) -> dict[str, Any]:
    import torch

    found: dict[str, Any] = {"rows": rows, "tokens": tokens}
    values = []
    with tempfile.TemporaryDirectory() as folder:
        for arm in ARMS:
            file = Path(folder) / arm
            command = [sys.executable, "-m", "tests.benchmarks.vocabulary_memory", "--rows", str(rows)]
            command += ["--tokens", str(tokens), "--arm", arm, "--output", str(file)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found[arm] = {name: round(value, 1) for name, value in json.loads(said.splitlines()[-1]).items()}
            values.append(torch.load(file, weights_only=True))
    found["largest gap"] = max(float((values[0] - value).abs().max()) for value in values[1:])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.arm:
        print(json.dumps(one_pass(arguments.arm, arguments.rows, arguments.tokens, arguments.output)))
        return
    text = json.dumps({**measured(arguments.rows, arguments.tokens), **machine()}, indent=1)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
