"""The command that makes the paper's tables: reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bana.cli.shell import chosen_device, console, print_json, print_tables, processes
from bana.errors import SettingsError

if TYPE_CHECKING:
    from bana.pipeline.recipe import Recipe
    from bana.pipeline.reproduce import Study
    from bana.pipeline.reproduce_objects import ObjectStudy


def reproduce(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="table2, table3, table4, table5 or table6.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="PASCAL VOC 2012, MS-COCO, or data with true masks.")],
    out: Annotated[Path, typer.Option(help="Folder of all runs; what is there and unchanged is kept.")],
    labeler: Annotated[
        Path | None,
        typer.Option(help="Run of bana classify on other data, for tables 2 and 6; bana's own if left out."),
    ] = None,
    preset: str | None = typer.Option(None, help="The table's own recipe if left out; lite0 runs on a CPU."),
    split: str | None = typer.Option(None, help="Part to learn from; for tables 3 to 5 train_aug if left out."),
    val_split: str | None = typer.Option(None, help="Part to score on; for tables 3 to 5 val if left out."),
    rows: str | None = typer.Option(None, help="Of the table, joined by commas; all if left out."),
    seeds: int = typer.Option(1, min=1, help="How many seeds of every row's network."),
    mask_share: float | None = typer.Option(
        None, min=0, max=1, help="Share of the images whose true mask the row semi sees; those of train if left out."
    ),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1, ...; auto: a GPU if there is one."),
    workers: int | None = typer.Option(None, min=1, help="Processes that label and score; default: as many as cores."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of a table."),
) -> None:
    """Train and score what a table of the paper compares, and show the paper's figures beside ours."""
    from bana.pipeline.object_rows import OBJECT_TABLES
    from bana.pipeline.recipe import Recipe
    from bana.pipeline.rows import PRESETS, TABLES
    from bana.presets import load_preset
    from bana.segment.run import Machine

    for_coco = table in OBJECT_TABLES
    if not for_coco and table not in TABLES:
        raise SettingsError(
            f"table {table!r} is not known; choose one of {', '.join(sorted([*TABLES, *OBJECT_TABLES]))}"
        )
    if for_coco and mask_share is not None:
        raise SettingsError(f"--mask-share: is not for {table}; leave it out")
    if labeler is not None and not for_coco:
        raise SettingsError(f"--labeler: is not for {table}; leave it out")
    recipe = load_preset(preset or PRESETS.get(table, "coco"), Recipe)
    names = list(OBJECT_TABLES[table] if for_coco else TABLES[table]) if rows is None else rows.split(",")
    device = chosen_device(device)
    machine, workers = Machine(device), processes(workers, device)
    if for_coco:
        from bana.pipeline.reproduce_objects import object_table, reproduce_objects

        objects = _object_study(table, data, split, val_split, recipe, names, seeds, labeler)
        found = reproduce_objects(objects, out, machine=machine, workers=workers, console=console)
        answer, lines = found.as_dict(), object_table(found)
    else:
        from bana.pipeline.reproduce import reproduce, reproduction_table

        study = _study(table, data, split, val_split, recipe, names, seeds, mask_share)
        made = reproduce(study, out, machine=machine, workers=workers, console=console)
        answer, lines = made.as_dict(), reproduction_table(made)
    if as_json:
        print_json(answer)
    else:
        print_tables(lines)


def _study(
    table: str,
    data: Path,
    split: str | None,
    val_split: str | None,
    recipe: Recipe,
    rows: list[str],
    seeds: int,
    mask_share: float | None,
) -> Study:
    """Tables 3 to 5."""
    from bana.data.reading import read_dataset
    from bana.pipeline.reproduce import Study, share_of

    dataset = read_dataset(data, split or "train_aug")
    masked: list[str] = []
    if "semi" in rows and mask_share is None:
        masked = [record.image_id for record in read_dataset(data, "train")]
    elif "semi" in rows and mask_share is not None:
        masked = share_of(dataset, mask_share, seed=0)
    return Study(table, dataset, read_dataset(data, val_split or "val"), recipe, rows, range(seeds), masked)


def _object_study(
    table: str,
    data: Path,
    split: str | None,
    val_split: str | None,
    recipe: Recipe,
    rows: list[str],
    seeds: int,
    labeler: Path | None,
) -> ObjectStudy:
    """Tables 2 and 6."""
    from bana.classify.labeler_file import pretrained_path
    from bana.data.reading import read_dataset
    from bana.pipeline.reproduce_objects import LABEL_TABLE, ObjectStudy

    if table != LABEL_TABLE and val_split is None:
        raise SettingsError(f"{table}: needs --val-split, the part to score on, such as val2017")
    dataset = read_dataset(data, split)
    validation = None if table == LABEL_TABLE else read_dataset(data, val_split)
    return ObjectStudy(table, dataset, validation, recipe, rows, range(seeds), labeler or pretrained_path())
