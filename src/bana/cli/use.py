"""The commands that use a trained network: predict, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bana.cli.shell import chosen_device, console, exit_if_rejected, print_json, processes
from bana.errors import OutputError

if TYPE_CHECKING:
    from bana.data.faults import OnError
    from bana.segment.export import Format


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run of bana segment or bana run, or segmenter file.")],
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGES...", help="Images, folders, patterns, lists (.txt), videos; DATA with --split."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the label maps; what is there and intact is kept.")],
    split: str | None = typer.Option(None, help="Take the images of this part of the data set IMAGES."),
    format: str | None = typer.Option(None, help="Of that data set; found from what is there if left out."),
    scales: str = typer.Option("0.5,0.75,1,1.5", help="Factors on the images' size, of which the mean is taken."),
    flip: bool = typer.Option(True, help="Whether mirrored images take part too."),
    crf: bool = typer.Option(True, help="Refine with the fully connected CRF."),
    overlays: bool = typer.Option(False, "--overlays", help="Write coloured pictures too."),
    probabilities: bool = typer.Option(False, "--probabilities", help="Write the classes' probabilities too (.npz)."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1, ...; auto: a GPU if there is one."),
    workers: int | None = typer.Option(None, min=1, help="Processes; as many as there are cores if left out."),
    on_error: str = typer.Option("stop", help="stop at an image that cannot be used, or skip it."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Segment images that have no boxes with a trained network."""
    from bana.data.faults import FaultLog
    from bana.data.reading import read_with
    from bana.data.sources import find_pictures, record_pictures
    from bana.presets import parse_settings
    from bana.report.overlay import overlay_jpeg
    from bana.segment.predict import Outputs, predict_pictures
    from bana.segment.segmenter import PredictSettings

    chosen = {"scales": scales.split(","), "flip": flip, **({} if crf else {"crf": None})}
    if any(Path(each).resolve() == out.resolve() for each in images):
        raise OutputError(f"{out}: holds the images themselves; choose another --out")
    faults = FaultLog(cast("OnError", on_error))
    if split is None:
        pictures = find_pictures(images, out)
    else:
        records = [record for each in images for record in read_with(faults, Path(each), split, format)]
        pictures = record_pictures(records)
    device = chosen_device(device)
    done = predict_pictures(
        run,
        pictures,
        out,
        settings=parse_settings(chosen, PredictSettings, "options"),
        outputs=Outputs(overlay_jpeg if overlays else None, probabilities),
        device=device,
        workers=processes(workers, device),
        on_error=cast("OnError", on_error),
        console=console,
    )
    if as_json:
        print_json(done.as_dict())
    else:
        print(f"{out}: {done.images} pictures, {done.predicted} segmented now in {done.seconds:.0f} s")
    exit_if_rejected(len(done.rejected) + len(faults.rejected()), out / "rejected.jsonl")


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run of bana segment or bana run, or segmenter file.")],
    to: Annotated[str, typer.Option(help="onnx or torchscript.")],
    out: Annotated[Path | None, typer.Option(help="File to write; beside the network's if left out.")] = None,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Write a trained network for other programs, and check that it computes the same there."""
    from bana.segment.export import export_segmenter
    from bana.segment.segmenter_file import segmenter_path

    file = out or segmenter_path(run).with_suffix(".onnx" if to == "onnx" else ".pt")
    report = export_segmenter(run, cast("Format", to), file)
    if as_json:
        print_json(report.as_dict())
    else:
        print(f"{report.path}: {report.bytes / 1e6:.1f} MB, as the network to {report.difference:.0e}")
