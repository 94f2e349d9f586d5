"""How many of the base policy's samples are right, question by question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from eval.report.figures.figure import COLUMN, SOFT
from eval.report.figures.svg import line, rectangle, svg, text
from eval.report.scale import Scale


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
        from matplotlib.figure import Figure

        figure = Figure(figsize=(COLUMN, 1.8))
        axes = figure.add_subplot()
        last = len(self.counts) - 1
        axes.bar([k / last for k in range(last + 1)], self.counts, width=0.8 / last, color=SOFT)
        axes.set_xlabel("share of the base policy's samples that are right")
        axes.set_ylabel("questions")
        return figure
