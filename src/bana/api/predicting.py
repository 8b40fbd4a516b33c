"""Functions that use a trained network: predict, export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from bana.api.defaults import choose_device, worker_count
from bana.api.progress import AnyPath, as_list, progress_console
from bana.data.formats import GEO
from bana.data.geo import require_rasterio
from bana.data.inputs import find_inputs, inputs_from_records
from bana.data.reading import read_with
from bana.data.records import ClassTable
from bana.engine.prediction import Predictor, PredictRun, predict_pictures
from bana.errors import OutputError, SettingsError
from bana.instance.detector import DetectSettings
from bana.instance.geo import write_geo as write_objects
from bana.instance.model import DETECTOR
from bana.instance.predict import Detecting, write_results
from bana.io.faults import FaultLog, OnError
from bana.presets import parse_settings
from bana.report.object_overlay import objects_jpeg
from bana.report.overlay import overlay_jpeg
from bana.segment.export import ExportReport, export_segmenter
from bana.segment.geo import write_geo as write_regions
from bana.segment.model import SEGMENTER
from bana.segment.predict import Outputs, Segmenting
from bana.segment.segmenter import PredictSettings
from bana.segment.voc_server import write_voc_server


def predict(
    run: AnyPath,
    images: AnyPath | Sequence[AnyPath],
    out: AnyPath,
    *,
    split: str | None = None,
    format: str | None = None,
    scales: Sequence[float | str] | None = None,
    flip: bool | None = None,
    crf: bool | None = None,
    overlays: bool = False,
    probabilities: bool = False,
    export: Literal["voc-server", "geo"] | None = None,
    min_score: float | None = None,
    device: str = "auto",
    workers: int | None = None,
    on_error: OnError = "stop",
    follow_links: bool = False,
    quiet: bool = False,
) -> PredictRun:
    """Segment images, or find their objects, with a trained network. No boxes are needed.

    Predictions that are already in ``out`` and intact are kept.

    Args:
        run: A run of ``segment`` or ``run``, or its network's file.
        images: Images, folders, patterns, lists (.txt) or videos; with ``split``, data sets.
        out: The folder for label maps or objects.
        split: The split to predict on, if ``images`` are data sets (default: ``images`` are files).
        format: The format of these data sets (default: detected).
        scales: Image scales to average over, semantic only (default: 0.5, 0.75, 1, 1.5).
        flip: Also average over mirrored images, semantic only (default: True).
        crf: Refine with the fully connected CRF, semantic only (default: True).
        overlays: Also write colored pictures.
        probabilities: Also write the class probabilities as .npz, semantic only.
        export: ``voc-server`` also writes ``voc-server.tgz`` for VOC's evaluation server, semantic only. ``geo`` also
            writes GeoTIFF and GeoJSON of images that have a georeference (default: none).
        min_score: Minimum score of an object, Mask R-CNN only (default: 0.05).
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ...; ``auto`` takes a GPU if there is one.
        workers: Number of worker processes (default: one per core, fewer where memory is short).
        on_error: ``skip`` leaves out images that cannot be used and lists them in ``rejected.jsonl``.
        follow_links: Read images that symbolic links lead to outside the data set.
        quiet: Show no progress.

    Returns:
        What was predicted and how fast. ``as_dict()`` is the result for JSON.

    Raises:
        DataError: If an image cannot be used, or two have the same name.
        CheckpointError: If the network's file is missing or damaged.
        OutputError: If ``out`` holds the images or other predictions, or cannot be written.
        SettingsError: If an argument has a value that is not allowed, or this network does not take it.
    """
    inputs, folder, device = as_list(images), Path(out), choose_device(device)
    if any(Path(each).resolve() == folder.resolve() for each in inputs):
        raise OutputError(f"{folder}: holds the images themselves; choose another output folder")
    if export not in (None, "voc-server", GEO):
        raise SettingsError(f"export: {export!r} is not known; choose voc-server or {GEO}")
    if export == GEO:
        require_rasterio(f"--export {GEO}")
    server = export if export == "voc-server" else None
    semantic = {"scales": scales, "flip": flip, "crf": crf, "probabilities": probabilities or None, "export": server}
    job = _predictor(Path(run), _given(semantic), overlays, min_score, device)
    faults = FaultLog(on_error)
    named = [] if split is None else [Path(each) for each in inputs]
    datasets = [read_with(faults, each, split, format, follow_links=follow_links) for each in named]
    records = (record for dataset in datasets for record in dataset)
    pictures = find_inputs(inputs, folder, job.values) if split is None else inputs_from_records(records)
    processes, console = worker_count(workers, device), progress_console(quiet)
    done = predict_pictures(job, pictures, folder, workers=processes, on_error=on_error, console=console)
    if isinstance(job, Detecting):
        write_results(folder, (picture.name for picture in pictures), datasets[0] if len(datasets) == 1 else None)
    if export == GEO:
        write = write_objects if isinstance(job, Detecting) else write_regions
        without = write(folder, pictures, ClassTable(tuple(job.facts["classes"])))
        if without:
            console.print(f"{without} pictures have no georeference: they are not in {folder / GEO}", highlight=False)
    if server is not None:
        left_out = {each.image_id for each in done.rejected}
        write_voc_server(folder, (picture.name for picture in pictures if picture.name not in left_out))
    return replace(done, rejected=(*faults.rejected(), *done.rejected))


def _predictor(run: Path, semantic: dict[str, Any], overlays: bool, min_score: float | None, device: str) -> Predictor:
    """What works on the pictures; ``semantic`` are the arguments that a Mask R-CNN does not take."""
    if DETECTOR.matches(run):
        if semantic:
            raise SettingsError(f"{next(iter(semantic))}: is not for a Mask R-CNN, which {run} is; leave it out")
        found = parse_settings(_given({"min_score": min_score}), DetectSettings, "settings")
        return Detecting(DETECTOR.path(run), found, objects_jpeg if overlays else None, device)
    if min_score is not None:
        raise SettingsError(f"min_score: is for a Mask R-CNN, which {run} is not; leave it out")
    semantic.pop("export", None)
    outputs = Outputs(overlay_jpeg if overlays else None, semantic.pop("probabilities", False))
    if not semantic.pop("crf", True):
        semantic["crf"] = None
    return Segmenting(SEGMENTER.path(run), parse_settings(semantic, PredictSettings, "settings"), outputs, device)


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def export(run: AnyPath, to: Literal["onnx", "torchscript"], out: AnyPath | None = None) -> ExportReport:
    """Export a segmentation network to ONNX or TorchScript, and check that it computes the same there.

    Args:
        run: A run of ``segment`` or ``run``, or its network's file.
        to: ``onnx`` or ``torchscript``.
        out: The file to write (default: beside the network's file).

    Returns:
        The file and how far its results differ. ``as_dict()`` is the result for JSON.

    Raises:
        CheckpointError: If the network's file is missing or damaged.
        OutputError: If the file cannot be written.
        SettingsError: If the network is a Mask R-CNN, or a package that the export needs is missing.
    """
    if DETECTOR.matches(Path(run)):
        raise SettingsError(f"{run}: is a Mask R-CNN; only segmentation networks are exported")
    file = SEGMENTER.path(Path(run)).with_suffix(".onnx" if to == "onnx" else ".pt") if out is None else Path(out)
    return export_segmenter(Path(run), to, file)
