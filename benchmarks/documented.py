"""The numbers that the docs' pages state, as benchmarks/figures.py compares them.

``figures.yaml`` says where they are: in a cell of a table, by heading, row and column, or in a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

ROOT = Path(__file__).resolve().parents[1]
NUMBER = r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e-?\d+)?"


class FigureError(Exception):
    """A figure that cannot be found: on its page, or in what its command printed."""


class Figure(NamedTuple):
    """A documented number.

    Attributes:
        page: The page, from the repository's root.
        name: Heading, row and column; or the sentence.
        documented: The least and the greatest documented value: both the same, except for "21 to 23".
        command: Name of the command that makes it.
        reading: Where the command's output has it.
        tolerance: Greatest difference, or greatest ratio, such as "1.5x".
    """

    page: str
    name: str
    documented: tuple[float, float]
    command: str
    reading: str
    tolerance: float | str


class Table(NamedTuple):
    """A table of a page: the names of its columns, and the cells of its rows by their names."""

    columns: list[str]
    rows: list[tuple[str, list[str]]]


def cleaned(text: str) -> str:
    """Markdown without emphasis, code marks and the targets of links, with single blanks."""
    return " ".join(re.sub(r"[*`]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)).split())


def numbered(names: Sequence[str]) -> list[str]:
    """Names of which the second of a kind is ``name #2``."""
    return [
        name if names[:at].count(name) == 0 else f"{name} #{names[:at].count(name) + 1}"
        for at, name in enumerate(names)
    ]


def read_tables(text: str) -> dict[tuple[str, int], Table]:
    """The tables of a page by heading and number under it; a row "... x" is called by the full row above it."""
    found: dict[tuple[str, int], Table] = {}
    heading, lines = "", []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            lines.append([cleaned(cell) for cell in line.strip().strip("|").split("|")])
        elif lines:
            number = 1 + sum(name == heading for name, _ in found)
            names: list[str] = []
            for cells in lines[2:]:
                parent = next((name for name in reversed(names) if " ... " not in name), "")
                names.append(f"{parent} {cells[0]}" if cells[0].startswith("...") else cells[0])
            rows = zip(numbered(names), (cells[1:] for cells in lines[2:]), strict=True)
            found[heading, number] = Table(numbered(lines[0][1:]), list(rows))
            lines = []
        if match := re.match(r"#+ (.*)", line):
            heading = cleaned(match[1])
    return found


def numbers(text: str) -> list[tuple[float, float]]:
    """The numbers of a text, each as least and greatest value."""
    found = re.findall(rf"({NUMBER})(?: to ({NUMBER}))?", text)
    return [(float(low.replace(",", "")), float((high or low).replace(",", ""))) for low, high in found]


def only(found: Sequence[Any], what: str) -> Any:
    """The one thing that was found; anything else is an error."""
    if len(found) != 1:
        raise FigureError(f"{what}: found {len(found)} times, not once")
    return found[0]


def pattern_of(text: str) -> str:
    """A regular expression of a text in which {} is a number that is wanted, and {_} one that is not."""
    escaped = re.escape(cleaned(text)).replace(re.escape("{_}"), rf"(?:{NUMBER})")
    return escaped.replace(re.escape("{}"), rf"({NUMBER}(?: to {NUMBER})?)")


def read_manifest(manifest: Mapping[str, Any], root: Path = ROOT) -> list[Figure]:
    """All figures of a manifest, with their documented values. Raises FigureError where a page lacks one."""
    tables = (figure for entry in manifest.get("tables", ()) for figure in figures_of_table(entry, root))
    return [
        *tables,
        *(figure for entry in manifest.get("sentences", ()) for figure in figures_of_sentence(entry, root)),
    ]


@cache
def page_text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def figures_of_table(entry: Mapping[str, Any], root: Path) -> Iterator[Figure]:
    """The figures of a table: a row has parts for the readings of ``columns``, or readings of its own by column."""
    heading, number = cleaned(entry["heading"]), entry.get("table", 1)
    tables = read_tables(page_text(root / entry["page"]))
    where = f"{entry['page']}: {heading}"
    table = only([tables[at] for at in tables if at == (heading, number)], f"{where}: table {number}")
    for row, parts in entry["rows"].items():
        cells = only([cells for name, cells in table.rows if name == row], f"{where}: {row}")
        for column, template in (parts if isinstance(parts, Mapping) else entry["columns"]).items():
            cell = only(
                [cells[at] for at, name in enumerate(table.columns) if name == column], f"{where}: {row}: {column}"
            )
            if cell or isinstance(parts, Mapping):
                name = " | ".join((heading if number == 1 else f"{heading} #{number}", row, column))
                tolerance = tolerance_of(column, entry["tolerance"])
                yield from figures_of(entry["page"], name, numbers(cell), filled(template, parts), tolerance)


def tolerance_of(column: str, tolerances: Any) -> float | str:
    """The tolerance of a column: its own, that of all others ("else"), or the only one."""
    if isinstance(tolerances, Mapping):
        return cast(float | str, tolerances[column if column in tolerances else "else"])
    return cast(float | str, tolerances)


def filled(template: str, parts: Any) -> str:
    """A reading in which $1, $2, ... are the parts of a row."""
    return re.sub(r"\$(\d)", lambda match: str(parts[int(match[1]) - 1]), template)


def figures_of_sentence(entry: Mapping[str, Any], root: Path) -> Iterator[Figure]:
    """The figures of a sentence."""
    text = cleaned(page_text(root / entry["page"]))
    match = only(list(re.finditer(pattern_of(entry["text"]), text)), f"{entry['page']}: {entry['text']!r}")
    found = [number for group in match.groups() for number in numbers(group)]
    yield from figures_of(entry["page"], entry["text"], found, entry["read"], entry["tolerance"])


def figures_of(
    page: str, name: str, documented: Sequence[tuple[float, float]], readings: str, tolerance: float | str
) -> Iterator[Figure]:
    """One figure for each number of a cell or a sentence, called (1), (2), ...; the reading "-" leaves one out."""
    command, _, rest = readings.partition(" ")
    each = rest.split("; ")
    if len(each) != len(documented):
        raise FigureError(f"{page}: {name}: has {len(documented)} numbers, and the manifest reads {len(each)}")
    for number, (value, reading) in enumerate(zip(documented, each, strict=True), start=1):
        if reading != "-":
            full = name if len(each) == 1 else f"{name} ({number})"
            yield Figure(page, full, value, command, reading, tolerance)
