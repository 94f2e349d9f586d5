"""What the report of a study shows, as plain data; every study fills the same form."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from eval.report.data import Setting
from eval.statistics.estimate import Estimate
from eval.statistics.replicates import ArmComparison


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(_Data):
    """One of the treatments that are compared."""

    name: str
    description: str
    kind: Literal["main", "other", "control"] = "other"
    """How it is drawn: the treatment in question, another one, a control."""


class Trajectory(_Data):
    """One arm along the axis of a figure: every run, and the mean over the runs where there is one."""

    arm: str
    runs: tuple[tuple[float | None, ...], ...]
    """Per seed, one value per place on the axis; None: there is none."""
    means: tuple[Estimate | None, ...]
    """With Student's t interval over the seeds; of a single seed without width."""


class TrajectoryFigure(_Data):
    """Runs of all arms along one axis, such as F1 by round."""

    title: str
    caption: str
    axis: tuple[str, ...]
    """Labels of the places, in order."""
    measure: str
    """What is drawn, such as `mean F1`."""
    trajectories: tuple[Trajectory, ...]


class Family(_Data):
    """Comparisons that were declared together and are corrected together."""

    title: str
    measure: str
    """What is compared, such as `mean F1 of the last round`."""
    primary: bool
    comparisons: tuple[ArmComparison, ...]
    note: str = ""


class Table(_Data):
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The first column is a name, the others are figures."""
    note: str = ""


class StudyReport(_Data):
    name: str
    """Such as `feedback`."""
    title: str
    headline: str
    """What was found, in one or two sentences that say how sure one may be."""
    claim: str
    """What is claimed, and by whom."""
    caveats: tuple[str, ...]
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    level: float = 0.95
    figures: tuple[TrajectoryFigure, ...] = ()
    families: tuple[Family, ...] = ()
    tables: tuple[Table, ...] = ()
    methods: str
    settings: tuple[Setting, ...] = ()
    size: str
    complete: bool
    """Whether all of the study is in; if not, the report says so first."""
    record: dict[str, Any] = {}
    """What was measured, unit by unit, for the JSON form."""
