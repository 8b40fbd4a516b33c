"""The picture of a training run's confidence maps, from the files that it left."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from bana.data.images import open_record_image
from bana.data.label_maps import LabelMap, png, read_gray
from bana.data.records import BoxDataset, FloatArray, ImageRecord
from bana.io.files import write_bytes
from bana.report.frame import SheetRow
from bana.report.pictures import confidence_sheet
from bana.segment.samples import Targets
from bana.segment.validation import CONFIDENCE

PICTURE = "sigma.png"


def draw_confidence(targets: Targets, dataset: BoxDataset, run: Path) -> Path | None:
    """Draw ``sigma.png`` in a run folder of stage 3.

    Args:
        targets: Where the run's labels came from.
        dataset: Its images.
        run: The folder, with confidence maps in ``sigma``.

    Returns:
        The picture, of the epochs for which every image has its map; None if there are none.

    Raises:
        DataError: If an image, its labels or a confidence map is damaged.
        OutputError: If the picture cannot be written.
    """
    folder = run / CONFIDENCE
    drawn = [record for record in dataset if (folder / record.image_id).is_dir()]
    ignore = dataset.class_table.ignore_index
    rows = [_row(record, *targets.of(record), ignore, folder / record.image_id) for record in drawn]
    common = set.intersection(*(set(row.confidence) for row in rows)) if rows else set()  # a map may have been lost
    if not common:
        return None
    sheet = confidence_sheet(
        [replace(row, confidence={epoch: row.confidence[epoch] for epoch in sorted(common)}) for row in rows],
        dataset.classes,
        title="What the network trusts",
        subtitle="Labels, where the two labelings differ, and the confidence in them (Eq. 12) after so many epochs",
    )
    write_bytes(run / PICTURE, png(sheet))
    return run / PICTURE


def _row(record: ImageRecord, y_crf: LabelMap, y_ret: LabelMap, ignore: int, maps: Path) -> SheetRow:
    present = np.unique(y_crf)
    return SheetRow(
        image=open_record_image(record),
        class_ids=present[(present > 0) & (present != ignore)].astype(np.int64),
        labels={"labels": y_crf},
        unreliable=y_crf != y_ret,
        confidence=dict(sorted(_confidence(record, path) for path in maps.glob("epoch-*.png"))),
        caption=record.image_id,
    )


def _confidence(record: ImageRecord, path: Path) -> tuple[int, FloatArray]:
    """The number of epochs and the confidence (H, W) of a file that training wrote."""
    epoch = int(re.sub(r"\D", "", path.stem))
    return epoch, read_gray(path, record.width, record.height)
