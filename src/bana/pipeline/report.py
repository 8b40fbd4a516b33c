"""`bana report`: a page that shows a run, or a folder of labels."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console

from bana.data.colors import colors_of, hex_of
from bana.data.label_folder import INSTANCES, LABELINGS, LabelFolder, labeled_part
from bana.data.reading import read_dataset
from bana.data.records import BoxDataset, ImageRecord
from bana.engine.pool import map_in_order
from bana.engine.progress import StepProgress
from bana.errors import DataError, OutputError
from bana.evaluate import evaluate_labels
from bana.io.files import write_text
from bana.io.strict_json import value_of
from bana.pipeline.context import has_truth
from bana.pipeline.report_sections import cards_of, charts_of, confusions_of, data_tables, details_of, paper_tables
from bana.pipeline.steps import MANIFEST, read_manifest
from bana.report.page.images import ImageLook, LookJob, Totals, uncertainty
from bana.report.page.page import GalleryImage, Page, is_page

FILE = "report.html"


@dataclass(frozen=True)
class Subject:
    """What a page shows.

    Attributes:
        folder: The run folder, or the label folder.
        dataset: The labeled images.
        labels: Their label folder.
        network: The folder of the network trained on them; None where there is none.
        manifest: The run's ``run.json``; empty for a folder of labels.
    """

    folder: Path
    dataset: BoxDataset
    labels: Path
    network: Path | None
    manifest: dict[str, Any]


@dataclass(frozen=True)
class ReportRun:
    """What was written.

    Attributes:
        file: The page.
        images: Number of images in the data set.
        shown: Number of images in the gallery.
        megabytes: Size of the file.
    """

    file: Path
    images: int
    shown: int
    megabytes: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "file": str(self.file)}


def subject_of(
    folder: Path, data: Path | None, split: str | None, format: str | None, *, follow_links: bool = False
) -> Subject:
    """Find what a folder holds, and read its data set.

    Args:
        folder: A folder of ``bana run`` or ``bana label``.
        data: The data set (default: the one that ``run.json`` names).
        split: Its split (default: the one that ``run.json`` names).
        format: Its format (default: the one that ``run.json`` names).
        follow_links: Whether images are read that symbolic links lead to outside the data set.

    Raises:
        DataError: If the folder is neither, is damaged or not finished, or the data set cannot be read or has other
            classes or none of the labeled images.
    """
    manifest: dict[str, Any] = {}
    labels, network = folder, None
    if (folder / MANIFEST).is_file():
        manifest, steps = read_manifest(folder / MANIFEST)
        labels, network = folder / "labels", folder / "segment"
        for name in ("labels", "segment"):
            if not steps.get(name, {}).get("done"):
                raise DataError(f"{folder}: step {name} is not done; run bana run again, or name its labels folder")
    label_folder = LabelFolder(labels)
    if data is None and manifest:
        facts = value_of(manifest, "data", dict, str(folder / MANIFEST))
        data = Path(value_of(facts, "root", str, f"{folder / MANIFEST}: data"))
        split, format = split or facts.get("split"), format or facts.get("format")
    if data is None:
        raise DataError(f"{folder}: does not name the images that it labels; give --data")
    dataset = read_dataset(data, split, format, on_error="skip", follow_links=follow_links)
    label_folder.check_classes(dataset)
    labeled = labeled_part(dataset, label_folder)
    if not len(labeled):
        raise DataError(f"{labels}: labels no image of {data}; give the --data that was labeled")
    return Subject(folder, labeled, labels, network, manifest)


def write_report(
    subject: Subject, out: Path, *, images: int = 500, side: int = 480, workers: int, console: Console
) -> ReportRun:
    """Write the page.

    Args:
        subject: What the page shows.
        out: The HTML file.
        images: The most images in the gallery, evenly from the most to the least uncertain. All images are counted.
        side: Longest side, in pixels, of pictures in the gallery.
        workers: Number of processes that look at images.
        console: Shows progress.

    Raises:
        DataError: If an image, its labels or its mask is damaged.
        CheckpointError: If the network's file is damaged.
        OutputError: If the file cannot be written, or is there and no page of this kind.
    """
    _require_own(out)
    dataset, folder = subject.dataset, LabelFolder(subject.labels)
    uncertain = {record.image_id: uncertainty(record, folder.boxes(record)) for record in dataset}
    ranked = sorted(uncertain, key=lambda image_id: (-(uncertain[image_id] or 0.0), image_id))
    count = min(images, len(ranked))
    shown = [ranked[place * len(ranked) // count] for place in range(count)]
    colors = colors_of(record.class_ids.tolist() for record in dataset)
    job = LookJob(dataset, subject.labels, subject.network, frozenset(shown), colors, side)
    looks, totals = _looks(job, workers, console)
    scores = value_of({"metrics": {}, **subject.manifest}, "metrics", dict, str(subject.folder))
    label_scores = scores.get("labels")
    if label_scores is None and has_truth(dataset):
        label_scores = evaluate_labels(subject.labels, dataset, boundary=False).as_dict()
    network_scores = scores.get("network")
    known = [value for value in uncertain.values() if value is not None]
    page = Page(
        title=f"{subject.folder.resolve().name}: boxes in, masks out",
        subtitle=f"{len(dataset)} images of {dataset.root}" + (f", split {dataset.split}" if dataset.split else ""),
        cards=cards_of(dataset, totals, known, label_scores, network_scores),
        tables={
            "Data set": data_tables(dataset, totals, label_scores, network_scores),
            "Scores": paper_tables(label_scores, network_scores, subject.manifest),
        },
        charts=charts_of(subject.folder, dataset, totals),
        confusions=confusions_of(totals, dataset),
        details=details_of(subject.folder, subject.manifest),
        images=[_gallery_image(look, subject, out) for look in looks],
        classes=dict(enumerate(dataset.classes, start=1)),
        colors={class_id: hex_of(color) for class_id, color in colors.items()},
        gallery_note=_gallery_note(len(looks), len(dataset), subject.network is not None),
    )
    write_text(out, page.html())
    return ReportRun(out, len(dataset), len(looks), round(out.stat().st_size / 1e6, 2))


def _require_own(out: Path) -> None:
    """Raise OutputError if a file is there that another program or a person wrote."""
    try:
        own = not out.exists() or is_page(out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be read ({error.strerror or error}); choose another --out") from error
    if not own:
        raise OutputError(f"{out}: is there and no report of bana; remove it, or choose another --out")


def _looks(job: LookJob, workers: int, console: Console) -> tuple[list[ImageLook], Totals]:
    """What is seen of the gallery's images, in the data set's order, and the totals of all."""
    totals, looks = Totals.of(job.dataset), []
    with closing(StepProgress("looking", len(job.dataset), console)) as progress:
        for number, (_, result) in enumerate(map_in_order(job, job.dataset, workers)):
            look, counted = result()
            totals.add(counted)
            if look.layers:
                looks.append(look)
            progress.update(number, 1, {})
    return looks, totals


def _gallery_image(look: ImageLook, subject: Subject, out: Path) -> GalleryImage:
    record = look.record
    boxes = [
        [
            *(round(float(edge), 1) for edge in record.boxes[number]),
            box.class_id,
            box.status,
            round(box.confidence, 3),
            round(box.filling_rate, 3),
            box.predicted_class,
        ]
        for number, box in enumerate(look.boxes)
    ]
    facts = {
        "id": record.image_id,
        "width": record.width,
        "height": record.height,
        "uncertainty": round(uncertainty(record, look.boxes) or 0.0, 4),
        "score": None if look.score is None else round(look.score, 1),
        "boxes": boxes,
        "files": {name: _address(path, out) for name, path in _files(record, subject.labels).items()},
    }
    return GalleryImage(facts, look.layers)


def _files(record: ImageRecord, labels: Path) -> dict[str, Path]:
    maps = {name: labels / name / f"{record.image_id}.png" for name in (*LABELINGS, "confidence")}
    return {"photo": record.path, **maps, "boxes": labels / INSTANCES / f"{record.image_id}.json"}


def _address(path: Path, out: Path) -> str:
    """From the page to a file beside it, as a link has it."""
    try:
        return quote(Path(os.path.relpath(path.resolve(), out.resolve().parent)).as_posix())
    except ValueError:  # another drive
        return path.resolve().as_uri()


def _gallery_note(shown: int, images: int, network: bool) -> str:
    which = f"{shown} of {images} images, evenly from the most to the least uncertain."
    seen = " The network's masks are of one scale, without the CRF." if network else ""
    keys = " Open one for its boxes and files; there the arrow keys go on and digits choose what is shown."
    return ("All images." if shown == images else which) + seen + keys
