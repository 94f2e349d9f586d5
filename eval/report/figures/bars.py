"""Small drawings inside the cells of tables."""

from __future__ import annotations

from markupsafe import Markup

from eval.report.figures.svg import line, rectangle, svg
from eval.report.scale import Scale
from eval.report.text import number

_WIDTH, _HEIGHT = 90, 12


def share_bar(share: float) -> Markup:
    """A share of 1 as the filled part of a bar."""
    body = [rectangle(0, 3, _WIDTH, 6, "track"), rectangle(0, 3, _WIDTH * share, 6, "bar")]
    return svg(_WIDTH, _HEIGHT, number(share), body, "cell")


def rank_bar(low: int, high: int, rank: float, entries: int) -> Markup:
    """An interval of ranks and the rank itself, the best to the left."""
    x = Scale((1, max(entries, 2)), (3, _WIDTH - 3))
    body = [
        rectangle(0, 3, _WIDTH, 6, "track"),
        rectangle(x(low) - 3, 3, x(high) - x(low) + 6, 6, "range"),
        line(x(rank), 1, x(rank), 11, "rank"),
    ]
    return svg(_WIDTH, _HEIGHT, f"rank {rank:g}, between {low} and {high} of {entries}", body, "cell")
