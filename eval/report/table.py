"""A table of words and figures: for the terminal, as plain text, and in Markdown."""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import rich.table


class Column(NamedTuple):
    name: str
    kind: Literal["figure", "words", "name"] = "figure"
    """Figures stand to the right, words and names to the left; only a name is broken where the table is too wide."""


class Cell(NamedTuple):
    text: str
    below: str = ""
    """A remark under the text."""
    strong: bool = False
    """In bold, in Markdown."""


Row = tuple[str | Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    apart: tuple[Row, ...] = ()
    """Rows below a line."""
    title: str = ""
    caption: str = ""

    def rich(self, **looks: Any) -> rich.table.Table:
        """For a terminal; `looks` are arguments of rich's table. Figures are never cut."""
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(
            title=self.title or None,
            caption=self.caption or None,
            title_justify="left",
            caption_justify="left",
            **looks,
        )
        for k, (name, kind) in enumerate(self.columns):
            cells = [_cell(row[k]).text for row in (*self.rows, *self.apart)]
            table.add_column(
                name,
                justify="right" if kind == "figure" else "left",
                no_wrap=kind != "name",
                overflow="fold",
                min_width=None if kind == "name" else max(map(len, [*name.split("\n"), *cells])),
            )
        for k, row in enumerate((*self.rows, *self.apart)):
            if self.apart and k == len(self.rows):
                table.add_section()
            shown = []
            for cell in map(_cell, row):
                words = Text(printable(cell.text))
                shown.append(words.append(f"\n{printable(cell.below)}", "dim") if cell.below else words)
            table.add_row(*shown)
        return table

    def text(self, width: int) -> str:
        """Fixed-width lines without colours, each with its end of line."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Console

        output = io.StringIO()
        table = self.rich(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        Console(file=output, width=width, color_system=None).print(table)
        return "".join(f"{line.rstrip()}\n" for line in output.getvalue().strip("\n").splitlines())

    def markdown(self) -> str:
        """Without title and caption."""
        lines = [" | ".join(column.name for column in self.columns), " | ".join("---" for _ in self.columns)]
        for row in (*self.rows, *self.apart):
            words = [(markdown_cell(f"{cell.text} {cell.below}".strip()), cell.strong) for cell in map(_cell, row)]
            lines.append(" | ".join(f"**{text}**" if strong else text for text, strong in words))
        return "".join(f"| {line} |\n" for line in lines)


def _cell(cell: str | Cell) -> Cell:
    return Cell(cell) if isinstance(cell, str) else cell


def markdown_cell(text: str) -> str:
    """Text that cannot leave its cell of a Markdown table."""
    return printable(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "\\<").replace("`", "\\`")


def printable(text: str) -> str:
    """On one line and without control characters: names and reasons come from untrusted replies."""
    return "".join(character if character.isprintable() else " " for character in text)


def wrapped(text: str, width: int) -> str:
    """Lines of text beside a table, each with its end of line."""
    return textwrap.fill(printable(text), width, break_on_hyphens=False) + "\n"


FEWEST_COLUMNS = 100
"""That a table with all its figures takes."""


def terminal_columns() -> int:
    from shutil import get_terminal_size

    return get_terminal_size((120, 40)).columns


def terminal_width() -> int:
    """In a narrower terminal the figures would be cut, so a table then runs over the edge instead."""
    return max(FEWEST_COLUMNS, terminal_columns())
