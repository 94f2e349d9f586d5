"""What strata of questions by base mass save: variance of a policy's accuracy and of differences between policies.

    python -m tests.benchmarks.transfer measure --work runs/transfer
    python -m tests.benchmarks.question_strata --work runs/transfer

Base mass is the share of right answers among samples of the untrained policy, so it says nothing of any candidate.
It is sampled here for the validation questions that the runs of the benchmark `transfer` answered (kept in the folder).
Per pack (one setting, one seed, twelve recipes, all pairs), the variance that the choice of so many questions adds,
relative to a simple random draw of as many:

- proportional: strata by base mass, each with its share of the questions (post-stratification comes near it);
- by base spread: questions of a stratum in proportion to its size and to the root of Q (1 - Q), weighted back;
- optimal: the best common allocation to the strata in hindsight, which no rule can beat;
- regression: the difference less its linear regression on base mass, whose mean over all questions is known.

All are unbiased but the last, which nearly is. Intervals: 95 % bootstrap over questions and recipes. Beside it, how
much of the variance of the difference of two single runs comes from the choice of questions at all; the rest is the
luck of seeds, which no choice of questions touches. Writes question_strata.json beside this file.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.statistics.luck import pooled_seed_variance
from eval.tasks.base import TaskReference
from tests.benchmarks.machine import machine
from tests.benchmarks.testbed_properties import COMPLETION_TOKENS, CONTROLS
from tests.benchmarks.transfer import LOSSES, QUESTIONS, correct
from trainer.jobs.evaluate import EvaluateJob, EvaluateResult, Suite
from trainer.jobs.folder import JOB_FILE, RESULT_FILE, write_model
from trainer.jobs.process import run
from trainer.jobs.settings import Hardware

Floats = NDArray[np.float64]
SAMPLES = 8
EDGES = (0.0, 0.25, 0.5, 0.75)
"""Upper bounds, included, of all strata but the last."""
RULES = ("proportional", "by base spread", "optimal", "regression")
RESAMPLED = 500


def base_mass(work: Path) -> Floats:
    """Of each question, shape (questions,)."""
    job = EvaluateJob(
        label="samples of the base policy",
        base_model="testbed",
        suites={"validation": Suite(task=TaskReference(name="testbed"), split="validation", questions=QUESTIONS)},
        max_completion_tokens=COMPLETION_TOKENS,
        temperature=1.0,
        samples_per_question=SAMPLES,
        hardware=Hardware(device="cpu", threads=1),
    )
    folder = work / "base-mass"
    if not (folder / RESULT_FILE).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_model(folder / JOB_FILE, job)
        run(folder)
    result = EvaluateResult.model_validate_json((folder / RESULT_FILE).read_text(encoding="utf-8"))
    right: Counter[str] = Counter()
    for prediction in result.predictions[0]["validation"]:
        right[prediction.id] += prediction.correct
    return np.array(list(right.values())) / SAMPLES


def covariances(answers: Floats, weights: Floats) -> Floats:
    """Between policies over questions that count so many times, shape (policies, policies)."""
    return np.cov(answers, fweights=weights.astype(np.int64)) if weights.sum() > 1 else np.zeros((len(answers),) * 2)


def of_differences(covariance: Floats) -> Floats:
    """Variances of the differences of all pairs of policies, shape (policies, policies)."""
    variances = np.diag(covariance)
    return np.asarray(variances[:, None] + variances[None, :] - 2 * covariance)


def relative(answers: Floats, mass: Floats, counts: Floats, recipes: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """By rule, the variance relative to a random draw: of a mean, and of a difference. `counts`: of each question;
    `recipes`: those to take, of `answers` of shape (recipes, questions)."""
    strata = np.searchsorted(EDGES, mass, side="left")
    kinds = [k for k in range(len(EDGES) + 1) if counts[strata == k].sum() > 1]
    share = np.array([counts[strata == k].sum() for k in kinds])
    share = share / share.sum()
    spread = np.array([np.average(mass[strata == k], weights=counts[strata == k]) for k in kinds])
    spread = np.sqrt(np.maximum(spread * (1 - spread), 0.05))
    whole = covariances(answers, counts)
    within = [covariances(answers[:, strata == k], counts[strata == k]) for k in kinds]
    slopes = np.cov(np.vstack([answers, mass]), fweights=counts.astype(np.int64))
    left = whole - np.outer(slopes[:-1, -1], slopes[:-1, -1]) / slopes[-1, -1]
    pairs = np.array([(i, j) for i in recipes for j in recipes if i < j])

    def figures(covariance: Floats) -> tuple[float, float]:
        differences = of_differences(covariance)
        return float(np.diag(covariance)[recipes].mean()), float(differences[pairs[:, 0], pairs[:, 1]].mean())

    total, parts = figures(whole), [figures(part) for part in within]
    found: dict[str, dict[str, float]] = {rule: {} for rule in RULES}
    for place, what in enumerate(("mean", "difference")):
        own = np.array([part[place] for part in parts])
        asked = share * spread / (share @ spread)
        found["proportional"][what] = float(share @ own) / total[place]
        found["by base spread"][what] = float((share**2 * own / asked).sum()) / total[place]
        found["optimal"][what] = float(share @ np.sqrt(own)) ** 2 / total[place]
        found["regression"][what] = figures(left)[place] / total[place]
    return found


def by_both(packs: list[Floats], settings: list[str], recipes: list[int]) -> dict[str, float] | None:
    """Of the difference of two runs, what the choice of questions adds and what the seeds; None without repeats."""
    repeated = [
        np.array([pack[k] for pack, own in zip(packs, settings, strict=True) if own == setting])
        for setting in dict.fromkeys(settings)
        for k in recipes
    ]
    luck = pooled_seed_variance(repeated)
    if luck is None:
        return None
    questions = packs[0].shape[1]
    firsts, seconds = np.tril_indices(len(recipes), -1)
    found = [of_differences(covariances(pack[recipes], np.ones(questions)))[firsts, seconds].mean() for pack in packs]
    of_questions, of_seeds = float(np.mean(found)) / questions, 2 * luck.of_runs
    return {
        "by_questions": round(of_questions, 6),
        "by_seeds": round(of_seeds, 6),
        "share_of_questions": round(of_questions / (of_questions + of_seeds), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs of the benchmark transfer")
    arguments = parser.parse_args()
    mass = base_mass(arguments.work)
    folders = sorted(
        path.parent for loss in LOSSES for path in arguments.work.glob(f"{loss}-*/{RESULT_FILE}")
    )  # of the shipped policy, whose base mass it is
    packs = [correct(folder) for folder in folders]
    recipes, questions = packs[0].shape
    everything = np.ones(questions)
    generator = np.random.default_rng(0)

    def average(counts: Floats, chosen: NDArray[np.int64]) -> dict[str, dict[str, float]]:
        each = [relative(pack, mass, counts, chosen) for pack in packs]
        return {r: {w: float(np.mean([e[r][w] for e in each])) for w in ("mean", "difference")} for r in RULES}

    value = average(everything, np.arange(recipes))
    drawn = []
    for _ in range(RESAMPLED):
        counts = np.bincount(generator.integers(questions, size=questions), minlength=questions).astype(np.float64)
        drawn.append(average(counts, generator.integers(0, recipes, size=(recipes,))))
    rows: list[dict[str, Any]] = []
    for rule in RULES:
        row: dict[str, Any] = {"rule": rule}
        for what in ("mean", "difference"):
            low, high = np.quantile([1 - found[rule][what] for found in drawn], [0.025, 0.975])
            row[f"saved_of_a_{what}"] = [round(float(x), 3) for x in (1 - value[rule][what], low, high)]
        rows.append(row)
    settings = [folder.name.rpartition("-")[0] for folder in folders]
    result: dict[str, Any] = {
        "machine": machine(),
        "packs": [folder.name for folder in folders],
        "recipes": recipes,
        "questions": questions,
        "samples_per_question": SAMPLES,
        "strata_up_to": [*EDGES, 1.0],
        "questions_by_stratum": np.bincount(np.searchsorted(EDGES, mass), minlength=len(EDGES) + 1).tolist(),
        "figures": "share of the variance by questions that is saved, and its 95 % interval",
        "rules": rows,
    }
    for label, some in (("", range(recipes)), ("_without_controls", range(recipes - len(CONTROLS)))):
        result[f"variance_of_a_difference_of_single_runs{label}"] = by_both(packs, settings, list(some))
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
