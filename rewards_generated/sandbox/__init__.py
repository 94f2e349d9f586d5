"""Runs one untrusted reward function in a sealed process of its own.

with RewardWorker(code, SandboxSettings()) as worker:
    scores = worker.score(samples)
"""

from rewards_generated.sandbox.settings import EntryPoint, SandboxSettings, Seal
from rewards_generated.sandbox.strength import SandboxStrength, measure_strength, require_strength
from rewards_generated.sandbox.worker import RewardWorker, WorkerCounts

__all__ = [
    "EntryPoint",
    "RewardWorker",
    "SandboxSettings",
    "SandboxStrength",
    "Seal",
    "WorkerCounts",
    "measure_strength",
    "require_strength",
]
