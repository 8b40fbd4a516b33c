"""The commands that use a trained network: predict, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bana.cli.common import chosen_device, console, exit_if_rejected, print_json, processes
from bana.errors import OutputError, SettingsError

if TYPE_CHECKING:
    from bana.engine.prediction import Predictor
    from bana.io.faults import OnError
    from bana.segment.export import Format


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run of bana segment or bana run, or its network's file.")],
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGES...", help="Images, folders, patterns, lists (.txt), videos; DATA with --split."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for label maps or objects; what is there and intact is kept.")],
    split: str | None = typer.Option(None, help="Take the images of this part of the data set IMAGES."),
    format: str | None = typer.Option(None, help="Of that data set; found from what is there if left out."),
    scales: str | None = typer.Option(
        None, help="Factors on the images' size, of which the mean is taken; 0.5,0.75,1,1.5."
    ),
    flip: bool | None = typer.Option(None, help="Whether mirrored images take part too; they do."),
    crf: bool | None = typer.Option(None, help="Refine with the fully connected CRF, as is done."),
    overlays: bool | None = typer.Option(None, "--overlays", help="Write colored pictures too."),
    probabilities: bool | None = typer.Option(None, "--probabilities", help="Write the classes' probabilities (.npz)."),
    score: float | None = typer.Option(None, help="Least score of an object of a Mask R-CNN; 0.05."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1, mps, ...; auto: CUDA if there is any."),
    workers: int | None = typer.Option(None, min=1, help="DistContext; as many as there are cores if left out."),
    on_error: str = typer.Option("stop", help="stop at an image that cannot be used, or skip it."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Segment images that have no boxes, or find their objects, with a trained network."""
    from bana.data.inputs import find_inputs, inputs_from_records
    from bana.data.prediction_folder import RESULTS
    from bana.data.reading import read_with
    from bana.engine.prediction import predict_pictures
    from bana.instance.predict import write_results
    from bana.io.faults import FaultLog

    if any(Path(each).resolve() == out.resolve() for each in images):
        raise OutputError(f"{out}: holds the images themselves; choose another --out")
    device = chosen_device(device)
    semantic = {"scales": scales, "flip": flip, "crf": crf, "overlays": overlays, "probabilities": probabilities}
    job, finds_objects = _predictor(
        run, {name: each for name, each in semantic.items() if each is not None}, score, device
    )
    faults = FaultLog(cast("OnError", on_error))
    datasets = [] if split is None else [read_with(faults, Path(each), split, format) for each in images]
    if split is None:
        pictures = find_inputs(images, out)
    else:
        pictures = inputs_from_records(record for dataset in datasets for record in dataset)
    done = predict_pictures(
        job,
        pictures,
        out,
        workers=processes(workers, device),
        on_error=cast("OnError", on_error),
        console=console,
    )
    if finds_objects:
        names = (picture.name for picture in pictures)
        write_results(out, names, datasets[0] if len(datasets) == 1 else None)
    if as_json:
        print_json(done.as_dict())
    else:
        place, what = (out / RESULTS, "searched") if finds_objects else (out, "segmented")
        print(f"{place}: {done.images} pictures, {done.predicted} {what} now in {done.seconds:.0f} s")
    exit_if_rejected(len(done.rejected) + len(faults.rejected()), out / "rejected.jsonl")


def _predictor(run: Path, semantic: dict[str, Any], score: float | None, device: str) -> tuple[Predictor, bool]:
    """What works on pictures, and whether it finds objects; ``semantic`` are the options that are not for those."""
    from bana.instance.detector import DetectSettings
    from bana.instance.model import DETECTOR
    from bana.instance.predict import Detecting
    from bana.presets import parse_settings
    from bana.report.object_overlay import objects_jpeg
    from bana.report.overlay import overlay_jpeg
    from bana.segment.model import SEGMENTER
    from bana.segment.predict import Outputs, Segmenting
    from bana.segment.segmenter import PredictSettings

    if DETECTOR.matches(run):
        draw = objects_jpeg if semantic.pop("overlays", False) else None
        if semantic:
            raise SettingsError(f"--{next(iter(semantic))}: is not for a Mask R-CNN, as {run} is; leave it out")
        chosen = {} if score is None else {"min_score": score}
        settings = parse_settings(chosen, DetectSettings, "options")
        return Detecting(DETECTOR.path(run), settings, draw, device), True
    if score is not None:
        raise SettingsError(f"--score: is for a Mask R-CNN, which {run} is not; leave it out")
    outputs = Outputs(overlay_jpeg if semantic.pop("overlays", False) else None, semantic.pop("probabilities", False))
    if "scales" in semantic:
        semantic["scales"] = semantic["scales"].split(",")
    if not semantic.pop("crf", True):
        semantic["crf"] = None
    return Segmenting(SEGMENTER.path(run), parse_settings(semantic, PredictSettings, "options"), outputs, device), False


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run of bana segment or bana run, or segmenter file.")],
    to: Annotated[str, typer.Option(help="onnx or torchscript.")],
    out: Annotated[Path | None, typer.Option(help="File to write; beside the network's if left out.")] = None,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Write a trained network for other programs, and check that it computes the same there."""
    from bana.instance.model import DETECTOR
    from bana.segment.export import export_segmenter
    from bana.segment.model import SEGMENTER

    if DETECTOR.matches(run):
        raise SettingsError(f"{run}: is a Mask R-CNN; only segmentation networks are exported")
    file = out or SEGMENTER.path(run).with_suffix(".onnx" if to == "onnx" else ".pt")
    report = export_segmenter(run, cast("Format", to), file)
    if as_json:
        print_json(report.as_dict())
    else:
        print(f"{report.path}: {report.bytes / 1e6:.1f} MB, as the network to {report.difference:.0e}")
