"""A run by itself as a pack of one, against the trainer for single runs that there was before.

    taskset -c 1 chrt -f 20 python -m tests.benchmarks.pack_of_one --repeats 3

measures the pack of one: the screening of `repair` of the preset testbed-quick (30 steps of 8 x 4 completions, 200
questions), the whole job in this process. The old trainer is gone; its side was measured once, in turn with this one on
one core under real-time scheduling, by the same job at commit 474af07 (`trainer.run_job` on its folder). Both answered
0.46 of the questions rightly, and their completions had as many tokens in sum. pack_of_one.json holds what was seen;
three repetitions each, whose ranges touch.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from rewards_generated.library import library_codes
from search.config.source import load_config
from search.jobs.descriptions import screening_run
from search.ledger import Candidate
from tests.benchmarks.machine import machine
from trainer.jobs.folder import JOB_FILE, write_model
from trainer.jobs.process import run
from trainer.jobs.train import TrainJob, TrainResult


def measured() -> dict[str, float]:
    """Seconds by phase, the share of right answers, and the mean tokens of a completion added up over the steps."""
    candidate = Candidate("repair", 1, 0, None, library_codes()["repair"], "library", "", "", ())
    description = screening_run(load_config("testbed-quick"), "repair", candidate, seed=5)
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder) / JOB_FILE, TrainJob.of(description))
        result = run(Path(folder))
    assert isinstance(result, TrainResult)
    [member] = result.members
    right = sum(prediction.correct for prediction in member.predictions) / len(member.predictions)
    tokens = sum(entry["completion_tokens"] for entry in member.curves)
    seconds = {phase: round(spent, 2) for phase, spent in member.seconds.items()}
    return {**seconds, "accuracy": right, "tokens": tokens, "peak MiB": round(member.memory["resident"] / 2**20)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, help="a JSON file, beside what is printed")
    arguments = parser.parse_args()
    found = {"pack of one": [measured() for _ in range(arguments.repeats)], **machine()}
    text = json.dumps(found, indent=1)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
