"""What the audit says of rewards whose worth is known: signs per reward of the testbed, run by run.

    python -m tests.benchmarks.hacking_audit --runs runs/properties [--seeds 0-4]

`--runs`: folders of finished training runs on the testbed (job.json and result.json each), such as those that
testbed_properties measures. Every run is audited by itself, at the default thresholds, which were chosen on the seeds
0 to 4 of those runs: what is said of them describes, and only runs of other rewards or seeds test. A run counts as bad
if it ends below the untrained policy's accuracy. Writes hacking_audit.json beside this file.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from eval.audit import AuditedRun, AuditSettings, audit
from eval.engines.base import Sampling
from eval.engines.transformers_engine import TransformersEngine
from eval.evaluate import evaluate
from eval.report.data import Sample
from eval.tasks.registry import build_task
from tests.benchmarks.machine import machine
from tests.benchmarks.runs import recorded_runs
from tests.benchmarks.testbed_properties import BASE_ONLY, CONTROLS, _numbers
from trainer.determinism import make_deterministic
from trainer.policy import load_base_policy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--seeds", type=_numbers, default=None, help="only those; all, if left out")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    untrained, questions, before = None, {}, 0.0
    control = [
        prediction
        for job, result in recorded_runs(arguments.runs)
        if all(member.is_base for member in job.ensemble.members) and not result.failure
        for prediction in result.predictions
    ]
    for job, result in recorded_runs(arguments.runs):
        if result.failure or not result.predictions or (arguments.seeds and job.seed not in arguments.seeds):
            continue
        if untrained is None:
            assert job.evaluation is not None
            make_deterministic(job.hardware)
            examples = build_task(job.task).examples(job.evaluation.split, job.evaluation.limit)
            questions = {example.id: example for example in examples}
            engine = TransformersEngine(load_base_policy("testbed", job.hardware))
            sampling = Sampling(job.evaluation.max_completion_tokens)
            untrained = evaluate(engine, build_task(job.task), examples, sampling)
            before = sum(prediction.correct for prediction in untrained) / len(untrained)
        members = [member.name for member in job.ensemble.members if not member.is_base]
        name = members[0] if members else BASE_ONLY
        run = AuditedRun(
            result.curves, [Sample(**sample.model_dump()) for sample in result.samples], result.predictions
        )
        flags = audit(name, [run], untrained, questions, AuditSettings(), control)
        accuracy = sum(prediction.correct for prediction in result.predictions) / len(result.predictions)
        found[name].append({"seed": job.seed, "accuracy": accuracy, "signs": [flag.name for flag in flags]})
    runs = [run for listed in found.values() for run in listed]
    bad = [run for run in runs if run["accuracy"] < before]
    good = [run for run in runs if run["accuracy"] >= before]
    report = {
        "untrained accuracy": before,
        "runs": len(runs),
        "bad runs (below the untrained policy)": {"n": len(bad), "with a sign": sum(bool(run["signs"]) for run in bad)},
        "other runs": {"n": len(good), "with a sign": sum(bool(run["signs"]) for run in good)},
        "rewards": {
            name: {
                "control": name in CONTROLS,
                "runs": len(listed),
                "mean accuracy": round(sum(run["accuracy"] for run in listed) / len(listed), 3),
                "runs with a sign": sum(bool(run["signs"]) for run in listed),
                "signs": dict(Counter(sign for run in listed for sign in run["signs"])),
            }
            for name, listed in sorted(found.items())
        },
        "machine": machine(),
    }
    arguments.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: value for name, value in report.items() if name != "machine"}, indent=1))


if __name__ == "__main__":
    main()
