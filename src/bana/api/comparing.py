"""Functions that measure: compare labeling methods on your own data, reproduce the paper's tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bana.api.defaults import choose_device, labeler_or_own, worker_count
from bana.api.labeling import choose_method
from bana.api.progress import AnyPath, progress_console
from bana.data.reading import read_dataset
from bana.data.records import BoxDataset
from bana.data.truth import mask_files
from bana.engine.distributed import RuntimeConfig
from bana.errors import SettingsError
from bana.label.methods.choose import MethodChoice
from bana.pipeline.compare import Comparison, available, compare_methods, sampled, with_truth
from bana.pipeline.comparison import draw_comparison
from bana.pipeline.context import has_truth
from bana.pipeline.methods import ALL
from bana.pipeline.object_rows import OBJECT_TABLES
from bana.pipeline.recipe import Recipe
from bana.pipeline.reproduce import reproduce as reproduce_table
from bana.pipeline.reproduce import share_of
from bana.pipeline.rows import PRESETS, ROWS, TABLES
from bana.pipeline.study import LABEL_TABLE, METHOD_TABLE, Reproduction, Study, rows_of
from bana.pipeline.table1 import reproduce_methods
from bana.presets import load_preset


def compare(
    data: AnyPath,
    out: AnyPath,
    *,
    split: str | None = None,
    methods: Sequence[str] | None = None,
    truth: AnyPath | None = None,
    labeler: AnyPath | Sequence[AnyPath] | None = None,
    sam_encoder: AnyPath | None = None,
    sam_decoder: AnyPath | None = None,
    preset: str | None = None,
    max_images: int | None = None,
    seed: int = 0,
    format: str | None = None,
    device: str = "cpu",
    workers: int | None = None,
    follow_links: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> Comparison:
    """Compare labeling methods on a data set with true masks, as the paper's Table 1 does.

    Args:
        data: Images with boxes and true masks. The masks are used for scoring only.
        out: The folder for the labels of all methods. Labels that are there and unchanged are kept.
        split: The split to label (default: the only one).
        methods: The methods to compare, such as ``grabcut`` or ``fuse:A,B`` (default: all that can run here).
        truth: A folder of true masks, ``<image>.png`` (default: the data set's own).
        labeler: A run of ``classify`` or a labeler file; ``METHOD=RUN`` names one for a single method (default: bana's
            own labeler).
        sam_encoder: ONNX file of SAM's encoder, for the method ``sam``.
        sam_decoder: ONNX file of SAM's decoder, for the method ``sam``.
        preset: A preset's name or a YAML file whose label settings labelers use (default: their own settings). Settings
            that define a method stay as they are.
        max_images: Number of images to compare on, chosen at random (default: all).
        seed: Random seed for this choice.
        format: ``voc``, ``coco``, ``yolo``, ``labelme``, ``cvat``, ``dota`` or ``mot`` (default: detected).
        device: The device of labelers' networks: ``cpu``, ``cuda``, ``mps``, ... or ``auto``.
        workers: Number of worker processes (default: one per core, fewer where memory is short).
        follow_links: Read images that symbolic links lead to outside the data set.
        quiet: Show no progress.
        **settings: Label settings to change in every method that has a labeler, such as ``image_side=900``.

    Returns:
        The scores of each method, and why others could not run. ``as_dict()`` is the result for JSON.

    Raises:
        DataError: If an image has no true mask or cannot be used.
        CheckpointError: If a labeler or network is missing or damaged.
        OutputError: If ``out`` holds folders of something else or cannot be written.
        SettingsError: If a method is not known, or a file or package that it needs is missing.
    """
    dataset = read_dataset(data, split, format, follow_links=follow_links)
    if truth is not None:
        dataset = with_truth(dataset, mask_files(Path(truth)))
    if max_images is not None:
        dataset = sampled(dataset, max_images, seed)
    choice = choose_method("labeler", labeler, sam_encoder, sam_decoder, preset, settings, choose_device(device))
    names, missing = available(ALL, choice, dataset.classes) if methods is None else (methods, {})
    processes, console = worker_count(workers), progress_console(quiet)
    result = compare_methods(dataset, names, choice, Path(out), unavailable=missing, workers=processes, console=console)
    return replace(result, pictures=tuple(draw_comparison(result, Path(out))))


def reproduce(
    table: str,
    data: AnyPath,
    out: AnyPath,
    *,
    labeler: AnyPath | None = None,
    preset: str | None = None,
    split: str | None = None,
    val_split: str | None = None,
    rows: Sequence[str] | None = None,
    seeds: int = 1,
    mask_share: float | None = None,
    device: str = "auto",
    precision: str | None = None,
    load_workers: int = 0,
    workers: int | None = None,
    follow_links: bool = False,
    quiet: bool = False,
) -> Reproduction:
    """Reproduce a table of the paper: train and score its rows, and show our figures beside the paper's.

    Call it again to go on with an interrupted run.

    Args:
        table: ``table1``, ``table2``, ``table3``, ``table4``, ``table5`` or ``table6``.
        data: PASCAL VOC 2012, MS-COCO, or another data set with true masks.
        out: The folder of all runs. Runs that are there and unchanged are kept.
        labeler: A labeler trained on other data, for tables 2 and 6 (default: bana's own labeler).
        preset: A preset's name or a YAML file (default: the table's own recipe).
        split: The split to learn from (default: ``train_aug`` for tables 1 and 3 to 5, else the only one).
        val_split: The split to score on (default: ``val`` for tables 1 and 3 to 5; table 1 scores ``train`` too).
        rows: The rows of the table to make (default: all).
        seeds: Number of seeds to train each network with.
        mask_share: Share of the images whose true masks the row ``semi`` uses (default: the images of ``train``).
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ...; ``auto`` takes a GPU if there is one.
        precision: ``float32``, ``bfloat16`` or ``float16`` in all trainings (default: the preset's).
        load_workers: Number of processes that load images for a training; 0 loads them in the training process.
        workers: Number of processes that label and score (default: one per core, fewer where memory is short).
        follow_links: Read images that symbolic links lead to outside the data set.
        quiet: Show no progress.

    Returns:
        The scores of each row, and why others could not be made. ``as_dict()`` is the result for JSON.

    Raises:
        DataError: If an image has no true mask or cannot be used.
        CheckpointError: If the labeler is missing or damaged.
        OutputError: If ``out`` holds runs with other settings or images, or cannot be written.
        SettingsError: If an argument has a value that is not allowed, or this table does not take it.
    """
    of_objects = table in OBJECT_TABLES
    _check_table(table, mask_share, labeler, val_split)
    recipe = load_preset(preset or PRESETS.get(table, "coco"), Recipe).with_precision(precision)
    names = rows_of(table) if rows is None else list(rows)
    dataset = read_dataset(data, split or (None if of_objects else "train_aug"), follow_links=follow_links)
    device = choose_device(device)
    runtime = RuntimeConfig(device, load_workers)
    how: dict[str, Any] = {"runtime": runtime, "workers": worker_count(workers, device)}
    how["console"] = progress_console(quiet)
    scored = None if table == LABEL_TABLE else read_dataset(data, val_split or "val", follow_links=follow_links)
    if table == METHOD_TABLE:
        assert scored is not None
        splits = {"train": read_dataset(data, "train", follow_links=follow_links), "val": scored}
        study = Study(table, dataset, None, recipe, names, range(1))
        return reproduce_methods(study, Path(out), scored=splits, choose=rows is None, **how)
    missing = _impossible_rows(names, table, dataset) if rows is None else {}
    names = [name for name in names if name not in missing]
    masked = _masked(data, dataset, mask_share, follow_links) if "semi" in names else []
    other = labeler_or_own(labeler) if of_objects else None
    study = Study(table, dataset, scored, recipe, names, range(seeds), masked, other)
    return replace(reproduce_table(study, Path(out), **how), unavailable=missing)


def _impossible_rows(names: Sequence[str], table: str, dataset: BoxDataset) -> dict[str, str]:
    """The rows that cannot be made here, and why: true masks to learn from, or a package of a method, are missing."""
    found = {}
    if "masks" in names and table != LABEL_TABLE and not has_truth(dataset):
        found["masks"] = "masks: some images to learn from have no true mask"
    for name in names if table in TABLES else ():
        method = ROWS[name].method
        try:
            if method is not None:
                MethodChoice(method).open(dataset.classes, threads=1)
        except SettingsError as error:
            found[name] = f"{name}: {error}"
    return found


def _check_table(table: str, mask_share: float | None, labeler: AnyPath | None, val_split: str | None) -> None:
    """Raise SettingsError if there is no such table, or an argument is missing or not for it."""
    of_objects = table in OBJECT_TABLES
    if not of_objects and table not in (METHOD_TABLE, *TABLES):
        tables = ", ".join(sorted([METHOD_TABLE, *TABLES, *OBJECT_TABLES]))
        raise SettingsError(f"table {table!r} is not known; choose one of {tables}")
    if of_objects and mask_share is not None:
        raise SettingsError(f"mask_share: is not for {table}; leave it out")
    if labeler is not None and not of_objects:
        raise SettingsError(f"labeler: is not for {table}; leave it out")
    if of_objects and table != LABEL_TABLE and val_split is None:
        raise SettingsError(f"{table}: needs --val-split, the split to score on, such as val2017")


def _masked(data: AnyPath, dataset: BoxDataset, share: float | None, follow_links: bool) -> list[str]:
    """The images whose true masks the row ``semi`` uses."""
    if share is not None:
        return share_of(dataset, share, seed=0)
    return [record.image_id for record in read_dataset(data, "train", follow_links=follow_links)]
