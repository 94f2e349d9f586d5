"""Exported scores equal ours to 1e-6 in every trainer's convention, in a process that has nothing of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

from rewards_generated import load
from rewards_generated.base import BASE_REWARDS
from rewards_generated.ensemble import Aggregation, Ensemble, Member
from rewards_generated.export import export_ensemble
from rewards_generated.gate import Verdict
from rewards_generated.gate.probe_rollouts import probe_rollouts
from rewards_generated.library import library_codes
from rewards_generated.rollout import Sample
from rewards_generated.sandbox.settings import SandboxSettings
from rewards_generated.scorer import EnsembleScorer

GROUP_SIZE = 4
HOSTS = Path(__file__).with_name("hosts.py")

BATCH = """
def shortness(completions, prompts, answer, **columns):
    return [len(p) / (1 + len(c)) + (g in c) for c, p, g in zip(completions, prompts, answer)]
"""
CLASHING = '''
"""Shares the names of its helpers with another member."""
from __future__ import annotations
import dataclasses, re
LIMIT = {limit}
PATTERN = re.compile(r"\\d+")

@dataclasses.dataclass
class Count:
    numbers: list[str]

def helper(text):
    return Count(PATTERN.findall(text))

def reward(prompt: str, completion: str, answer: str) -> float:
    """Says {quotes} and '\\n'."""
    return min(LIMIT, len(helper(completion).numbers)) / LIMIT
'''


def accepted(*members: Member) -> dict[str, Verdict]:
    """Verdicts of a gate that let everything pass, so that these tests need not run it for every member."""
    return {item.name: Verdict(accepted=True, identity=item.identity, checks=()) for item in members if item.code}


def export(ensemble: Ensemble, folder: Path) -> Path:
    return export_ensemble(ensemble, folder, verdicts=accepted(*ensemble.members))


def members() -> tuple[Member, ...]:
    """Every base reward and every reward of the library, a batch function, and two that share all their names."""
    codes = library_codes() | {
        "batch": BATCH,
        "clash 3": CLASHING.format(limit=3, quotes="nothing"),
        "clash 'nine'\n": CLASHING.format(limit=9, quotes="'''"),
    }
    every = [*((name, None) for name in BASE_REWARDS), *codes.items()]
    return tuple(
        Member(
            name=name,
            code=code,
            weight=0.25 + (place % 7) / 4,
            mean=0.1 * place,
            std=0.0 if place == 5 else 0.5 + place,
        )
        for place, (name, code) in enumerate(every)
    )


@cache
def samples() -> list[Sample]:
    """Whole groups of the gate's constructed rollouts, with odd texts among them."""
    by_group: dict[str, list[Sample]] = {}
    for rollout in probe_rollouts():
        by_group.setdefault(rollout.group, []).append(rollout.sample)
    groups = [group[:GROUP_SIZE] for group in by_group.values() if len(group) >= GROUP_SIZE][:6]
    first = groups[0][0]
    odd = [
        "",
        "<solution> 12 </solution> é ≠ ½ \n",
        "<thinking> 1 + 1 = 2 </thinking>\n<solution>3/4</solution>",
        "=" * 300,
    ]
    groups.append([replace(first, completion=text) for text in odd])
    return [sample for group in groups for sample in group]


def ours(ensemble: Ensemble) -> list[float | None]:
    groups = [place // GROUP_SIZE for place in range(len(samples()))]
    with EnsembleScorer(ensemble, SandboxSettings(mode="default")) as scorer:
        return scorer.score(samples(), groups).totals


def elsewhere(folder: Path, work: Path) -> dict[str, Any]:
    """What the hosts get in an isolated interpreter without any site packages, in a folder without ours."""
    document = {
        "group_size": GROUP_SIZE,
        "samples": [{"prompt": s.prompt, "completion": s.completion, "answer": s.answer} for s in samples()],
    }
    (work / "samples.json").write_text(json.dumps(document), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(HOSTS), str(folder), str(work / "samples.json")],
        capture_output=True,
        text=True,
        cwd=work,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("aggregation", get_args(Aggregation))
def test_every_host_gets_our_scores(aggregation: Aggregation, tmp_path: Path) -> None:
    ensemble = Ensemble(name="every reward", members=members(), aggregation=aggregation)
    folder = export(ensemble, tmp_path / "exported")
    expected = ours(ensemble)
    assert None not in expected
    found = elsewhere(folder, tmp_path)
    assert found["loaded"] == found["importable"] == []
    for host in ("score", "trl", "trl, chat", "verifiers"):
        assert found[host] == pytest.approx(expected, abs=1e-6), host
    for host in ("verl", "openrlhf", "verifiers, v1"):
        if aggregation == "group_normalised":
            assert "'every reward' aggregates by group_normalised" in found[host]
        else:
            assert found[host] == pytest.approx(expected, abs=1e-6), host


def test_the_exported_ensemble_loads_as_the_same(tmp_path: Path) -> None:
    ensemble = Ensemble(name="every reward", members=members(), aggregation="zscore")
    folder = export(ensemble, tmp_path / "exported")
    assert load(folder) == load(folder / "ensemble.toml") == ensemble
    assert load(folder).identity == ensemble.identity
