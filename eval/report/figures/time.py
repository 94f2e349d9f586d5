"""Where the time went: seconds of work by phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from eval.report.figures.figure import COLUMN, INK, SOFT
from eval.report.figures.svg import rectangle, svg, text
from eval.report.text import duration


class TimeBar(NamedTuple):
    phase: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TimeFigure:
    bars: tuple[TimeBar, ...]
    """At least one with more than 0 seconds."""

    name = "time"

    def svg(self, width: int) -> Markup:
        pitch, left, right = 30, 112, 118
        total, longest = sum(bar.seconds for bar in self.bars), max(bar.seconds for bar in self.bars)
        body = []
        for k, bar in enumerate(self.bars):
            y = k * pitch + 4
            body.append(text(0, y + 14, bar.phase, "start", "label strong"))
            body.append(rectangle(left, y + 3, max((width - left - right) * bar.seconds / longest, 1), 14, "bar"))
            body.append(text(width - 44, y + 14, duration(bar.seconds), "end"))
            body.append(text(width, y + 14, f"{100 * bar.seconds / total:.0f} %", "end", "label faint"))
        return svg(width, len(self.bars) * pitch + 6, "Seconds of work by phase", body)

    def paper(self) -> Any:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(COLUMN, 0.5 + 0.24 * len(self.bars)))
        axes = figure.add_subplot()
        places = range(len(self.bars))
        axes.barh(places, [bar.seconds / 60 for bar in self.bars], height=0.6, color=SOFT)
        for place, bar in zip(places, self.bars, strict=True):
            axes.annotate(
                duration(bar.seconds),
                (bar.seconds / 60, place),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=6.5,
                color=INK,
            )
        axes.set_yticks(places, [bar.phase for bar in self.bars])
        axes.invert_yaxis()
        axes.margins(x=0.2)
        axes.set_xlabel("minutes of work, jobs added up")
        axes.tick_params(axis="y", length=0)
        return figure
