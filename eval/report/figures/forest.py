"""Forest plot: F1 of ensembles and controls with their intervals, on one axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from eval.report.figures.figure import ACCENT, INK, PAGE, SOFT, Scale, blank, kind_colour, kind_marker, padded_domain
from eval.report.figures.svg import f1_title, line, mark, rectangle, shortened, svg, text, tick_digits
from eval.report.text import interval, number
from eval.statistics.estimate import Estimate


class ForestRow(NamedTuple):
    label: str
    note: str
    f1: Estimate
    kind: str
    """`winner`, `control` or `other`."""
    group: str
    """Rows of a group stand together under its name."""


@dataclass(frozen=True, slots=True)
class ForestFigure:
    rows: tuple[ForestRow, ...]
    """At least one, those of a group one after the other."""
    split: str
    reference: tuple[str, Estimate] | None = None
    """A control drawn through all rows, as a line with its interval shaded."""

    name = "forest"

    @property
    def domain(self) -> tuple[float, float]:
        estimates = [row.f1 for row in self.rows]
        return padded_domain([v for e in estimates for v in (e.low, e.high)], 0.05, within=(0.0, 1.0))

    def svg(self, width: int) -> Markup:
        narrow = width < 500
        left, right = (4, 4) if narrow else (330, 178)
        pitch, gap = (44, 34) if narrow else (30, 34)
        top, bottom = 4, 46
        heights, groups, y = [], [], top
        for k, row in enumerate(self.rows):
            if k == 0 or row.group != self.rows[k - 1].group:
                groups.append((y + 18, row.group))
                y += gap
            heights.append(y + pitch / 2 + (8 if narrow else 0))
            y += pitch
        height = y + bottom
        x = Scale(self.domain, (left + 6, width - right - 6))
        body = []
        if self.reference:
            low, high = (min(max(v, x.domain[0]), x.domain[1]) for v in self.reference[1][1:3])
            body.append(rectangle(x(low), top + 26, x(high) - x(low), y - top - 26, "band reference-band"))
            body.append(line(x(self.reference[1].value), top + 26, x(self.reference[1].value), y, "reference"))
        body += [text(0, place, group, "start", "label group") for place, group in groups]
        for row, place in zip(self.rows, heights, strict=True):
            body += self._row(row, place, x, width, narrow)
        ticks = x.ticks(4 if narrow else 6)
        body.append(line(left, y + 4, width - right, y + 4, "axis"))
        for tick in ticks:
            body.append(line(x(tick), y + 4, x(tick), y + 9, "axis"))
            edge = "start" if x(tick) < left + 14 else "end" if x(tick) > width - right - 14 else "middle"
            body.append(text(x(tick), y + 23, number(tick, tick_digits(ticks)), edge))
        body.append(text((left + width - right) / 2, y + 41, f"F1 on {self.split}", "middle", "label strong"))
        return svg(width, height, f"F1 on {self.split} with intervals", body)

    def _row(self, row: ForestRow, y: float, x: Scale, width: int, narrow: bool) -> list[Markup]:
        words = "label strong" + (" accent" if row.kind == "winner" else "")
        value = "value accent" if row.kind == "winner" else "value"
        if narrow:
            labels = [
                text(0, y - 13, shortened(row.label, 24), "start", f"{words} halo"),
                text(width, y - 13, f"{number(row.f1.value)} {interval(row.f1)}", "end", f"label {value} halo"),
            ]
        else:
            label = shortened(row.label, 30)
            rest = shortened(row.note, 50 - len(label))
            note = Markup('<tspan class="faint" dx="8">{}</tspan>').format(rest) if row.note else ""
            name = Markup('<text x="0" y="{:.1f}" class="{}">{}{}</text>').format(y + 4, words, label, note)
            labels = [
                name,
                text(width - 112, y + 4, number(row.f1.value), "end", f"label {value}"),
                text(width, y + 4, interval(row.f1), "end", "label"),
            ]
        return [
            *labels,
            line(x(row.f1.low), y, x(row.f1.high), y, f"whisker {row.kind}"),
            line(x(row.f1.low), y - 3.5, x(row.f1.low), y + 3.5, f"whisker {row.kind}"),
            line(x(row.f1.high), y - 3.5, x(row.f1.high), y + 3.5, f"whisker {row.kind}"),
            mark(x(row.f1.value), y, f"point {row.kind}", f1_title(row.label, row.f1), 4.8),
        ]

    def paper(self) -> Any:
        figure, axes = blank(PAGE, 0.6 + 0.21 * (len(self.rows) + len({row.group for row in self.rows})))
        if self.reference:
            label, estimate = self.reference
            axes.axvspan(estimate.low, estimate.high, color=INK, alpha=0.06, linewidth=0)
            axes.axvline(estimate.value, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)), label=label)
        y, ticks, labels = 0.0, [], []
        for k, row in enumerate(self.rows):
            if k == 0 or row.group != self.rows[k - 1].group:
                axes.text(
                    -0.012,
                    y,
                    row.group,
                    transform=axes.get_yaxis_transform(),
                    ha="right",
                    va="center",
                    fontsize=7,
                    weight="bold",
                    color=SOFT,
                )
                y += 1
            axes.plot([row.f1.low, row.f1.high], [y, y], color=kind_colour(row.kind), linewidth=1)
            axes.plot(row.f1.value, y, linestyle="none", **kind_marker(row.kind))
            axes.text(
                1.01,
                y,
                f"{number(row.f1.value)} {interval(row.f1)}",
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize=7,
                color=ACCENT if row.kind == "winner" else INK,
            )
            ticks.append(y)
            labels.append(row.label)
            y += 1
        axes.set_yticks(ticks, labels)
        for tick, row in zip(axes.get_yticklabels(), self.rows, strict=True):
            tick.set_color(ACCENT if row.kind == "winner" else INK)
        axes.set_ylim(y - 0.4, -0.6)
        axes.set_xlim(*self.domain)
        axes.set_xlabel(f"F1 on {self.split}")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        return figure
