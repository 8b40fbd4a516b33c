"""The command that makes the paper's tables: reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bana.cli.common import chosen_device, console, print_json, print_tables, processes
from bana.errors import SettingsError

if TYPE_CHECKING:
    from bana.data.records import BoxDataset


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
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1, mps, ...; auto: CUDA if there is any."),
    workers: int | None = typer.Option(
        None, min=1, help="DistContext that label and score; default: as many as cores."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of a table."),
) -> None:
    """Train and score what a table of the paper compares, and show the paper's figures beside ours."""
    from bana.data.reading import read_dataset
    from bana.engine.distributed import RuntimeConfig
    from bana.nn.initialization import pretrained_path
    from bana.pipeline.object_rows import OBJECT_TABLES
    from bana.pipeline.recipe import Recipe
    from bana.pipeline.reproduce import reproduce, reproduction_tables
    from bana.pipeline.rows import PRESETS, TABLES
    from bana.pipeline.study import LABEL_TABLE, Study
    from bana.presets import load_preset

    of_objects = table in OBJECT_TABLES
    if not of_objects and table not in TABLES:
        tables = ", ".join(sorted([*TABLES, *OBJECT_TABLES]))
        raise SettingsError(f"table {table!r} is not known; choose one of {tables}")
    if of_objects and mask_share is not None:
        raise SettingsError(f"--mask-share: is not for {table}; leave it out")
    if labeler is not None and not of_objects:
        raise SettingsError(f"--labeler: is not for {table}; leave it out")
    if of_objects and table != LABEL_TABLE and val_split is None:
        raise SettingsError(f"{table}: needs --val-split, the part to score on, such as val2017")
    recipe = load_preset(preset or PRESETS.get(table, "coco"), Recipe)
    names = list(OBJECT_TABLES[table] if of_objects else TABLES[table]) if rows is None else rows.split(",")
    dataset = read_dataset(data, split or (None if of_objects else "train_aug"))
    device = chosen_device(device)
    runtime, processors = RuntimeConfig(device), processes(workers, device)
    if of_objects:
        scored = None if table == LABEL_TABLE else read_dataset(data, val_split)
        other = labeler or pretrained_path()
        study = Study(table, dataset, scored, recipe, names, range(seeds), other=other)
    else:
        masked = _masked(data, dataset, mask_share) if "semi" in names else []
        study = Study(table, dataset, read_dataset(data, val_split or "val"), recipe, names, range(seeds), masked)
    made = reproduce(study, out, runtime=runtime, workers=processors, console=console)
    if as_json:
        print_json(made.as_dict())
    else:
        print_tables(reproduction_tables(made))


def _masked(data: Path, dataset: BoxDataset, share: float | None) -> list[str]:
    """The images whose true masks the row semi sees."""
    from bana.data.reading import read_dataset
    from bana.pipeline.reproduce import share_of

    if share is not None:
        return share_of(dataset, share, seed=0)
    return [record.image_id for record in read_dataset(data, "train")]
