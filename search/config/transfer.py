"""Settings under which the winner is trained again, to see whether it is ahead there as well."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from trainer.jobs.settings import GrpoSettings


class TransferSetting(BaseModel):
    """What differs from the search; what is left empty is as it was there."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    loss: Literal["grpo", "dr_grpo", "dapo"] | None = None
    """How token losses are normalised."""
    scale_advantages: Literal["group", "none"] | None = None
    """Whether advantages are divided by the standard deviation of their group."""
    base_model: Annotated[str, Field(min_length=1)] | None = None
    """Policy that the runs start from: `testbed`, a local folder, or a hub id."""

    @property
    def name(self) -> str:
        """Such as `loss dapo`; of all that is set. Empty: nothing is."""
        return ", ".join(f"{field} {value}" for field, value in self if value is not None)

    def of(self, grpo: GrpoSettings) -> GrpoSettings:
        """The settings of training with what differs."""
        fields = {"loss": self.loss, "scale_advantages": self.scale_advantages}
        return grpo.model_copy(update={field: value for field, value in fields.items() if value is not None})
