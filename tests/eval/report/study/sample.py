"""A made study of two arms over four seeds."""

from __future__ import annotations

from typing import Any

from eval.report.data import Setting
from eval.report.study.data import Arm, Family, StudyReport, Table, Trajectory, TrajectoryFigure
from eval.statistics.estimate import Estimate
from eval.statistics.replicates import compare_arms

FIRST = (0.5, 0.62, 0.55, 0.58)
SECOND = (0.41, 0.5, 0.47, None)


def made_study(**changes: Any) -> StudyReport:
    def trajectory(arm: str, ends: tuple[float | None, ...]) -> Trajectory:
        return Trajectory(
            arm=arm,
            runs=tuple((0.4, end) for end in ends),
            means=(Estimate(0.4, 0.4, 0.4, 4, 0.95, "t"), Estimate(0.5, 0.4, 0.6, 4, 0.95, "t")),
        )

    arms = {"told": FIRST, "untold": SECOND}
    values: dict[str, Any] = {
        "name": "sample",
        "title": "Does telling help?",
        "headline": "Telling `helps`: <b>yes</b> & no",
        "claim": "It is said to.",
        "caveats": ("One task only.",),
        "arms": (
            Arm(name="told", description="is told", kind="main"),
            Arm(name="untold", description="is not", kind="control"),
        ),
        "seeds": (0, 1, 2, 3),
        "figures": (
            TrajectoryFigure(
                title="F1 by round",
                caption="Thin lines are runs.",
                axis=("round 1", "round 2"),
                measure="mean F1",
                trajectories=(trajectory("told", FIRST), trajectory("untold", SECOND)),
            ),
        ),
        "families": (
            Family(
                title="The last round",
                measure="mean F1",
                primary=True,
                comparisons=compare_arms(arms, [("told", "untold")]),
            ),
        ),
        "tables": (
            Table(title="Arms", columns=("arm", "F1"), rows=(("told <script>", "0.563 [0.478, 0.647]"),), note="Made."),
        ),
        "methods": "Runs were made.",
        "settings": (Setting(name="task", value="none"),),
        "size": "quick",
        "complete": True,
        "record": {"seed-0-told": {"f1": 0.5}},
    }
    return StudyReport(**{**values, **changes})
