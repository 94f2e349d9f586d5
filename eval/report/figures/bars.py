"""Bar charts: how many of the base policy's samples are right, question by question, and where the time went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from eval.report.figures.figure import COLUMN, INK, SOFT, Scale, blank
from eval.report.figures.svg import line, rectangle, svg, text
from eval.report.text import duration


@dataclass(frozen=True, slots=True)
class SamplesFigure:
    """Questions by their share of right samples, from none to all."""

    counts: tuple[int, ...]
    """Questions with the k-th share, k / (len - 1); at least two shares."""

    name = "base-samples"

    def svg(self, width: int) -> Markup:
        height, left, top, bottom = 190, 30, 22, 40
        y = Scale((0, max(*self.counts, 1)), (height - bottom, top))
        pitch = (width - left) / len(self.counts)
        body = [text(0, 10, "questions", "start", "label strong")]
        for tick in y.ticks(3):
            body.append(line(left, y(tick), width, y(tick), "grid"))
            body.append(text(left - 6, y(tick) + 4, f"{tick:g}", "end", "label faint"))
        last = len(self.counts) - 1
        for k, count in enumerate(self.counts):
            # Where all samples agree there is nothing for a group to learn from.
            kind = "bar faded" if k in (0, last) else "bar"
            body.append(rectangle(left + k * pitch + 2, y(count), pitch - 4, max(y(0) - y(count), 0), kind))
            if k in (0, last) or (last % 2 == 0 and k == last // 2):
                words = "none" if k == 0 else "all" if k == last else "half"
                body.append(text(left + (k + 0.5) * pitch, height - bottom + 16, words, "middle", "label"))
        body.append(text(width, height - 4, "share of samples that are right", "end", "label strong"))
        return svg(width, height, "Questions by the share of right samples of the base policy", body)

    def paper(self) -> Any:
        figure, axes = blank(COLUMN, 1.8)
        last = len(self.counts) - 1
        axes.bar([k / last for k in range(last + 1)], self.counts, width=0.8 / last, color=SOFT)
        axes.set_xlabel("share of the base policy's samples that are right")
        axes.set_ylabel("questions")
        return figure


class TimeBar(NamedTuple):
    phase: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TimeFigure:
    """Seconds of work by phase."""

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
        figure, axes = blank(COLUMN, 0.5 + 0.24 * len(self.bars))
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
