"""Commands about data sets: check, convert, evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bana.cli.common import print_json, print_tables, tracked

if TYPE_CHECKING:
    from bana.data.writing import ImageMode
    from bana.io.faults import OnError


def check(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder, COCO JSON file or YOLO data.yaml.")],
    split: str | None = typer.Option(None, help="Part of the data set, such as train."),
    format: str | None = typer.Option(None, help="voc, coco, yolo or labelme; found from what is there if left out."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of tables."),
) -> None:
    """Open every image and annotation; show what is in the data set and what is wrong with it (then exit status 1)."""
    from bana.data.check import check as check_dataset
    from bana.data.tables import check_tables

    report = check_dataset(data, split, format, progress=tracked("Checking"))
    if as_json:
        print_json(report.as_dict())
    else:
        print_tables(check_tables(report))
    if report.faults:
        raise typer.Exit(1)


def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder, COCO JSON file or YOLO data.yaml.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    to: Annotated[str, typer.Option(help="voc, coco, yolo or labelme.")],
    source_format: str | None = typer.Option(None, "--from", "--format", help="Format of SRC; found if left out."),
    split: Annotated[list[str] | None, typer.Option(help="Part of the data set; may be given several times.")] = None,
    polygons: bool = typer.Option(False, "--polygons", help="Write COCO masks as polygons instead of RLE."),
    images: str = typer.Option("copy", help="copy the images, hard-link them, or none: annotations only."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Write into OUT though it is not empty."),
    on_error: str = typer.Option("stop", help="stop at an image that cannot be used, or skip it."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Convert a data set from any format to any other, and say what the other cannot hold."""
    from bana.data.convert import convert as convert_dataset
    from bana.data.tables import conversion_lines

    conversion = convert_dataset(
        source,
        out,
        to,
        format=source_format,
        splits=split or (),
        polygons=polygons,
        images=cast("ImageMode", images),
        overwrite=overwrite,
        on_error=cast("OnError", on_error),
        progress=tracked("Converting"),
    )
    if as_json:
        print_json(conversion.as_dict())
    else:
        for line in conversion_lines(conversion, out):
            print(line)
    if conversion.rejected:
        raise typer.Exit(1)


def evaluate(
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS", help="Folder of `bana label` or `bana predict`, or COCO's results of masks (.json)."
        ),
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data set with true masks: a folder or COCO JSON file.")],
    split: str | None = typer.Option(None, help="Part of the data set, such as val."),
    format: str | None = typer.Option(None, help="voc, coco, yolo or labelme; found from what is there if left out."),
    boundary: bool = typer.Option(True, help="Compute boundary IoU as well."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of tables."),
) -> None:
    """Score labels or predictions against true masks: mIoU, boundary IoU; for labels also mask AP, box accuracy.

    Results of instance segmentation in COCO's format get COCO's twelve numbers, AP and AR of masks.
    """
    from bana.data.prediction_folder import MANIFEST, RESULTS
    from bana.data.reading import read_dataset
    from bana.evaluate import evaluate_detections, evaluate_labels, evaluate_predictions
    from bana.evaluate.tables import detection_tables, prediction_tables, score_tables

    dataset = read_dataset(data, split, format)
    objects = labels / RESULTS if (labels / RESULTS).is_file() else labels
    if objects.is_file() or objects.suffix == ".json":
        detected = evaluate_detections(objects, dataset, progress=tracked("Scoring"))
        scores, tables = detected.as_dict(), detection_tables(detected)
    elif (labels / MANIFEST).is_file():
        predicted = evaluate_predictions(labels, dataset, boundary=boundary, progress=tracked("Scoring"))
        scores, tables = predicted.as_dict(), prediction_tables(predicted)
    else:
        labeled = evaluate_labels(labels, dataset, boundary=boundary, progress=tracked("Scoring"))
        scores, tables = labeled.as_dict(), score_tables(labeled)
    if as_json:
        print_json(scores)
        return
    print_tables(tables)
