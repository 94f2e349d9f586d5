"""SVG elements with classes instead of colours, so that light, dark and print share one drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from eval.report.figures.figure import Scale
from eval.report.text import interval, number
from eval.statistics.estimate import Estimate

RADIUS = 4.5


def svg(width: float, height: float, title: str, body: Sequence[Markup], kind: str = "figure") -> Markup:
    inside = Markup("").join(body)
    role = "group" if "<a " in inside else "img"  # in an image nothing could be reached
    return Markup(
        '<svg class="{}" viewBox="0 0 {:g} {:g}" width="{:g}" height="{:g}" role="{}" aria-label="{}">{}</svg>'
    ).format(kind, width, height, width, height, role, title, inside)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(x1, y1, x2, y2, kind)


def text(x: float, y: float, words: str, anchor: str = "start", kind: str = "label") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="{}">{}</text>').format(x, y, anchor, kind, words)


def rectangle(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="{}"/>').format(
        x, y, width, height, kind
    )


def path(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """Straight lines through the points."""
    steps = " ".join(f"{'M' if k == 0 else 'L'}{x:.1f} {y:.1f}" for k, (x, y) in enumerate(points))
    return Markup('<path d="{}" class="{}"/>').format(steps, kind)


def mark(x: float, y: float, kind: str, title: str, radius: float = RADIUS) -> Markup:
    """A dot, or a hollow diamond for controls, which so stay apart without colour."""
    if "control" in kind.split():
        r = radius * 1.15
        shape = Markup(
            '<path d="M{:.1f} {:.1f}l{r:.1f} {r:.1f}l-{r:.1f} {r:.1f}l-{r:.1f} -{r:.1f}z" class="{}">'
        ).format(x, y - r, kind, r=r)
        return shape + Markup("<title>{}</title></path>").format(title)
    return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{:g}" class="{}"><title>{}</title></circle>').format(
        x, y, radius, kind, title
    )


def link(anchor: str, inside: Markup) -> Markup:
    return Markup('<a href="#{}">{}</a>').format(anchor, inside)


def tick_digits(ticks: Sequence[float]) -> int:
    """Decimals that tell the ticks apart."""
    gaps = [b - a for a, b in pairwise(ticks)]
    return max(0, -math.floor(math.log10(min(gaps)) + 1e-9)) if gaps else 2


def value_axis(y: Scale, left: float, right: float, about: int = 5) -> list[Markup]:
    """Horizontal grid lines with their values to the left."""
    body, ticks = [], y.ticks(about)
    for tick in ticks:
        body.append(line(left, y(tick), right, y(tick), "grid"))
        body.append(text(left - 8, y(tick) + 4, number(tick, tick_digits(ticks)), "end"))
    return body


def f1_title(label: str, f1: Estimate) -> str:
    return f"{label}: F1 {number(f1.value)} {interval(f1)}"


def shortened(words: str, longest: int) -> str:
    return words if len(words) <= longest else words[: longest - 1] + "…"
