"""A table of words and figures: for the terminal, as plain text, and in Markdown."""

from __future__ import annotations

import io
import os
import sys
import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import rich.table
    from rich.console import Console, ConsoleOptions, RenderResult

LEAST_NAME = 24
"""Characters of a name that are always in one line."""
UNWRAPPED = 10_000
"""Width where nothing is wrapped: of what is no terminal, where a record is a line."""


class Column(NamedTuple):
    name: str
    kind: Literal["figure", "words", "name"] = "figure"
    """Figures stand to the right, words and names to the left; only a name is broken where the table is too wide."""
    spare: int = 0
    """Where there is no room the columns with the highest go first; one with 0 never goes."""


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
    pitch: int = 2
    """Characters between columns."""
    widest_name: int | None = None
    """None: as long as it is."""

    def fitted(self, width: int) -> Table:
        """As a terminal of this width has room for it: first columns stand nearer, then those that can be spared go,
        and only then names are cut or broken, which keep their first characters."""
        least = [self._least_width(k) for k in range(len(self.columns))]
        kept = list(range(len(self.columns)))
        pitch = self.pitch if sum(least) + self.pitch * (len(kept) - 1) <= width else 1
        while sum(least[k] + pitch for k in kept) - pitch > width:
            spare = max(kept, key=lambda k: (self.columns[k].spare, k))
            if not self.columns[spare].spare:
                break
            kept.remove(spare)
        rows, apart = (tuple(tuple(row[k] for k in kept) for row in part) for part in (self.rows, self.apart))
        names = [k for k in kept if self.columns[k].kind == "name"]
        others = sum(least[k] + pitch for k in kept if k not in names)
        room = (width - others) // max(1, len(names)) - pitch * (len(names) > 1)
        columns = tuple(self.columns[k] for k in kept)
        return replace(self, columns=columns, rows=rows, apart=apart, pitch=pitch, widest_name=max(LEAST_NAME, room))

    def first(self, rows: int) -> Table:
        """With so many rows at most; the caption says how many are left out."""
        left_out = len(self.rows) + len(self.apart) - rows
        if left_out <= 0:
            return self
        caption = "; ".join([*([self.caption] if self.caption else []), f"{left_out} more rows"])
        return replace(self, rows=self.rows[:rows], apart=self.apart[: max(0, rows - len(self.rows))], caption=caption)

    def _least_width(self, k: int) -> int:
        name, kind, _ = self.columns[k]
        longest = max(map(len, [*name.split("\n"), *(_cell(row[k]).text for row in (*self.rows, *self.apart))]))
        return min(longest, LEAST_NAME) if kind == "name" else longest

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """On a terminal as wide as that is; elsewhere a row is a line, whatever its length."""
        from rich.text import Text

        if console.is_terminal:
            yield self.fitted(options.max_width).rich()
        else:
            yield Text(self.text(UNWRAPPED).rstrip("\n"), no_wrap=True, overflow="ignore")

    def rich(self, *, fold: bool = True) -> rich.table.Table:
        """For a terminal. Figures are never cut. `fold`: long names go on in the next line instead of ending in an
        ellipsis."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(
            title=self.title or None,
            caption=self.caption or None,
            title_justify="left",
            caption_justify="left",
            box=SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, self.pitch - 1, 0, 0),
        )
        for k, (name, kind, _) in enumerate(self.columns):
            table.add_column(
                name,
                justify="right" if kind == "figure" else "left",
                no_wrap=kind != "name" or not fold,
                overflow="fold" if fold else "ellipsis",
                min_width=self._least_width(k),
                max_width=self.widest_name if kind == "name" else None,
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
        """Fixed-width lines without colours, each with its end of line; see `fitted`."""
        from rich.console import Console

        output = io.StringIO()
        table = self.fitted(width).rich()
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
    """Of the terminal, or as COLUMNS says; without either nothing is wrapped."""
    from shutil import get_terminal_size

    return get_terminal_size((120, 40)).columns if sys.stdout.isatty() or os.environ.get("COLUMNS") else UNWRAPPED


def terminal_width() -> int:
    """In a narrower terminal the figures would be cut, so a table then runs over the edge instead."""
    return max(FEWEST_COLUMNS, terminal_columns())
