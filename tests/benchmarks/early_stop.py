"""Whether runs can be stopped by their learning curves: what that saves, what it loses, and how halving does.

    python -m tests.benchmarks.transfer measure --work runs/transfer
    python -m tests.benchmarks.early_stop --work runs/transfer

Each pack of the benchmark `transfer` (one setting, one seed, twelve recipes) counts as a round in which three are to be
chosen. After the first third of the steps the accuracy at the end is predicted by least squares over the whole runs of
the *other* recipes under the same setting, which a search would have from earlier rounds. A run stops if its chance of
ending among the three, by normal draws around the predictions, is below a bound. Two regressions: on accuracy of the
rollouts in the second half of the third and its rise since the first half; and on length, entropy and share of readable
answers too.

Lost: accuracy of the three that full runs choose, less that of the three that are chosen of those not stopped, both
measured in the runs of the other seeds, which had no part in the choice. Beside each pack stands halving at the same
step that stops as many, by accuracy of the rollouts; halving in a search asks validation questions there, which tells
more (successive_halving.json). Intervals: Student's t over packs. Writes early_stop.json beside this file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.statistics.seeds import summarise_seeds
from tests.benchmarks.machine import machine
from tests.benchmarks.transfer import LOSSES, POLICY, STEPS, correct
from trainer.jobs.folder import RESULT_FILE
from trainer.jobs.train import TrainResult

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
SEEN, CHOSEN, DRAWS = STEPS // 3, 3, 4000
BOUNDS = (0.02, 0.05, 0.1, 0.2)
REGRESSIONS = {
    "accuracy": ("accuracy",),
    "accuracy, length, entropy and readable": ("accuracy", "completion_tokens", "entropy", "extraction_rate"),
}


class Pack(NamedTuple):
    setting: str
    seed: int
    end: Floats
    """Accuracy on validation, shape (recipes,)."""
    curves: dict[str, Floats]
    """By figure, the first steps, shape (recipes, SEEN)."""


def read(work: Path) -> list[Pack]:
    figures = sorted({figure for names in REGRESSIONS.values() for figure in names})
    packs = []
    for setting in (*LOSSES, POLICY):
        for path in sorted(work.glob(f"{setting}-*/{RESULT_FILE}")):
            members = TrainResult.model_validate_json(path.read_text(encoding="utf-8")).members
            curves = {f: np.array([[step[f] for step in m.curves[:SEEN]] for m in members]) for f in figures}
            seed = int(path.parent.name.rpartition("-")[2])
            packs.append(Pack(setting, seed, correct(path.parent).mean(axis=1), curves))
    return packs


def features(pack: Pack, figures: tuple[str, ...]) -> Floats:
    """Shape (recipes, 1 + figures + 1): one, each figure late in what was seen, and the rise of accuracy."""
    half = SEEN // 2
    late = [pack.curves[figure][:, half:].mean(axis=1) for figure in figures]
    rise = pack.curves["accuracy"][:, half:].mean(axis=1) - pack.curves["accuracy"][:, :half].mean(axis=1)
    return np.column_stack([np.ones(len(pack.end)), *late, rise])


def predicted(pack: Pack, packs: list[Pack], figures: tuple[str, ...]) -> tuple[Floats, Floats]:
    """Accuracy at the end and its standard error, of each recipe by the runs of the others."""
    own = features(pack, figures)
    same = [other for other in packs if other.setting == pack.setting]
    values, errors = [], []
    for recipe in range(len(pack.end)):
        x = np.concatenate([np.delete(features(other, figures), recipe, axis=0) for other in same])
        y = np.concatenate([np.delete(other.end, recipe) for other in same])
        weights, *_ = np.linalg.lstsq(x, y, rcond=None)
        spread = float(((y - x @ weights) ** 2).sum() / (len(y) - x.shape[1]))
        values.append(float(own[recipe] @ weights))
        errors.append((spread * (1 + own[recipe] @ np.linalg.pinv(x.T @ x) @ own[recipe])) ** 0.5)
    return np.array(values), np.array(errors)


def chances(values: Floats, errors: Floats) -> Floats:
    """Of each to end among the chosen."""
    drawn = values + errors * np.random.default_rng(0).standard_normal((DRAWS, values.size))
    places = np.argsort(-drawn, axis=1)[:, :CHOSEN]
    return np.bincount(places.ravel(), minlength=values.size) / DRAWS


def best(end: Floats, going: Places) -> Places:
    return going[np.argsort(-end[going], kind="stable")[:CHOSEN]]


def lost(pack: Pack, packs: list[Pack], going: Places) -> float:
    others = [other.end for other in packs if other.setting == pack.setting and other.seed != pack.seed]
    elsewhere = np.mean(others, axis=0)
    everyone = np.arange(len(pack.end))
    return float(elsewhere[best(pack.end, everyone)].mean() - elsewhere[best(pack.end, going)].mean())


def over_packs(values: list[float], least: float = -1.0) -> list[float]:
    """Mean, low and high, within `least` and 1."""
    found = summarise_seeds(values)
    assert found.interval is not None
    low, high = found.interval
    return [round(found.mean, 4), round(max(low, least), 4), round(min(high, 1.0), 4)]


def compared(packs: list[Pack], figures: tuple[str, ...], bound: float) -> dict[str, Any]:
    stopped, by_curve, by_halving, kept = [], [], [], []
    for pack in packs:
        chance = chances(*predicted(pack, packs, figures))
        order = np.argsort(-chance, kind="stable")
        going = order[: max(CHOSEN, int((chance >= bound).sum()))]
        level = pack.curves["accuracy"][:, SEEN // 2 :].mean(axis=1)
        halved = np.argsort(-level, kind="stable")[: going.size]
        stopped.append(1 - going.size / len(pack.end))
        by_curve.append(lost(pack, packs, going))
        by_halving.append(lost(pack, packs, halved))
        kept.append(len(set(best(pack.end, np.arange(len(pack.end)))) & set(going.tolist())) / CHOSEN)
    return {
        "bound": bound,
        "runs_stopped": over_packs(stopped, 0.0),
        "steps_saved": round(float(np.mean(stopped)) * (1 - SEEN / STEPS), 3),
        "of_the_three_kept": over_packs(kept, 0.0),
        "accuracy_lost": over_packs(by_curve),
        "accuracy_lost_by_halving_as_many": over_packs(by_halving),
        "lost_more_by_halving": over_packs([h - c for h, c in zip(by_halving, by_curve, strict=True)]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs of the benchmark transfer")
    packs = read(parser.parse_args().work)
    # One run of a setting has no other seed to be judged by.
    packs = [pack for pack in packs if sum(other.setting == pack.setting for other in packs) > 1]
    errors = {
        name: [float(v) for pack in packs for v in predicted(pack, packs, figures)[0] - pack.end]
        for name, figures in REGRESSIONS.items()
    }
    result = {
        "machine": machine(),
        "packs": [f"{pack.setting}-{pack.seed}" for pack in packs],
        "recipes": len(packs[0].end),
        "steps": STEPS,
        "seen": SEEN,
        "chosen": CHOSEN,
        "figures": "mean over packs, low and high of its 95 % interval",
        "deviation_of_the_end": round(float(np.std([v for pack in packs for v in pack.end])), 4),
        "error_of_predictions": {name: round(float(np.std(found)), 4) for name, found in errors.items()},
        "rules": [
            {"regression_on": name, **compared(packs, figures, bound)}
            for name, figures in REGRESSIONS.items()
            for bound in BOUNDS
        ],
    }
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
