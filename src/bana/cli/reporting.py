"""The command that makes a page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bana.cli.common import console, print_json, processes


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of bana run, or of bana label with --data.")],
    out: Annotated[Path | None, typer.Option(help="The HTML file; RUN/report.html if left out.")] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DATA", help="The labeled data set; the one that the run names if left out.")
    ] = None,
    split: str | None = typer.Option(None, help="Part of the data set that was labeled."),
    images: int = typer.Option(500, min=1, help="At most so many in the gallery; all are counted."),
    side: int = typer.Option(480, min=64, max=2048, help="Longest side of its pictures, pixels."),
    format: str | None = typer.Option(None, help="voc, coco, yolo or labelme; found from what is there if left out."),
    workers: int | None = typer.Option(None, min=1, help="DistContext; as many as there are cores if left out."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of the file's name."),
) -> None:
    """Make one HTML file to look at: scores, training, confidence, and a gallery of images and their labels."""
    from bana.pipeline.report import FILE, subject_of, write_report

    subject = subject_of(run, data, split, format)
    file = run / FILE if out is None else out
    result = write_report(subject, file, images=images, side=side, workers=processes(workers), console=console)
    if as_json:
        print_json(result.as_dict())
    else:
        print(f"{result.file} ({result.shown} of {result.images} images, {result.megabytes} MB)")
