"""Tables of a comparison of methods, and of the paper's tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from bana.cli.tables.table import Column, FittedTable
from bana.report.numbers import shown, spread

if TYPE_CHECKING:
    from bana.pipeline.compare import Comparison
    from bana.pipeline.study import Reproduction


def comparison_tables(
    result: Comparison, options: Mapping[str, Any], settings: Sequence[str]
) -> Iterator[RenderableType]:
    """The table, methods that could not run, the command of each row alone, and the pictures."""
    numbers = (
        *(Column("paper", 3), Column("mIoU"), Column("of all pixels", 5), Column("ignored", 1)),
        *(Column("boundary IoU", 4), Column("mask AP", 2), Column("AP50", 7), Column("s/image", 6), Column("MB", 8)),
    )
    table = FittedTable(f"{len(result.dataset)} images: mIoU and more, %", (Column("method", text=True), *numbers))
    for name, method in result.methods.items():
        scores, ap = result.scores[name], result.scores[name]["instances"] or {}
        seconds, memory = (result.cost(name, of) for of in ("seconds_per_image", "peak_memory"))
        table.add_row(
            name,
            " / ".join(map(shown, method.paper)),
            *(shown(scores[each]) for each in ("miou", "miou_of_all", "ignored_share", "boundary_iou")),
            shown(ap.get("ap")),
            shown(ap.get("ap50")),
            "-" if seconds is None else f"{seconds:.2f}",
            "-" if memory is None else f"{memory / 2**20:.0f}",
        )
    yield table
    yield "paper: mIoU on VOC 2012 train / val. ignored: pixels that get no label; mIoU does not count them."
    yield from (f"Not compared: {reason}" for reason in result.unavailable.values())
    yield "Each row alone:"
    command = _command(options, settings)
    yield from (f"  {command} --out one --methods {name}" for name in result.methods)
    yield from map(str, result.pictures)


def _command(options: Mapping[str, Any], settings: Sequence[str]) -> str:
    """The command, without its output folder and its methods."""
    names = ("split", "truth", "max_images", "seed", "format", "sam_encoder", "sam_decoder", "preset")
    given = {name: options[name] for name in names if options[name] not in (None, 0)}
    parts = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    parts += [part for run in options["labeler"] or [] for part in ("--labeler", run)]
    parts += [part for setting in settings for part in ("--set", setting)]
    return shlex.join(["bana", "compare", str(options["data"]), *parts])


def reproduction_tables(result: Reproduction) -> Iterator[RenderableType]:
    """A table of the paper, its figures beside ours."""
    from bana.pipeline.object_rows import OBJECT_TABLES
    from bana.pipeline.study import METHOD_TABLE

    if result.table == METHOD_TABLE:
        yield from _method_table(result)
    else:
        yield _object_table(result) if result.table in OBJECT_TABLES else _network_table(result)
    yield from (f"Not made: {reason}" for reason in result.unavailable.values())


def _method_table(result: Reproduction) -> Iterator[RenderableType]:
    """The mIoU of labels on two splits, the paper's beside ours, and what ours stands in for."""
    from bana.pipeline.methods import TABLE1
    from bana.pipeline.study import SCORED_SPLITS

    numbers = [Column(f"paper {split}", 2) for split in SCORED_SPLITS]
    numbers += [Column(f"ours {split}", 1) for split in SCORED_SPLITS]
    table = FittedTable(f"{result.table}: mIoU of labels, %", (Column("method", text=True), *numbers))
    marks = {text: "*" * number for number, text in enumerate(_stand_ins(), start=1)}
    for name, method in TABLE1.items():
        ours = [result.ours.get(name, {}).get(0, {}).get(split) for split in SCORED_SPLITS]
        mark = marks.get(method.stand_in, "")
        paper = (shown(figure) + (mark if figure is not None else "") for figure in method.paper)
        table.add_row(method.title, *paper, *map(shown, ours))
    yield table
    yield from (f"{mark} the paper's figure is of {text}" for text, mark in marks.items())


def _stand_ins() -> list[str]:
    from bana.pipeline.methods import TABLE1

    return list(dict.fromkeys(method.stand_in for method in TABLE1.values() if method.stand_in))


def _network_table(result: Reproduction) -> FittedTable:
    """The mIoU on the validation images, the paper's beside ours."""
    from bana.pipeline.rows import ROWS, TABLES
    from bana.segment.scoring import STEPS

    numbers = (Column("paper", 2), Column("paper, CRF"), Column("ours", 1), Column("ours, CRF"), Column("seeds", 3))
    table = FittedTable(f"{result.table}: mIoU, %", (Column("trained on", text=True), *numbers))
    for name, paper in TABLES[result.table].items():
        ours = result.ours.get(name, {})
        figures = [spread([value for seed in ours.values() if (value := seed[when]) is not None]) for when in STEPS]
        table.add_row(ROWS[name].title, *map(shown, paper), *figures, str(len(ours)))
    return table


def _object_table(result: Reproduction) -> FittedTable:
    """The mask AP, the paper's figures in a row above ours."""
    from bana.pipeline.object_rows import FIGURES, OBJECT_TABLES
    from bana.pipeline.study import LABEL_TABLE

    what = "labels" if result.table == LABEL_TABLE else "trained on"
    headings = enumerate(("AP", "AP50", "AP75", "S", "M", "L"))
    numbers = (Column(heading, drop) for drop, heading in headings)
    table = FittedTable(f"{result.table}: mask AP, %", (Column(what, text=True), Column("from", text=True), *numbers))
    for name, row in OBJECT_TABLES[result.table].items():
        if row.paper is not None:
            table.add_row(row.title, "paper", *map(shown, row.paper))
        if ours := result.ours.get(name):
            values = ([value for seed in ours.values() if (value := seed[each]) is not None] for each in FIGURES)
            table.add_row("" if row.paper else row.title, "ours", *map(spread, values))
    return table
