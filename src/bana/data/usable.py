"""Which images of a data set a training can use: better known before it than after an hour."""

from __future__ import annotations

from collections.abc import Callable

from bana.data.images import open_record_image
from bana.data.records import BoxDataset, ImageRecord
from bana.io.faults import FaultLog, OnError, Rejected


def usable_records(
    dataset: BoxDataset, wanted: Callable[[ImageRecord], bool], on_error: OnError
) -> tuple[list[ImageRecord], tuple[Rejected, ...]]:
    """The images that open fully and are wanted, and those left out because of a fault.

    Args:
        dataset: The images.
        wanted: Checks all else that an image needs, and says whether it is of use; raises DataError at a fault.
        on_error: ``stop`` at the first fault, or ``skip``.

    Raises:
        DataError: If an image cannot be used (``stop``).
    """
    faults = FaultLog(on_error)
    records = []
    for record in dataset:
        with faults.of(record.image_id):
            open_record_image(record)
            if wanted(record):
                records.append(record)
    return records, (*dataset.rejected, *faults.rejected())
