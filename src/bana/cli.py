"""The command line: parse, call, print. Everything else lives in the modules that the commands call.

Heavy imports (torch) happen inside the commands, so that ``bana --help`` answers at once.
Exit status: 0 done, 1 done but images were rejected or faults found, 2 bad input or settings, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console

from bana import __version__
from bana.errors import BanaError

if TYPE_CHECKING:
    from bana.data.faults import OnError
    from bana.data.records import ImageRecord
    from bana.data.writing import ImageMode

app = typer.Typer(
    name="bana",
    help="Boxes in, masks out: pixel labels from bounding boxes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console(stderr=True)

_INTERRUPTED = 130


def main() -> None:
    """Run the command line; a BanaError becomes one line and exit status 2."""
    try:
        app()
    except BanaError as error:
        print(f"bana: error: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None
    except SystemExit as left:
        if left.code == _INTERRUPTED:  # typer turns KeyboardInterrupt into it
            print("bana: interrupted; to go on, run the same command again (classify: with --resume)", file=sys.stderr)
        raise


def _print_json(value: dict[str, Any]) -> None:
    """Print one JSON object and nothing else on standard output (the contract of every ``--json``)."""
    print(json.dumps(value, allow_nan=False, ensure_ascii=False))


def _tracked(what: str) -> Callable[[Iterable[ImageRecord]], Iterable[ImageRecord]]:
    """A wrapper of records that shows a progress bar on a terminal, and nothing elsewhere."""
    from rich.progress import track

    return lambda records: track(records, what, console=console, transient=True, disable=not console.is_terminal)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"bana {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Boxes in, masks out: pixel labels from bounding boxes."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the picture and the labels; may be there already.")] = Path(
        "bana-demo"
    ),
    labeler: Annotated[
        Path | None, typer.Option(help="Run of bana classify, or labeler file; bana's own if left out.")
    ] = None,
    workers: int | None = typer.Option(None, min=1, help="Processes; as many as there are cores if left out."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of tables."),
) -> None:
    """Label the photographs that come with bana, score the masks, and draw a picture of them."""
    from bana.classify.labeler_file import pretrained_path
    from bana.report.demo import run_demo
    from bana.report.demo_tables import demo_tables

    result = run_demo(out, labeler or pretrained_path(), workers=workers or _cores(), console=console)
    if as_json:
        _print_json(result.as_dict())
        return
    for table in demo_tables(result):
        Console(markup=False, highlight=False).print(table)


@app.command()
def evaluate(
    labels: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of labels that `bana label` wrote.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data set with true masks: a folder or COCO JSON file.")],
    split: str | None = typer.Option(None, help="Part of the data set, such as val."),
    format: str | None = typer.Option(None, help="voc, coco, yolo or labelme; found from what is there if left out."),
    boundary: bool = typer.Option(True, help="Compute boundary IoU as well."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of tables."),
) -> None:
    """Score a folder of labels against true masks: mIoU, boundary IoU, mask AP, box accuracy."""
    from bana.data.reading import read_dataset
    from bana.evaluate import evaluate_labels
    from bana.evaluate.tables import score_tables

    scores = evaluate_labels(
        labels,
        read_dataset(data, split, format),
        boundary=boundary,
        progress=_tracked("Scoring"),
    )
    if as_json:
        _print_json(scores.as_dict())
        return
    for table in score_tables(scores):
        Console(markup=False, highlight=False).print(table)


@app.command()
def check(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder, COCO JSON file or YOLO data.yaml.")],
    split: str | None = typer.Option(None, help="Part of the data set, such as train."),
    format: str | None = typer.Option(None, help="voc, coco, yolo or labelme; found from what is there if left out."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of tables."),
) -> None:
    """Open every image and annotation; show what is in the data set and what is wrong with it (then exit status 1)."""
    from bana.data.check import check as check_dataset
    from bana.data.tables import check_tables

    report = check_dataset(data, split, format, progress=_tracked("Checking"))
    if as_json:
        _print_json(report.as_dict())
    else:
        for table in check_tables(report):
            Console(markup=False, highlight=False).print(table)
    if report.faults:
        raise typer.Exit(1)


@app.command()
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
        progress=_tracked("Converting"),
    )
    if as_json:
        _print_json(conversion.as_dict())
    else:
        for line in conversion_lines(conversion, out):
            print(line)
    if conversion.rejected:
        raise typer.Exit(1)


@app.command()
def classify(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Images with boxes: a folder, COCO JSON or data.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    split: str | None = typer.Option(None, help="Part of the data set, such as train."),
    preset: str = typer.Option("lite0", help="lite0, resnet101, vgg16, or a YAML file."),
    pooling: str | None = typer.Option(None, help="bap, or gap for the comparison; the preset's if left out."),
    epochs: int | None = typer.Option(None, help="Passes over the images; the preset's if left out."),
    labels: Annotated[
        Path | None, typer.Option(help="Labels of these images, whose agreed pixels are learnt as well.")
    ] = None,
    format: str | None = typer.Option(None, help="voc, coco, yolo or labelme; found from what is there if left out."),
    seed: int = typer.Option(0, help="Of everything random."),
    resume: bool = typer.Option(False, "--resume", help="Go on with the run in --out."),
    workers: int = typer.Option(0, min=0, help="Processes that prepare samples; 0: none beside the training."),
    on_error: str = typer.Option("stop", help="stop at an image that cannot be used, or skip it."),
) -> None:
    """Train a box classifier (stage 1). The run folder then serves as --labeler."""
    from bana.classify.run import REJECTED, train_classifier
    from bana.data.reading import read_dataset
    from bana.label.recipe import Recipe
    from bana.presets import load_preset, parse_settings

    recipe = load_preset(preset, Recipe)
    chosen = {name: value for name, value in {"pooling": pooling, "epochs": epochs}.items() if value is not None}
    settings = parse_settings(recipe.classify.model_dump() | chosen, type(recipe.classify), "options")
    file = train_classifier(
        read_dataset(data, split, format, cast("OnError", on_error)),
        settings,
        recipe.label.model_dump(mode="json"),
        out,
        labels=labels,
        seed=seed,
        resume=resume,
        workers=workers,
        on_error=cast("OnError", on_error),
        console=console,
    )
    print(file)
    if rejected := len((out / REJECTED).read_text(encoding="utf-8").splitlines()):
        console.print(f"{rejected} images left out: see {out / REJECTED}", highlight=False, soft_wrap=True)
        raise typer.Exit(1)


@app.command()
def label(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Images with boxes: a folder, COCO JSON or data.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder for the labels; what is there and intact is kept.")],
    split: str | None = typer.Option(None, help="Part of the data set, such as val."),
    labeler: Annotated[
        Path | None, typer.Option(help="Run of bana classify, or labeler file; bana's own if left out.")
    ] = None,
    formats: str = typer.Option(
        "png", help="Of png, coco, yolo, labelme, voc, joined by commas; png is always written."
    ),
    u0: str | None = typer.Option(None, help="Background unary: attention, or cam for the comparison."),
    refinements: int | None = typer.Option(None, help="Rounds of retrieval and CRF; the labeler's if left out."),
    format: str | None = typer.Option(None, help="voc, coco, yolo or labelme; found from what is there if left out."),
    workers: int | None = typer.Option(None, min=1, help="Processes; as many as there are cores if left out."),
    on_error: str = typer.Option("stop", help="stop at an image that cannot be used, or skip it."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Label every pixel of every image from its boxes (stage 2)."""
    from bana.classify.labeler_file import load_facts, pretrained_path
    from bana.data.reading import read_dataset
    from bana.label.run import label_dataset
    from bana.label.settings import LabelSettings
    from bana.label.tables import label_run_lines
    from bana.presets import parse_settings

    labeler = labeler or pretrained_path()
    chosen = {name: value for name, value in {"u0": u0, "refinements": refinements}.items() if value is not None}
    settings = parse_settings(load_facts(labeler).label | chosen, LabelSettings, "options")
    run = label_dataset(
        read_dataset(data, split, format, cast("OnError", on_error)),
        labeler,
        out,
        settings=settings,
        formats=[name for name in formats.split(",") if name != "png"],
        workers=workers or _cores(),
        on_error=cast("OnError", on_error),
        console=console,
    )
    if as_json:
        _print_json(run.as_dict())
    else:
        for line in label_run_lines(run, out):
            print(line)
    if run.rejected:
        raise typer.Exit(1)


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
