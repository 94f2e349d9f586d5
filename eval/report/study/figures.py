"""The figures of a study as SVG, drawn with classes so that light, dark and print share one drawing."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from eval.report.figures.figure import Scale, padded_domain
from eval.report.figures.svg import line, mark, path, svg, text, tick_digits, value_axis
from eval.report.study.data import Family, TrajectoryFigure
from eval.report.study.text import difference
from eval.report.text import interval, number, signed_number

NARROW = 500
"""Below this width in pixels labels stand above instead of beside."""
CHARACTER = 6.3
"""Pixels of width of a letter of a label, rather too many."""
LINE = 14
"""Pixels from label to label."""


def trajectory_figure(figure: TrajectoryFigure, kinds: Mapping[str, str], width: int) -> Markup | None:
    """Every run as a thin line, the means of the arms side by side with their intervals; None without values."""
    values = [value for item in figure.trajectories for run in item.runs for value in run if value is not None]
    values += [bound for item in figure.trajectories for mean in item.means if mean for bound in (mean.low, mean.high)]
    if not values:
        return None
    height, left, top, bottom = 320, 40, 26, 34
    right = 16 + CHARACTER * max(len(item.arm) for item in figure.trajectories)
    y = Scale(padded_domain(values, within=(0.0, 1.0)), (height - bottom, top))
    column = (width - left - right) / len(figure.axis)
    centres = [left + column * (place + 0.5) for place in range(len(figure.axis))]
    body = [text(0, 12, figure.measure, "start", "label strong")]
    body += value_axis(y, left, width - right)
    for centre, label in zip(centres, figure.axis, strict=True):
        body.append(text(centre, height - 8, label, "middle", "label strong"))
    step = min(18.0, column / (len(figure.trajectories) + 2))
    offsets = [(place - (len(figure.trajectories) - 1) / 2) * step for place in range(len(figure.trajectories))]
    low, high = y.domain
    for item, offset in zip(figure.trajectories, offsets, strict=True):
        for run in item.runs:
            points = [(x + offset, y(v)) for x, v in zip(centres, run, strict=True) if v is not None]
            if points:
                body.append(path(points, f"run {kinds[item.arm]}"))
    for item, offset in zip(figure.trajectories, offsets, strict=True):
        means = [(x + offset, mean) for x, mean in zip(centres, item.means, strict=True) if mean]
        if means:
            body.append(path([(x, y(mean.value)) for x, mean in means], f"mean {kinds[item.arm]}"))
        for x, mean in means:
            bounds = y(max(mean.low, low)), y(min(mean.high, high))
            body.append(line(x, bounds[0], x, bounds[1], f"whisker {kinds[item.arm]}"))
            title = f"{item.arm}: {number(mean.value)} {interval(mean)}, {mean.n} runs"
            body.append(mark(x, y(mean.value), f"point {kinds[item.arm]}", title, 5))
    ends = {item.arm: next((y(m.value) for m in reversed(item.means) if m), None) for item in figure.trajectories}
    for arm, at in _spread({arm: end for arm, end in ends.items() if end is not None}, top, height - bottom).items():
        body.append(text(width - right + 10, at + 4, arm, "start", f"label {kinds[arm]}"))
    return svg(width, height, f"{figure.title}, by arm", body)


def _spread(wanted: Mapping[str, float], top: float, bottom: float) -> dict[str, float]:
    """Heights of labels, from above to below, each as near to the wanted one as leaves a line to the one above."""
    placed: dict[str, float] = {}
    least = top
    for place, (name, height) in enumerate(sorted(wanted.items(), key=lambda item: item[1])):
        below = (len(wanted) - place - 1) * LINE
        placed[name] = max(least, min(height, bottom - below))
        least = placed[name] + LINE
    return placed


def difference_figure(family: Family, width: int) -> Markup | None:
    """A forest: per comparison every pair as a small point and their mean with its interval; None without any."""
    rows = [item for item in family.comparisons if any(d is not None for d in item.differences)]
    if not rows:
        return None
    values = [d for item in rows for d in item.differences if d is not None]
    values += [bound for item in rows if item.estimate for bound in (item.estimate.low, item.estimate.high)]
    narrow = width < NARROW
    widest = CHARACTER * max(len(f"{item.first} − {item.second}") for item in rows)
    left, right = (8, 8) if narrow else (max(210, 12 + widest), 190)
    row_height, top = (74, 6) if narrow else (44, 6)
    height = top + row_height * len(rows) + 40
    # Two or three pairs can have intervals far wider than the difference can be, which for shares is at most 1.
    known = [d for item in rows for d in item.differences if d is not None]
    limit = 1.0 if max(map(abs, known)) <= 1 else 1.5 * max(map(abs, known))
    low, high = padded_domain([*values, 0.0], 0.06, within=(-limit, limit))
    x = Scale((low, high), (left, width - right))
    base = height - 34
    ticks = x.ticks(4 if narrow else 6)
    body = [line(x(0.0), top, x(0.0), base, "zero")]
    for tick in ticks:
        body.append(line(x(tick), base, x(tick), base + 4, "axis"))
        body.append(text(x(tick), base + 17, _signed(tick, tick_digits(ticks)), "middle"))
    body.append(line(left, base, width - right, base, "axis"))
    body.append(text(width - right, height - 2, f"difference in {family.measure}", "end", "label faint"))
    for place, item in enumerate(rows):
        name = f"{item.first} − {item.second}"
        middle = top + row_height * (place + 0.5) + (18 if narrow else 0)
        if narrow:
            body.append(text(left, middle - 36, name, "start", "label strong"))
            body.append(text(left, middle - 21, difference(item)))
        else:
            body.append(text(0, middle + 4, name, "start", "label strong"))
            body.append(text(width, middle + 4, difference(item), "end"))
        for value in item.differences:
            if value is not None:
                body.append(mark(x(value), middle + 9, "point pair", f"one pair: {signed_number(value)}", 3.2))
        if item.estimate:
            bounds = [x(min(max(bound, low), high)) for bound in (item.estimate.low, item.estimate.high)]
            body.append(line(bounds[0], middle - 3, bounds[1], middle - 3, "whisker main"))
            body.append(mark(x(item.estimate.value), middle - 3, "point main", f"{name}: {difference(item)}", 5))
    return svg(width, height, f"Differences in {family.measure}", body)


def _signed(value: float, digits: int) -> str:
    return "0" if abs(value) < 1e-12 else signed_number(value, digits)
