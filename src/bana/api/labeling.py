"""Functions about labels: label, merge, tune."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bana.api.defaults import choose_device, labeler_or_own, worker_count
from bana.api.progress import AnyPath, as_list, optional_path, progress_console
from bana.data.mirror import read_anywhere
from bana.data.reading import read_dataset
from bana.data.writing import ImageMode
from bana.errors import SettingsError
from bana.io.faults import REJECTED, OnError
from bana.io.remote import parse_path
from bana.io.shards import Shard
from bana.label.merge import merge_labels
from bana.label.methods.choose import NAMES, MethodChoice
from bana.label.run import LabelRun, label_dataset
from bana.label.search import SearchMethod
from bana.label.settings import LabelSettings
from bana.label.tiles import Tiling
from bana.label.tune import TuneRun, tune_labeler
from bana.pipeline.recipe import Recipe
from bana.presets import load_preset, parse_settings
from bana.report.preview import require_videos, write_previews


def label(
    data: AnyPath,
    out: AnyPath,
    *,
    split: str | None = None,
    method: str = "labeler",
    labeler: AnyPath | Sequence[AnyPath] | None = None,
    sam_encoder: AnyPath | None = None,
    sam_decoder: AnyPath | None = None,
    preset: str | None = None,
    formats: Sequence[str] = (),
    images: ImageMode = "none",
    tile: str | int = "auto",
    format: str | None = None,
    warm_start: bool = False,
    preview: bool = False,
    shard: str | None = None,
    workers: int | None = None,
    device: str = "cpu",
    engine: str = "local",
    on_error: OnError = "stop",
    strict: bool = False,
    follow_links: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> LabelRun:
    """Label every pixel of every image from its boxes.

    Labels that are already in ``out`` and intact are kept.

    Args:
        data: Images with boxes: a folder, COCO JSON file, YOLO data.yaml, or an address such as ``s3://bucket/data``.
        out: The folder for the labels, or an address.
        split: The split to label (default: the only one).
        method: The labeling method, or ``fuse:A,B`` for the pixels on which two methods agree.
        labeler: A run of ``classify`` or a labeler file; ``METHOD=RUN`` names one for a single method (default: bana's
            own labeler).
        sam_encoder: ONNX file of SAM's encoder, for the method ``sam``.
        sam_decoder: ONNX file of SAM's decoder, for the method ``sam``.
        preset: A preset's name or a YAML file whose label settings are used (default: the labeler's own settings).
        formats: Also write the masks in these formats: ``coco``, ``yolo``, ``labelme``, ``voc``, ``geo``.
        images: ``copy`` or ``link`` the images into the folders of these formats, or write ``none`` of them.
        tile: ``auto`` labels images of more than 33 megapixels in tiles, ``none`` labels every image whole. A number is
            the side of a tile in pixels; every image that has more pixels than one tile is labeled in tiles.
        format: ``voc``, ``coco``, ``yolo``, ``labelme``, ``cvat``, ``dota`` or ``mot`` (default: detected).
        warm_start: Label the frames of a video in order, each starting from the masks of the one before.
        preview: Also write ``preview/<video>.mp4``: the frames with their masks, each track in its own color.
        shard: ``NUMBER/COUNT``, such as ``3/8``: label only this part, into its own folder inside ``out``.
        workers: Number of worker processes (default: one per core, fewer where memory is short).
        device: The device of the labeler's network: ``cpu``, ``cuda``, ``mps``, ... or ``auto``.
        engine: ``local`` uses processes of this machine, ``ray`` a Ray cluster.
        on_error: ``skip`` leaves out images that cannot be used and lists them in ``rejected.jsonl``.
        strict: Treat an object that is repaired or left out as a fault of its image.
        follow_links: Read images that symbolic links lead to outside the data set.
        quiet: Show no progress.
        **settings: Label settings that differ from the preset's or the labeler's own, such as ``refinements=2``.

    Returns:
        What was labeled and how fast. ``as_dict()`` is the result for JSON.

    Raises:
        DataError: If an image cannot be used.
        CheckpointError: If a labeler or network is missing or damaged.
        OutputError: If ``out`` holds labels of another method or cannot be written.
        SettingsError: If an argument has a value that is not allowed.
    """
    tiling, reading = Tiling.parse(tile), {"strict": strict, "follow_links": follow_links}
    dataset, fetch = read_anywhere(parse_path(str(data)), split, format, on_error, **reading)
    folder = parse_path(str(out))
    exported = [name for name in formats if name != "png"]
    part = Shard.of_rank() if shard is None else Shard.parse(shard)
    if part is not None:
        if exported:
            raise SettingsError(f"formats: a shard cannot be written as {exported[0]}; merge all shards first")
        if warm_start or preview:
            option = "warm_start" if warm_start else "preview"
            raise SettingsError(f"{option}: needs all frames of a video, but a shard has only some; leave one out")
        dataset, folder = dataset.shard(part), folder / part.folder
    chosen = choose_method(method, labeler, sam_encoder, sam_decoder, preset, settings, choose_device(device))
    chosen = replace(chosen, warm_start=warm_start)
    how: dict[str, Any] = {"workers": worker_count(workers), "on_error": on_error, "engine": engine, "images": fetch}
    how |= {"tiling": tiling, "formats": exported, "format_images": images, "console": progress_console(quiet)}
    if not preview:
        return label_dataset(dataset, chosen, folder, **how)
    if not isinstance(folder, Path) or fetch is not nullcontext:
        raise SettingsError("preview: needs a local DATA and --out; ask for it on copies of both")
    require_videos(dataset)  # before hours of labeling
    run = label_dataset(dataset, chosen, folder, **how)
    write_previews(dataset, folder, progress_console(quiet))
    return run


def choose_method(
    name: str,
    labeler: AnyPath | Sequence[AnyPath] | None,
    sam_encoder: AnyPath | None = None,
    sam_decoder: AnyPath | None = None,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "cpu",
) -> MethodChoice:
    """The method that arguments of ``label`` choose; a setting that is None stays as the labeler has it.

    Raises:
        SettingsError: If the preset or a setting is not known or not allowed, for whatever method.
    """
    labelers = {}
    for text in as_list(labeler):
        method, sign, run = str(text).partition("=")
        if sign and method in NAMES:
            labelers[method] = Path(run)
        else:
            labelers[""] = Path(text)
    changes = {option: value for option, value in (settings or {}).items() if value is not None}
    parse_settings(changes, LabelSettings, "options")
    chosen = None if preset is None else load_preset(preset, Recipe).label
    return MethodChoice(name, labelers, optional_path(sam_encoder), optional_path(sam_decoder), chosen, changes, device)


@dataclass(frozen=True)
class MergeRun:
    """Result of ``merge``.

    Attributes:
        images: Number of images with labels from these shards.
        rejected: Number of images that the shards could not label.
    """

    images: int
    rejected: int

    def as_dict(self) -> dict[str, Any]:
        """The result for JSON."""
        return asdict(self)


def merge(shards: AnyPath | Sequence[AnyPath], out: AnyPath, *, quiet: bool = False) -> MergeRun:
    """Merge the labels of shards into one folder.

    Args:
        shards: The ``out`` of ``label`` with ``shard``, or the folders of the shards.
        out: The folder for all labels. Labels that are already there are kept.
        quiet: Show no progress.

    Raises:
        DataError: If a shard is missing, or shards were labeled with different methods, settings or classes.
        OutputError: If ``out`` cannot be written.
    """
    images = merge_labels([Path(shard) for shard in as_list(shards)], Path(out), console=progress_console(quiet))
    return MergeRun(images, len((Path(out) / REJECTED).read_text(encoding="utf-8").splitlines()))


def tune(
    data: AnyPath,
    out: AnyPath,
    *,
    split: str | None = None,
    labeler: AnyPath | None = None,
    images: int = 100,
    trials: int = 60,
    search: SearchMethod = "grid",
    seed: int = 0,
    workers: int | None = None,
    format: str | None = None,
    follow_links: bool = False,
    quiet: bool = False,
) -> TuneRun:
    """Search for the CRF settings and the threshold that give a labeler its best labels.

    Call it again to go on with an interrupted search.

    Args:
        data: A data set with boxes and true masks.
        out: The folder of the search, which also holds the tuned labeler.
        split: The split to search on (default: the only one).
        labeler: A run of ``classify`` or a labeler file (default: bana's own labeler).
        images: Number of images to search on. As many other images, if there are any, measure the gain.
        trials: Maximum number of settings to try.
        search: ``grid`` varies one setting after the other, ``random`` all at once.
        seed: Random seed.
        workers: Number of worker processes (default: one per core, fewer where memory is short).
        format: ``voc``, ``coco``, ``yolo``, ``labelme``, ``cvat``, ``dota`` or ``mot`` (default: detected).
        follow_links: Read images that symbolic links lead to outside the data set.
        quiet: Show no progress.

    Returns:
        The best settings and the gain. ``as_dict()`` is the result for JSON.

    Raises:
        DataError: If there are fewer than two images, or an image or its true mask cannot be used.
        CheckpointError: If the labeler is missing or damaged.
        OutputError: If ``out`` holds another search or cannot be written.
        SettingsError: If an argument has a value that is not allowed.
    """
    return tune_labeler(
        read_dataset(data, split, format, follow_links=follow_links),
        labeler_or_own(labeler),
        Path(out),
        images=images,
        trials=trials,
        method=search,
        seed=seed,
        workers=worker_count(workers),
        console=progress_console(quiet),
    )
