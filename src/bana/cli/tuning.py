"""The command that chooses the parameters of labeling: tune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bana.cli.common import console, print_json, print_tables, processes

if TYPE_CHECKING:
    from bana.label.search import SearchMethod


def tune(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data set with boxes and true masks.")],
    out: Annotated[Path, typer.Option(help="Folder of the search, which then serves as --labeler.")],
    split: str | None = typer.Option(None, help="Part of the data set, such as train."),
    labeler: Annotated[
        Path | None, typer.Option(help="Run of bana classify, or labeler file; bana's own if left out.")
    ] = None,
    images: int = typer.Option(100, help="Images to search on; as many others, if there are, say what it gained."),
    trials: int = typer.Option(60, help="Settings to try at most; the labeler's own are the first."),
    search: str = typer.Option("grid", help="grid: one parameter after the other; or random."),
    seed: int = typer.Option(0, help="Of everything random."),
    workers: int | None = typer.Option(None, min=1, help="DistContext; as many as there are cores if left out."),
    format: str | None = typer.Option(None, help="voc, coco, yolo or labelme; found from what is there if left out."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of a table."),
) -> None:
    """Choose the CRF's and the threshold's parameters on images with true masks; run it again to go on."""
    from bana.data.reading import read_dataset
    from bana.label.tables import tune_lines, tune_table
    from bana.label.tune import tune_labeler
    from bana.nn.initialization import pretrained_path

    run = tune_labeler(
        read_dataset(data, split, format),
        labeler or pretrained_path(),
        out,
        images=images,
        trials=trials,
        method=cast("SearchMethod", search),
        seed=seed,
        workers=processes(workers),
        console=console,
    )
    if as_json:
        print_json(run.as_dict())
    else:
        print_tables([tune_table(run, out)])
        for line in tune_lines(run, out):
            print(line)
