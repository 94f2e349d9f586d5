"""Every pair of entries at a glance: which differ, which are equivalent, and for which the data decide neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from eval.report.data import PairwiseTable, PairwiseTest
from eval.report.figures.figure import ACCENT, INK, PAGE, SOFT, blank
from eval.report.text import signed_points

Mood = Literal["better", "worse", "same", "open"]


class Cell(NamedTuple):
    """The row's entry against the column's."""

    test: PairwiseTest
    difference: float
    """Accuracy of the row minus that of the column, over all seeds where there are several."""
    mood: Mood
    """`same`: equivalent and not different."""


@dataclass(frozen=True, slots=True)
class MatrixFigure:
    """The page shows it as a table, which can be read aloud and copied."""

    names: tuple[str, ...]
    """In the order of rows and columns; at least two."""
    table: PairwiseTable

    name = "pairwise"

    def rows(self) -> list[tuple[str, list[Cell | None]]]:
        pairs = {frozenset((test.first, test.second)): test for test in self.table.tests}
        found = []
        for first in self.names:
            cells: list[Cell | None] = []
            for second in self.names:
                test = pairs.get(frozenset((first, second))) if first != second else None
                if test is None:
                    cells.append(None)
                    continue
                over_seeds = test.seeds_difference or test.difference
                difference = over_seeds.value * (1 if test.first == first else -1)
                cells.append(Cell(test, difference, mood(test, difference, self.table.level, self.table.margin)))
            found.append((first, cells))
        return found

    def count(self, what: Literal["different", "equivalent"]) -> int:
        """Pairs of the whole table."""
        table = self.table
        if what == "different":
            return sum(test.differs(table.level) for test in table.tests)
        return sum(test.is_equivalent(table.level, table.margin) for test in table.tests)

    def paper(self) -> Any:
        from matplotlib.patches import Rectangle

        n = len(self.names)
        figure, axes = blank(min(PAGE, 1.6 + 0.42 * n), 0.6 + 0.26 * n)
        for i, (_, cells) in enumerate(self.rows()):
            for j, cell in enumerate(cells):
                if cell is None:
                    continue
                if cell.mood in ("better", "worse"):
                    colour, strength = (ACCENT, 0.22) if cell.mood == "better" else (INK, 0.12)
                    axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour, alpha=strength, linewidth=0))
                if cell.mood == "same":
                    axes.add_patch(
                        Rectangle((j - 0.44, i - 0.42), 0.88, 0.84, fill=False, edgecolor=SOFT, linewidth=0.6)
                    )
                words = signed_points(cell.difference)
                colour = SOFT if cell.mood == "open" else INK
                axes.text(j, i, words, ha="center", va="center", fontsize=6, color=colour)
        axes.set_xlim(-0.5, n - 0.5)
        axes.set_ylim(n - 0.5, -0.5)
        axes.set_xticks(range(n), [str(k + 1) for k in range(n)])
        axes.set_yticks(range(n), [f"{k + 1}. {name}" for k, name in enumerate(self.names)])
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return figure


def mood(test: PairwiseTest, difference: float, level: float, margin: float | None) -> Mood:
    """Different after Holm's correction; else equivalent by two one-sided tests; else open."""
    if test.differs(level):
        return "better" if difference > 0 else "worse"
    return "same" if test.is_equivalent(level, margin) else "open"
