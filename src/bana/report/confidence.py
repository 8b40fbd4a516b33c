"""The picture of a training run's confidence maps, from the files that it left."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from bana.data.images import open_record_image
from bana.data.label_maps import png, read_gray
from bana.data.records import BoxDataset, FloatArray, ImageRecord
from bana.io.files import write_bytes
from bana.report.confidence_sheet import ConfidenceRow, confidence_sheet
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
        The picture, of the epochs of which all maps are there; None where there are none.

    Raises:
        DataError: If an image, its labels or a confidence map is damaged.
        OutputError: If the picture cannot be written.
    """
    folder = run / CONFIDENCE
    drawn = [record for record in dataset if (folder / record.image_id).is_dir()]
    rows = [_row(record, targets, folder / record.image_id) for record in drawn]
    common = set.intersection(*(set(row.sigma) for row in rows)) if rows else set()  # a map may have been lost
    if not common:
        return None
    sheet = confidence_sheet(
        [replace(row, sigma={epoch: row.sigma[epoch] for epoch in sorted(common)}) for row in rows],
        dataset.classes,
        title="What the network trusts",
        subtitle="Labels, where the two labelings differ, and the confidence in them (Eq. 12) after so many epochs",
    )
    write_bytes(run / PICTURE, png(sheet))
    return run / PICTURE


def _row(record: ImageRecord, targets: Targets, maps: Path) -> ConfidenceRow:
    y_crf, y_ret = targets.of(record)
    present = np.unique(y_crf)
    return ConfidenceRow(
        image=open_record_image(record),
        class_ids=present[(present > 0) & (present != targets.class_table.ignore_index)].astype(np.int64),
        labels=y_crf,
        unreliable=y_crf != y_ret,
        sigma=dict(sorted(_sigma(record, path) for path in maps.glob("epoch-*.png"))),
        caption=record.image_id,
    )


def _sigma(record: ImageRecord, path: Path) -> tuple[int, FloatArray]:
    """The number of epochs and the confidence (H, W) of a file that the run wrote."""
    epoch = int(re.sub(r"\D", "", path.stem))
    return epoch, read_gray(path, record.width, record.height)
