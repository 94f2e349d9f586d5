"""The contract of a figure, linear axes with round tick values, and how all figures are put on paper."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from eval.report.text import visible

ACCENT, INK, SOFT, RULE = "#0b6e69", "#1d1c1a", "#6a665f", "#dcd8d0"
"""The page's colours in light, for figures on paper."""
COLUMN, PAGE = 3.4, 7.0
"""Widths of a column and of a page of a paper, in inches."""
FORMATS = ("svg", "png", "pdf")
_DOTS_PER_INCH = 300
# Without dates, so that the same run gives the same files.
METADATA = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}


class PaperFigure(Protocol):
    """Data of one figure that can be drawn for a paper; most have an `svg(width)` for the page as well, which shows the
    same."""

    @property
    def name(self) -> str:
        """The stem of its files."""

    def paper(self) -> Any:
        """A matplotlib figure."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps `domain` onto `pixels`, both given as (start, end)."""

    domain: tuple[float, float]
    pixels: tuple[float, float]

    def __call__(self, value: float) -> float:
        (low, high), (start, end) = self.domain, self.pixels
        return start + (value - low) / (high - low) * (end - start)

    def ticks(self, about: int = 5) -> list[float]:
        """Multiples of 1, 2 or 5 times a power of ten within the domain."""
        low, high = self.domain
        step = tick_step(high - low, about)
        first = math.ceil(low / step - 1e-9)
        last = math.floor(high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]


def tick_step(span: float, about: int) -> float:
    raw = span / max(about, 1)
    magnitude = float(10 ** math.floor(math.log10(raw)))
    return next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= raw * (1 - 1e-9))


def padded_domain(
    values: list[float], share: float = 0.08, within: tuple[float, float] | None = None
) -> tuple[float, float]:
    """A domain around the values with some air, never of zero width."""
    low, high = min(values), max(values)
    air = (high - low) * share or max(abs(high) * share, 0.05)
    low, high = low - air, high + air
    if within is not None:
        low, high = max(low, within[0]), min(high, within[1])
        if high - low < 1e-9:
            return within
    return low, high


def blank(width: float, height: float) -> tuple[Any, Any]:
    """An empty matplotlib figure of so many inches, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()


def write_figures(figures: Iterable[PaperFigure], folder: Path) -> list[Path]:
    """Each as SVG, PNG (300 dpi) and PDF, in light colours, control characters made visible; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with paper_style():
        for figure in figures:
            drawn = figure.paper()
            _make_visible(drawn)
            for form in FORMATS:
                path = folder / f"{figure.name}.{form}"
                temporary = folder / f".{figure.name}.{form}.partial"
                drawn.savefig(temporary, format=form, dpi=_DOTS_PER_INCH, metadata=METADATA[form])
                temporary.replace(path)
                written.append(path)
    return written


def _make_visible(drawn: Any) -> None:
    """Shows what names hold beside letters: an SVG with control characters is none, half surrogates have no form."""
    from matplotlib.axis import Axis
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    for words in drawn.findobj(Text):
        words.set_text(visible(words.get_text()))
    for axis in drawn.findobj(Axis):
        # Words at ticks are kept in a formatter of these kinds and put on paper only when it is drawn.
        if isinstance(words_at := axis.get_major_formatter(), FixedFormatter | FuncFormatter):
            axis.set_major_formatter(lambda value, place, words_at=words_at: visible(words_at(value, place)))


def kind_colour(kind: str) -> str:
    return ACCENT if kind == "winner" else INK


def kind_marker(kind: str) -> dict[str, Any]:
    """Marks as on the page: controls are hollow diamonds."""
    colour = kind_colour(kind)
    if kind == "control":
        return {"marker": "D", "markersize": 4.2, "markerfacecolor": "white", "markeredgecolor": SOFT}
    return {"marker": "o", "markersize": 4.8, "markerfacecolor": colour, "markeredgecolor": colour}


@contextmanager
def paper_style() -> Iterator[None]:
    """Matplotlib's settings for the figures, and the ones before afterwards."""
    import matplotlib

    settings = {
        "backend": "Agg",
        "font.family": "sans-serif",
        "font.size": 8,
        "axes.labelsize": 8,
        "axes.labelcolor": INK,
        "axes.edgecolor": SOFT,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "xtick.color": SOFT,
        "ytick.color": SOFT,
        "grid.color": RULE,
        "grid.linewidth": 0.5,
        "legend.frameon": False,
        "legend.fontsize": 7,
        "svg.fonttype": "none",
        "svg.hashsalt": "reward-search",
        "pdf.fonttype": 42,
        "text.parse_math": False,
        "figure.constrained_layout.use": True,
    }
    with matplotlib.rc_context(settings):
        yield
