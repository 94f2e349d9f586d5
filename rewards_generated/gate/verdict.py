"""What the gate found out about a candidate, in figures for the ledger and in words for whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from rewards_generated.gate.settings import CheckName


class Check(BaseModel):
    """One check. `value` is its figure (its meaning stands in `message`), None where the check has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: CheckName
    passed: bool
    enforced: bool
    """A failure rejects; otherwise it is a warning."""
    message: str
    """What was found and, after a failure, what to change, with the line where one is known."""
    value: float | None = None
    line: int | None = None


class Verdict(BaseModel):
    """Of one piece of code. Checks stand in the order in which they ran; it stops where the rest would be void."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accepted: bool
    identity: str | None
    """None: the code is not Python."""
    kind: Literal["sample", "batch", "group"] = "sample"
    """`batch`: it takes lists, as TRL's rewards do, and has to be imported through `adapters.batch`; `group`: all
    completions of a prompt."""
    checks: tuple[Check, ...]
    seconds: float = 0.0
    """Wall-clock of the gate."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was rejected, one sentence per failed check; empty if accepted."""
        return tuple(f"{check.name}: {check.message}" for check in self.checks if check.enforced and not check.passed)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is doubtful but does not reject."""
        return tuple(
            f"{check.name}: {check.message}" for check in self.checks if not check.enforced and not check.passed
        )

    @property
    def figures(self) -> dict[str, float]:
        """Check → its figure, for the ledger and the next prompt; without times, which differ from run to run."""
        timed = "bounded_time"
        return {item.name: item.value for item in self.checks if item.value is not None and item.name != timed}


def together(verdicts: Mapping[str, Verdict]) -> Verdict:
    """Of several rewards that are trained as one, by name: accepted if all are, each check with its reward's name. Of
    one alone its own verdict. It has no identity: it is of no single piece of code."""
    if len(verdicts) == 1:
        return next(iter(verdicts.values()))
    checks = [
        check.model_copy(update={"message": f"{name}: {check.message}"})
        for name, verdict in verdicts.items()
        for check in verdict.checks
    ]
    return Verdict(
        accepted=all(verdict.accepted for verdict in verdicts.values()),
        identity=None,
        checks=tuple(checks),
        seconds=sum(verdict.seconds for verdict in verdicts.values()),
    )
