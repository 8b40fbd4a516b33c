"""Functions that do several stages at once, or show their results: demo, run, report, app."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bana.api.defaults import choose_device, labeler_or_own, locate_data, worker_count
from bana.api.progress import AnyPath, optional_path, progress_console
from bana.data.reading import read_dataset
from bana.extras import needed
from bana.io.faults import OnError
from bana.io.terminal import print_line

if TYPE_CHECKING:
    from bana.pipeline.report import ReportRun
    from bana.pipeline.run import PipelineRun
    from bana.report.demo import Demo


def demo(
    out: AnyPath = "bana-demo", *, labeler: AnyPath | None = None, workers: int | None = None, quiet: bool = False
) -> Demo:
    """Label the photographs that come with bana, score the masks and draw a picture of them.

    Args:
        out: The folder for the picture and the labels.
        labeler: A run of ``classify`` or a labeler file (default: bana's own labeler).
        workers: Number of worker processes (default: one per core, fewer where memory is short).
        quiet: Show no progress.

    Raises:
        CheckpointError: If the labeler is missing or damaged.
        OutputError: If ``out`` holds labels of another labeler or cannot be written.
    """
    from bana.report.demo import run_demo

    console = progress_console(quiet)
    return run_demo(Path(out), labeler_or_own(labeler), workers=worker_count(workers), console=console)


def run(
    data: AnyPath,
    out: AnyPath,
    *,
    split: str | None = None,
    val_split: str | None = None,
    preset: str | None = None,
    format: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str | None = None,
    epochs: int | None = None,
    load_workers: int = 0,
    workers: int | None = None,
    on_error: OnError = "stop",
    follow_links: bool = False,
    quiet: bool = False,
) -> PipelineRun:
    """Run all stages, from boxes to a trained network: classify, refine, label, segment, evaluate.

    Call it again to go on with an interrupted run. Finished stages are skipped.

    Args:
        data: Images with boxes: a folder, COCO JSON file or YOLO data.yaml; ``demo`` is the sample data set.
        out: The folder of the run.
        split: The split to learn from (default: the only one).
        val_split: A split with true masks to score the network on (default: ``split``, if it has true masks).
        preset: A preset's name or a YAML file (default: ``lite0``; ``small`` for the sample data set).
        format: ``voc``, ``coco``, ``yolo``, ``labelme``, ``cvat``, ``dota`` or ``mot`` (default: detected).
        seed: Random seed.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ...; ``auto`` takes a GPU if there is one.
        precision: ``float32``, ``bfloat16`` or ``float16`` in all trainings (default: the preset's).
        epochs: Epochs of the segmentation network (default: the preset's).
        load_workers: Number of processes that load images for a training; 0 loads them in the training process.
        workers: Number of processes that label and score (default: one per core, fewer where memory is short).
        on_error: ``skip`` leaves out images that cannot be used and lists them in ``rejected.jsonl``.
        follow_links: Read images that symbolic links lead to outside the data set.
        quiet: Show no progress.

    Raises:
        DataError: If an image cannot be used, or a validation image has no true mask.
        OutputError: If ``out`` holds folders of something else or cannot be written.
        SettingsError: If a setting is not known or not allowed.
    """
    from bana.engine.distributed import RuntimeConfig
    from bana.pipeline.recipe import Recipe
    from bana.pipeline.run import run_pipeline
    from bana.presets import load_preset

    root, format = locate_data(data, format)
    device = choose_device(device)
    recipe = load_preset(preset or ("lite0" if root == Path(data) else "small"), Recipe)
    return run_pipeline(
        read_dataset(root, split, format, on_error, follow_links=follow_links),
        None if val_split is None else read_dataset(root, val_split, format, on_error, follow_links=follow_links),
        recipe.with_precision(precision).with_epochs(epochs),
        Path(out),
        seed=seed,
        runtime=RuntimeConfig(device, load_workers),
        workers=worker_count(workers, device),
        on_error=on_error,
        console=progress_console(quiet),
    )


def report(
    run: AnyPath,
    out: AnyPath | None = None,
    *,
    data: AnyPath | None = None,
    split: str | None = None,
    images: int = 500,
    thumbnail_size: int = 480,
    format: str | None = None,
    workers: int | None = None,
    follow_links: bool = False,
    quiet: bool = False,
) -> ReportRun:
    """Write a run or a label folder as one HTML page: scores, training, confidence, and a gallery of images.

    Args:
        run: The folder of ``run``, or of ``label`` together with ``data``.
        out: The HTML file (default: ``report.html`` in ``run``).
        data: The labeled data set (default: the one that the run names).
        split: The split that was labeled (default: the one that the run names).
        images: Maximum number of images in the gallery. The figures count all images.
        thumbnail_size: Longest side of the gallery's pictures, in pixels.
        format: ``voc``, ``coco``, ``yolo``, ``labelme``, ``cvat``, ``dota`` or ``mot`` (default: detected).
        workers: Number of worker processes (default: one per core, fewer where memory is short).
        follow_links: Read images that symbolic links lead to outside the data set.
        quiet: Show no progress.

    Raises:
        DataError: If the folder is of another kind or not finished, or the data set cannot be read.
        OutputError: If the page cannot be written.
    """
    from bana.pipeline.report import FILE, subject_of, write_report

    subject = subject_of(Path(run), optional_path(data), split, format, follow_links=follow_links)
    file, processes, console = Path(out or Path(run) / FILE), worker_count(workers), progress_console(quiet)
    return write_report(subject, file, images=images, side=thumbnail_size, workers=processes, console=console)


def app(
    data: AnyPath,
    *,
    split: str | None = None,
    labels: AnyPath | None = None,
    labeler: AnyPath | None = None,
    port: int = 8008,
    browser: bool = True,
    read_only: bool = False,
    format: str | None = None,
    device: str = "cpu",
    on_error: OnError = "stop",
    quiet: bool = False,
) -> None:
    """Open the workbench, a page to look at labels, correct, accept or reject them, and export them.

    It runs until it is interrupted. Only this machine can reach the page.

    Args:
        data: Images with boxes: a folder, COCO JSON file or YOLO data.yaml; ``demo`` is the sample data set.
        split: The split to work on (default: the only one).
        labels: The folder of labels and reviews (default: ``<data>-labels`` beside ``data``).
        labeler: A run of ``classify`` or a labeler file (default: bana's own labeler).
        port: The port, or 0 for any free one.
        browser: Open the page in a browser.
        read_only: Refuse every change, upload and export.
        format: ``voc``, ``coco``, ``yolo``, ``labelme``, ``cvat``, ``dota`` or ``mot`` (default: detected).
        device: The device of the labeler's network: ``cpu``, ``cuda``, ``mps``, ... or ``auto``.
        on_error: ``skip`` leaves out images that cannot be used.
        quiet: Print only the address.

    Raises:
        DataError: If the data set or the labels cannot be used.
        CheckpointError: If the labeler is missing or damaged.
        OutputError: If another process works in the folder of labels, or it cannot be written.
        SettingsError: If the port is taken, or a package that the page needs is missing.
    """
    for package in ("fastapi", "uvicorn"):
        needed(package, "app", "bana app")
    from bana.api.labeling import choose_method
    from bana.app.serve import serve

    root, format = locate_data(data, format)
    beside = _beside(root) if root == Path(data) else Path(f"{data}-labels")
    folder = Path(labels or beside)
    serve(
        read_dataset(root, split, format, on_error),
        choose_method("labeler", labeler, device=choose_device(device)),
        folder,
        port=port,
        open_browser=browser,
        read_only=read_only,
        tell=_announcement(data, folder, quiet),
    )


def _announcement(data: AnyPath, labels: Path, quiet: bool) -> Callable[[str], None]:
    """What tells the user that the page can be opened."""

    def tell(address: str) -> None:
        print_line(f"{address} shows {data}; labels and reviews are kept in {labels}", flush=True)
        if not quiet:
            print("Press Ctrl-C to stop.", file=sys.stderr)

    return tell


def _beside(data: Path) -> Path:
    """The folder of a data set's labels, beside it: ``NAME-labels``, NAME without the suffix of a file."""
    where = Path(os.path.abspath(data))  # noqa: PTH100 - folds . and .., and a link keeps its own name
    return where.parent / f"{(where.stem if where.is_file() else where.name) or 'data'}-labels"
