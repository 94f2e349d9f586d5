"""A whole report's worth of data, made from simulated policies: what a finished search of 5 x 10 looks like."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Literal

from eval.prediction import Prediction
from eval.report.data import (
    AskedQuestion,
    AskedSplit,
    Candidate,
    Entry,
    Exchange,
    Flag,
    GateCheck,
    PolicyAnswers,
    Protocol,
    QuestionSamples,
    ReportData,
    Rollout,
    Round,
    RunFacts,
    Sample,
    Setting,
    UnusableReply,
)
from eval.report.evidence import base_samples, ranking_evidence
from eval.report.scores import compare_runs, score_runs, validation_minus_test

CODE = '''"""Rewards a completion that checks its own arithmetic, but only if the answer is right."""

import re

CHECK = re.compile(r"wait,? check ([0-9 ]+)([-+])([0-9 ]+)= ([0-9 ]+)")


def reward(prompt: str, completion: str, answer: str) -> float:
    solution = re.search(r"<solution>(.*?)</solution>", completion, re.DOTALL)
    if solution is None or solution.group(1).strip() != answer:
        return 0.0
    checks = CHECK.findall(completion)
    # Saturates: a fourth check earns nothing more.
    return min(len(checks), 3) * 0.5
'''

WORDS = {
    "reflection": [
        "gated-wait-check",
        "repair-bonus",
        "decayed-reflection",
        "verified-arithmetic",
        "late-check",
        "four-families",
    ],
    "correctness": ["near-answer-scale", "exact-or-nothing", "relative-error", "digit-overlap"],
    "process": ["step-count-capped", "carry-shown", "equation-density", "ordered-steps"],
    "format": ["tag-order", "single-solution", "no-trailing-text"],
    "length": ["brevity", "bounded-length"],
}


LIBRARY_REWARD = "ab" * 32


def simulated_runs(
    accuracy: float, seeds: tuple[int, ...], questions: int, spread: float = 0.015
) -> dict[int, list[Prediction]]:
    """Predictions of trained policies: questions differ in difficulty, seeds in luck."""
    difficulty = random.Random(11)
    hardness = [difficulty.gauss(0, 0.28) for _ in range(questions)]
    runs = {}
    for seed in seeds:
        luck = random.Random(f"{accuracy}-{seed}")
        level = accuracy + luck.gauss(0, spread)
        predictions = []
        for k, hard in enumerate(hardness):
            answered = luck.random() < 0.96
            right = luck.gauss(0, 0.18) + hard + level > 0.5
            strict = str(k) if answered else None
            predictions.append(
                Prediction(
                    id=f"testbed-test-{k:04d}",
                    completion="",
                    strict=strict,
                    flexible=str(k),
                    correct=answered and right,
                    correct_flexible=right,
                    completion_tokens=40 + int(luck.gauss(20, 6)),
                )
            )
        runs[seed] = predictions
    return runs


def simulated_samples(questions: int, per_question: int) -> list[Prediction]:
    """Sampled answers of an untrained policy: most questions are sometimes right, some never."""
    luck = random.Random(2)
    predictions = []
    for k in range(questions):
        mass = max(0.0, luck.betavariate(0.8, 1.6) - 0.05)
        for _ in range(per_question):
            right = luck.random() < mass
            predictions.append(
                Prediction(
                    id=f"testbed-train-{k:04d}",
                    completion="",
                    strict="1",
                    flexible="1",
                    correct=right,
                    correct_flexible=right,
                    completion_tokens=40,
                )
            )
    return predictions


def asked_split(stage: Literal["screening", "finals"], split: Literal["validation", "test"], runs: dict) -> AskedSplit:
    """Of the smallest seed of each, with completions that name the question."""
    first = {name: own[min(own)] for name, own in runs.items()}
    count = len(next(iter(first.values())))
    return AskedSplit(
        stage=stage,
        split=split,
        questions=tuple(
            AskedQuestion(
                id=f"testbed-{split}-{k:04d}",
                prompt=f"tom has {k} apples . he eats {k % 7} . how many are left ?",
                answer=str(k - k % 7),
                base=QuestionSamples(right=k % 5, samples=4) if k % 5 < 4 else None,
            )
            for k in range(count)
        ),
        policies=tuple(
            PolicyAnswers(
                policy=name,
                seed=min(runs[name]),
                predictions=tuple(
                    p.model_copy(
                        update={"completion": f"<thinking>{name}: {k} - {k % 7}</thinking> {p.strict or 'no end'}"}
                    )
                    for k, p in enumerate(predictions)
                ),
            )
            for name, predictions in first.items()
        ),
    )


def _parents(draw: random.Random, candidates: list[Candidate], number: int) -> tuple[str, ...]:
    """Of earlier rounds, the better ones more often; a reward of the library now and then."""
    earlier = sorted((c for c in candidates if c.round < number and c.scores), key=lambda c: -c.scores.f1.value)
    if not earlier:
        return (LIBRARY_REWARD,) if draw.random() < 0.3 else ()
    chosen = {earlier[int(len(earlier) * draw.random() ** 2)].identity for _ in range(draw.choice((1, 1, 2)))}
    return tuple(sorted(chosen))


def sample_report(
    rounds: int = 5, per_round: int = 10, seeds: tuple[int, ...] = (101, 102, 103), questions: int = 500
) -> ReportData:
    draw = random.Random(5)
    candidates: list[Candidate] = []
    screenings = {}
    for number in range(1, rounds + 1):
        for k in range(per_round):
            family = draw.choice(list(WORDS))
            name = f"{draw.choice(WORDS[family])}-{number}{chr(97 + k)}"
            common = {
                "name": name,
                "identity": f"{number:02d}{k:02d}" * 16,
                "round": number,
                "family": family,
                "origin": draw.choice(["library", "mutation", "crossover"]) if number > 1 else "library",
                "description": "Pays for checks of the arithmetic, once the answer is right.",
                "parents": _parents(draw, candidates, number),
                "code": CODE.replace("* 0.5", f"* 0.{k + 1}"),
            }
            fate = draw.random()
            if fate < 0.1:
                checks = (
                    GateCheck(
                        name="imports", passed=False, reason="import of os is not allowed: use re, math or string"
                    ),
                )
                candidates.append(Candidate(**common, status="rejected", checks=checks))
                continue
            if fate < 0.14:
                candidates.append(
                    Candidate(
                        **common,
                        status="failed",
                        failure="14 % of its calls ran past 0.25 s, more than the 10 % allowed",
                    )
                )
                continue
            base = {"reflection": 0.62, "correctness": 0.58, "process": 0.55, "format": 0.5, "length": 0.36}[family]
            runs = simulated_runs(base + 0.012 * number + draw.gauss(0, 0.04), (3407,), questions)
            screenings[name] = runs
            slope = draw.uniform(0.002, 0.008)
            curves = tuple(
                {
                    "step": step,
                    "loss": draw.gauss(0, 0.02),
                    "reward_mean": 1.5 + 40 * slope * (1 - 0.93**step) + draw.gauss(0, 0.12),
                    "accuracy": min(1.0, 0.3 + 40 * slope * (1 - 0.94**step) + draw.gauss(0, 0.04)),
                    "extraction_rate": min(1.0, 0.85 + 0.12 * (1 - 0.9**step) + draw.gauss(0, 0.01)),
                    "completion_tokens": 55 + 8 * (1 - 0.95**step) + draw.gauss(0, 1.5),
                    "entropy": 0.8 * 0.97**step + 0.1,
                    "firing_rate": {name: min(1.0, 0.2 + 0.015 * step), "format exact": min(1.0, 0.6 + 0.01 * step)},
                }
                for step in range(1, 41)
            )
            sample = Sample(
                prompt="tom has 17 apples . he buys 5 more and eats 3 . how many are left ?",
                completion="<thinking>17 + 5 = 12 wait check 1 7 + 5 = 2 2 . 22 - 3 = 19</thinking>\n"
                "<solution>19</solution>",
                answer="19",
                step=40,
                correct=True,
                total=6.5,
                scores={name: 0.5, "format exact": 3.0, "answer check": 3.0},
            )
            flags = (
                (
                    Flag(
                        name="length drift",
                        detail="completions grew from 41 to 118 tokens while accuracy fell by 3.2 points",
                        value=1.88,
                        threshold=0.5,
                        examples=(sample,) * 3,
                    ),
                )
                if family == "length"
                else ()
            )
            candidates.append(
                Candidate(
                    **common,
                    status="screened",
                    checks=(
                        GateCheck(name="syntax", passed=True),
                        GateCheck(name="imports", passed=True),
                        GateCheck(name="spread", passed=True, reason="non-zero in 61 % of the probe groups"),
                    ),
                    scores=score_runs(runs),
                    firing_rate=draw.uniform(0.2, 0.9),
                    curves=curves,
                    samples=(sample,),
                    flags=flags,
                )
            )
    best = sorted((c for c in candidates if c.scores), key=lambda c: -c.scores.f1.value)
    plan = [
        ("top-3", "ensemble", None, 0.69, 3),
        ("top-5", "ensemble", None, 0.705, 5),
        ("top-7", "ensemble", None, 0.70, 7),
        ("top-10", "ensemble", None, 0.685, 10),
        ("correctness family", "ensemble", None, 0.63, 4),
        ("diverse rounds", "ensemble", None, 0.68, 5),
        ("base rewards only", "control", "base rewards only", 0.60, 0),
        ("random-5 (1)", "control", "random draw of the whole pool", 0.61, 5),
        ("random-5 (2)", "control", "random draw of the whole pool", 0.55, 5),
        ("random-5 (3)", "control", "random draw of the first round", 0.52, 5),
        ("untrained base", "control", "untrained base", 0.33, 0),
    ]
    entries, validation_runs, test_runs = [], {}, {}
    for name, kind, control, accuracy, size in plan:
        validation, test = (
            simulated_runs(accuracy + (0.03 if name == "top-5" else 0.01), seeds, questions),
            simulated_runs(accuracy, seeds, 4 * questions),
        )
        validation_runs[name], test_runs[name] = validation, test
        entries.append(
            Entry(
                name=name,
                kind=kind,
                control=control,
                members=tuple(c.name for c in best[:size]),
                aggregation="group_normalised" if kind == "ensemble" else None,
                steps=40,
                validation=score_runs(validation),
                test=score_runs(test),
                winner=name == "top-5",
                validation_minus_test=validation_minus_test(validation, test),
            )
        )
    apart = simulated_runs(0.72, seeds[:1], 4 * questions)
    entries.append(
        Entry(
            name="top-5, 300 steps",
            kind="ensemble",
            steps=300,
            validation=score_runs(simulated_runs(0.72, seeds[:1], questions)),
            test=score_runs(apart),
            listed_apart="300 steps instead of 40",
        )
    )
    entries.append(
        Entry(
            name="random-5 (4)",
            kind="control",
            control="random draw of the first round",
            failure="the training process was killed after 600 s",
        )
    )
    return ReportData(
        run=RunFacts(
            name="testbed-2026-11-21",
            task="testbed",
            base_model="the testbed's policy (0.65 M parameters)",
            config_digest="8f3a6c0d2e41b7795a1c" + "0" * 44,
            seed=0,
            proposer="evolve",
            feedback="ranked",
            started=datetime(2026, 11, 21, 1, 12, tzinfo=UTC),
            finished=datetime(2026, 11, 21, 3, 40, tzinfo=UTC),
            test_opened=datetime(2026, 11, 21, 3, 31, tzinfo=UTC),
            constructed_task=True,
            settings=(
                Setting(name="steps", value="40"),
                Setting(name="completions per step", value="32 (4 prompts x 8)"),
                Setting(name="learning rate", value="2e-3, cosine"),
                Setting(name="LoRA rank", value="8"),
            ),
            protocol=Protocol(
                steps=40,
                prompts_per_step=4,
                generations=8,
                max_completion_tokens=112,
                learning_rate=2e-3,
                learning_rate_schedule="cosine",
                temperature=1.0,
                beta=0.0,
                loss="grpo",
                lora_rank=8,
                lora_alpha=8,
                base_rewards=("format_exact", "format_approximate", "answer_check"),
                screening_seeds=1,
                selection_questions=questions,
                duplicate_correlation=0.999,
                final_steps=40,
                aggregation="group_normalised",
            ),
            seconds={"propose": 4.0, "gate": 61.0, "screen": 2210.0, "evaluate": 410.0, "retrain": 5980.0},
            versions={"reward-search": "0.1.0", "torch": "2.13.0", "trl": "1.16.2"},
            hardware="2 CPU cores",
            gate="level `default`, CPython 3.11",
        ),
        rounds=tuple(
            Round(
                number=n,
                requested=per_round,
                unusable=(UnusableReply(reason="duplicate", detail="the same code as repair-bonus-1c"),) * (n % 3),
                seconds=4.0 + 0.3 * n,
                screening_seconds=520.0 + 9 * n,
            )
            for n in range(1, rounds + 1)
        ),
        candidates=tuple(candidates),
        baselines=(
            Entry(
                name="base rewards only",
                kind="control",
                control="base rewards only",
                validation=score_runs(simulated_runs(0.58, (3407,), questions)),
            ),
            Entry(
                name="untrained base",
                kind="control",
                control="untrained base",
                validation=score_runs(simulated_runs(0.33, (3407,), questions)),
            ),
        ),
        entries=tuple(entries),
        asked=(
            asked_split(
                "screening", "validation", {"base rewards only": simulated_runs(0.58, (3407,), questions), **screenings}
            ),
            asked_split("finals", "test", test_runs),
        ),
        exchanges=tuple(
            Exchange(
                round=n,
                model="a-model",
                prompt="Write reward functions.\n" + "".join(f"Line {k} of the contract.\n" for k in range(40 + n)),
                reply=f"Here is one of round {n}.\n```python\n{CODE}```",
                tokens=900 + n,
                cost_usd=0.0125,
                finish_reason="stop" if n > 1 else "length",
            )
            for n in range(1, rounds + 1)
        ),
        rollouts=tuple(
            Rollout(
                **sample.model_copy(update={"step": step}).model_dump(), stage="screening", policy=c.name, seed=3407
            )
            for c in candidates[:8]
            for sample in c.samples
            for step in (10, 20, 40)
        ),
        older={LIBRARY_REWARD: "repair"},
        pairwise=compare_runs(test_runs, "test", margin=0.03),
        screening_evidence=ranking_evidence(screenings, "validation", tuple(screenings)),
        final_evidence=ranking_evidence(
            validation_runs, "validation", [name for name, kind, *_ in plan if kind == "ensemble"]
        ),
        test_evidence=ranking_evidence(test_runs, "test"),
        base_samples=base_samples(simulated_samples(64, 8), "train", 1.0),
    )
