"""The demonstration: label bana's sample data set, score the labels, and draw a contact sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bana.data.label_folder import LabelFolder
from bana.data.label_maps import png
from bana.data.records import BoxDataset, ImageRecord, boxes_to_mask
from bana.data.sample import FOLDER, sample_dataset
from bana.evaluate import LabelScores, evaluate_labels
from bana.io.files import write_bytes
from bana.label.methods.choose import MethodChoice
from bana.label.run import LabelRun, label_dataset
from bana.report.examples import examples, sheet_row, unreliable_pixels
from bana.report.frame import SheetRow
from bana.report.pictures import contact_sheet

PICTURE = "demo.png"
LABELS = "labels"

_FOOTER = (
    "Photographs from Flickr by way of MS-COCO, under CC BY 2.0, CC BY-SA 2.0 or without known restrictions; "
    "the license and source of each are in ATTRIBUTION.md beside this picture."
)


@dataclass(frozen=True)
class Demo:
    """Result of the demonstration.

    Attributes:
        dataset: The photographs.
        run: The labeling run.
        scores: Scores of the labels against the true masks.
        out: The folder with ``demo.png`` and ``labels``.
    """

    dataset: BoxDataset
    run: LabelRun
    scores: LabelScores
    out: Path

    @property
    def images_per_second(self) -> float | None:
        """Speed of labeling, including the start of its processes; None if all labels were there already."""
        return self.run.labeled / self.run.seconds if self.run.labeled and self.run.seconds else None

    @property
    def boxes_per_class(self) -> dict[int, int]:
        """The number of boxes of every class that has any, those that cover most pixels in all first."""
        ids = np.concatenate([record.class_ids for record in self.dataset])
        boxes = np.concatenate([record.boxes for record in self.dataset])
        area = np.bincount(ids, (boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
        count = np.bincount(ids)
        return {int(class_id): int(count[class_id]) for class_id in np.argsort(-area, kind="stable") if count[class_id]}

    def has_weights(self, class_id: int) -> bool:
        """Whether the classifier knows the class. If not, the class-agnostic map labels it."""
        return self.dataset.classes[class_id - 1] not in self.run.without_weights

    def as_dict(self) -> dict[str, Any]:
        """The demonstration for JSON."""
        counts, names = self.boxes_per_class, self.dataset.classes
        return {
            "images": self.run.images,
            "boxes": self.run.boxes,
            "labeled_now": self.run.labeled,
            "seconds": self.run.seconds,
            "images_per_second": self.images_per_second,
            "boxes_per_class": {names[class_id - 1]: count for class_id, count in counts.items()},
            "classes_with_weights": [names[class_id - 1] for class_id in counts if self.has_weights(class_id)],
            "classes_through_attention": [names[class_id - 1] for class_id in counts if not self.has_weights(class_id)],
            "scores": self.scores.as_dict(),
            "picture": str(self.out / PICTURE),
            "labels": str(self.out / LABELS),
        }


def run_demo(out: Path, labeler: Path, *, workers: int, console: Console) -> Demo:
    """Label the sample set and write ``demo.png``, ``ATTRIBUTION.md`` and ``labels`` into a folder.

    Intact labels of an earlier run are kept. All else is done again.

    Args:
        out: The folder.
        labeler: A labeler file or run folder.
        workers: Number of processes that label.
        console: Shows progress.

    Raises:
        CheckpointError: If the labeler is missing or damaged.
        OutputError: If ``out`` holds labels of another labeler, or cannot be written.
    """
    dataset = sample_dataset()
    run = label_dataset(dataset, MethodChoice.of_labeler(labeler), out / LABELS, workers=workers, console=console)
    demo = Demo(dataset, run, evaluate_labels(out / LABELS, dataset, boundary=False), out)
    labels = LabelFolder(out / LABELS)
    chosen = examples(dataset, labels)
    picture = contact_sheet(
        [_row(record, labels) for record in chosen],
        dataset.classes,
        title="Boxes in, masks out",
        subtitle=f"{len(chosen)} of {len(dataset)} photographs, from the surest labels to the least sure",
        footer=_FOOTER,
    )
    write_bytes(out / PICTURE, png(picture))
    write_bytes(out / "ATTRIBUTION.md", (FOLDER / "ATTRIBUTION.md").read_bytes())
    return demo


def _row(record: ImageRecord, labels: LabelFolder) -> SheetRow:
    boxes = record.boxes[~record.crowd]
    unreliable = unreliable_pixels(labels, record)
    inside = boxes_to_mask(boxes, record.height, record.width)
    return sheet_row(
        record,
        {"labels": labels.label_map("y_crf", record)},
        unreliable=unreliable,
        caption=f"{record.image_id} · {len(boxes)} {'box' if len(boxes) == 1 else 'boxes'}",
        note=f"{unreliable[inside].mean():.0%} of the pixels in boxes" if inside.any() else "",
    )
