"""The contract of a pack: several GRPO jobs on one base policy that train together, in one process."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewards_generated.errors import UserError
from trainer.jobs.train import Hardware, TrainJob, TrainResult

MEMBERS_DIFFER_IN = frozenset({"label", "ensemble", "seed"})
"""Fields of a training job in which the members of a pack may differ."""


def shared_fields(job: TrainJob) -> str:
    """Equal for jobs that can train together: the description without the fields in which members may differ."""
    return job.model_dump_json(exclude=set(MEMBERS_DIFFER_IN))


class PackJob(BaseModel):
    """Everything that the results of a pack depend on. A pack is one job: all of it runs, or none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["pack"] = "pack"
    label: str
    """For people. Not part of the digest."""
    members: tuple[TrainJob, ...] = Field(min_length=1)
    """In the order in which their rows stand in a batch. How many train together decides the last bits of each."""
    stop: int | None = None
    """Steps after which the members are evaluated and their states kept, so that each can go on in another pack, be it
    beside others; None: they train to the end."""
    origins: tuple[str, ...] = ()
    """Per member, the digest of the pack from whose kept state it goes on, which ran in a folder beside this one's;
    empty: all start from the beginning."""

    @model_validator(mode="after")
    def _check(self) -> PackJob:
        """Raises UserError for jobs that cannot train together."""
        first = self.members[0]
        shared = first.model_dump(exclude=set(MEMBERS_DIFFER_IN))
        for member in self.members:
            for field, value in member.model_dump(exclude=set(MEMBERS_DIFFER_IN)).items():
                if value != shared[field]:
                    raise UserError(
                        f"the jobs {first.label!r} and {member.label!r} differ in `{field}`; "
                        f"a pack's members may differ only in {', '.join(sorted(MEMBERS_DIFFER_IN))}"
                    )
        require_packable(first)
        if self.stop is not None and not 0 < self.stop < first.grpo.steps:
            raise UserError(f"stop = {self.stop} of a pack is not below the {first.grpo.steps} steps of its members")
        if self.origins and len(self.origins) != len(self.members):
            raise UserError(f"{len(self.members)} members of a pack have {len(self.origins)} origins; give one each")
        digests = [member.digest for member in self.members]
        if len(set(digests)) < len(digests):
            raise UserError("two members of a pack are the same job; give each once")
        return self

    @property
    def shared(self) -> TrainJob:
        """A member, for what is the same in all."""
        return self.members[0]

    @property
    def hardware(self) -> Hardware:
        return self.shared.hardware

    @property
    def digest(self) -> str:
        """SHA-256 over the members' digests in order, the stop, and the origins, hex."""
        parts = ["pack", *(member.digest for member in self.members)]
        if self.stop is not None:
            parts.append(f"stop {self.stop}")
        parts += [f"origin {origin}" for origin in self.origins]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class PackResult(BaseModel):
    """What comes back: one result per member, in the pack's order, unless the pack failed as a whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    failure: str | None = None
    """One sentence saying why there is no result at all."""
    lost: bool = False
    """The process was killed or crashed and left no result: run it again."""
    too_large: bool = False
    """Memory ran out: fewer members would fit."""
    members: tuple[TrainResult, ...] = ()
    """Each member's result; its adapter's path is relative to the member's folder, its seconds are its share, that of
    the packs that it came through included. Of a pack with a stop: the results so far, evaluated there."""
    seconds: dict[str, float] = {}
    """Wall-clock of the whole pack by phase: start, train, generate, score, evaluate."""
    versions: dict[str, str] = {}


class PackTooLarge(Exception):
    """Memory ran out; the message says with how many members."""


def require_packable(job: TrainJob) -> None:
    """Raises UserError for settings under which candidates would not train independently of each other, or at all."""
    if job.tuning != "lora":
        raise UserError(f"tuning = {job.tuning!r} cannot be packed: only LoRA adapters share a base; use 'lora'")
    if job.lora.dropout > 0:
        raise UserError(
            f"lora.dropout = {job.lora.dropout:g} cannot be packed: its random numbers would be shared; use 0"
        )
    if job.grpo.optimizer != "adamw_torch":
        raise UserError(
            f"grpo.optimizer = {job.grpo.optimizer!r} cannot be packed: its states are kept in blocks across "
            "candidates; use 'adamw_torch'"
        )
    if job.grpo.loss == "bnpo" and job.grpo.completions_per_forward:
        raise UserError(
            "grpo.loss = 'bnpo' cannot be packed with grpo.completions_per_forward: it weighs by the tokens of a "
            "micro-batch, and a pack's hold other rows than those of a run by itself; leave that field empty"
        )
