"""Which folder or hub id a job's `base_model` stands for, and the policy loaded from it."""

from __future__ import annotations

from eval.engines.policy import Policy, load_policy
from trainer.jobs.settings import Hardware


def base_model_source(base_model: str) -> str:
    """`testbed` is the shipped policy's folder; everything else stands for itself."""
    if base_model == "testbed":
        from trainer.testbed import policy_path

        return str(policy_path())
    return base_model


def load_base_policy(base_model: str, hardware: Hardware) -> Policy:
    """Loads the policy in the job's precision on its device. Raises UserError if it cannot be."""
    return load_policy(base_model_source(base_model), hardware.device, hardware.dtype)
