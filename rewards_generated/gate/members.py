"""The gate for a member of an ensemble: judged at every weight that it has at one end of a run."""

from __future__ import annotations

from typing import Any

from rewards_generated.ensemble import Member
from rewards_generated.gate.settings import GateSettings
from rewards_generated.gate.verdict import Verdict


def check_member(member: Member, settings: GateSettings, **known: Any) -> Verdict:
    """The verdict at the weight at the start, or at the end of a schedule if only that rejects. `known`: what `check`
    takes beside the code and the settings, whose weight is the member's own.

    What is judged is linear in the weight, so the ends say most of what lies between; at weight 0 there is nothing to
    judge. Raises ValueError for a base reward, which needs no gate.
    """
    from rewards_generated.gate import check

    if member.code is None:
        raise ValueError(f"{member.name} is a base reward and needs no gate")
    ends = dict.fromkeys((member.weight_at(0.0), member.weight_at(1.0)))
    weights = [weight for weight in ends if weight != 0] or [0.0]
    verdicts = [check(member.code, settings=settings.model_copy(update={"weight": w}), **known) for w in weights]
    return next((verdict for verdict in verdicts if not verdict.accepted), verdicts[0])
