"""The weight of one member of a reward set over the share of a run, small."""

from __future__ import annotations

from markupsafe import Markup, escape

from eval.report.data import MemberWeight
from eval.report.figures.figure import Scale
from eval.report.figures.svg import line, path, svg, text
from eval.report.text import compact, visible


def weight_points(member: MemberWeight) -> list[tuple[float, float]]:
    """Share of the run's steps that are done, and the weight there; straight lines lie between them."""
    start, schedule = member.weight, member.schedule
    if schedule is None:
        return [(0.0, start), (1.0, start)]
    turn = [] if schedule.at is None else [(schedule.at, start), (schedule.at, schedule.to)]
    return [(0.0, start), *turn, (1.0, schedule.to)]


def weight_figure(member: MemberWeight, domain: tuple[float, float], width: int = 210) -> Markup:
    """`domain`: of the weights, shared by the members of a set so that they can be compared."""
    height, top, bottom = 84, 22, 16
    x, y = Scale((0.0, 1.0), (2, width - 2)), Scale(domain, (height - bottom, top))
    points = weight_points(member)
    name = visible(member.name)[:36]
    body = [
        text(2, 12, name, "start", "label strong"),
        text(width - 2, 12, compact(points[-1][1]), "end"),
        line(2, y(0.0), width - 2, y(0.0), "grid"),
        path([(x(share), y(weight)) for share, weight in points], "curve"),
        text(2, height - 4, f"{compact(member.weight)} at the start", "start", "label faint"),
        text(width - 2, height - 4, "end", "end", "label faint"),
    ]
    words = f"{member.weight:g} {member.schedule.words()}" if member.schedule else f"{member.weight:g} all over the run"
    title = f"weight of {name}: {words}"
    return svg(width, height, title, [Markup("<title>{}</title>").format(escape(title)), *body], "curve")
