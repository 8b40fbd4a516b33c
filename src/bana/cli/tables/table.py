"""A table that fits the terminal: a row is one line, and a number is never cut."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

_MIN_TEXT = 8
"""The fewest characters to which a text column is shortened."""

_FRAME = 3
"""The characters beside a cell: a line and two spaces."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: Its heading, broken at spaces where the terminal is narrow.
        drop: Where the table is too wide, the column with the greatest ``drop`` goes first; 0: it always stays.
        text: Whether its cells are text, which may be shortened; else they are numbers.
    """

    heading: str
    drop: int = 0
    text: bool = False


@dataclass
class FittedTable:
    """A table that shows as many of its columns as the terminal has room for, and says which it does not show.

    Columns are left out in the order of their ``drop``. If that is not enough, text is shortened.

    Attributes:
        title: A line above the table.
        columns: Its columns.
        rows: Cells, one for each column.
        header: Whether headings are shown.
    """

    title: str
    columns: tuple[Column, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    header: bool = True

    def add_row(self, *cells: str) -> None:
        """Add a row; it has a cell for each column."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self.rows.append(cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        numbers, narrow = self._fit(options.max_width)
        widths = self._widths(numbers, narrow)
        self._shorten(numbers, widths, options.max_width)
        table = Table(show_header=self.header)
        for number in numbers:
            column, width = self.columns[number], widths[number]
            heading = "\n".join(textwrap.wrap(column.heading, width)) if narrow else column.heading
            table.add_column(
                Text(heading, no_wrap=True, overflow="ellipsis"),
                justify="left" if column.text else "right",
                width=width,
                no_wrap=True,
                overflow="ellipsis",
            )
        for row in self.rows:
            table.add_row(*(Text(row[number]) for number in numbers))
        if self.title:
            yield Text(self.title, style="italic", no_wrap=True, overflow="ignore")
        yield from self._rendered(table, console, options, _total(widths[number] for number in numbers))
        if missing := [column.heading for number, column in enumerate(self.columns) if number not in numbers]:
            yield Text(f"A wider terminal or --json shows: {', '.join(missing)}", no_wrap=True, overflow="ignore")

    def _rendered(self, table: Table, console: Console, options: ConsoleOptions, width: int) -> Iterator[Segment]:
        """The table, wider than the terminal where numbers alone do not fit."""
        yield from console.render(table, options.update(max_width=max(width, options.max_width)))

    def _fit(self, room: int) -> tuple[list[int], bool]:
        """The columns that are shown, and whether headings are broken at spaces."""
        numbers = list(range(len(self.columns)))
        if _total(self._widths(numbers, narrow=False)) <= room:
            return numbers, False
        while _total(self._widths(numbers, narrow=True)[number] for number in numbers) > room:
            last = max(numbers, key=lambda number: (self.columns[number].drop, number))
            if not self.columns[last].drop:
                break
            numbers.remove(last)
        return numbers, True

    def _widths(self, numbers: list[int], narrow: bool) -> list[int]:
        """The width of every column, shown or not."""
        widths = []
        for number, column in enumerate(self.columns):
            words = column.heading.split() if narrow else [column.heading]
            heading = max(map(cell_len, words), default=0) if self.header else 0
            widths.append(max([heading, *(cell_len(row[number]) for row in self.rows)]))
        return widths

    def _shorten(self, numbers: list[int], widths: list[int], room: int) -> None:
        """Take from the widest text column until the table fits."""
        texts = [number for number in numbers if self.columns[number].text]
        while texts and (excess := _total(widths[number] for number in numbers) - room) > 0:
            widest = max(texts, key=lambda number: widths[number])
            if widths[widest] <= _MIN_TEXT:
                break
            widths[widest] -= min(excess, max(1, widths[widest] - _MIN_TEXT) if len(texts) == 1 else 1)


def _total(widths: Iterator[int] | list[int]) -> int:
    return sum(width + _FRAME for width in widths) + 1
