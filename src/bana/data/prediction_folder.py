"""Reading the folder that ``bana predict`` writes: ``predictions.json`` and one label map a picture."""

from __future__ import annotations

from pathlib import Path

from bana.data.classes import manifest_of
from bana.data.label_maps import LabelMap
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.data.truth import read_class_map
from bana.errors import DataError

MANIFEST = "predictions.json"
"""The file that names the classes."""

LABELS, OVERLAYS, PROBABILITIES, ENTRIES = "labels", "overlays", "probabilities", "entries"
"""The folders of label maps, of pictures, of probabilities, and of one JSON file a picture that says it is done."""


RESULTS = "results.json"
"""The objects of all pictures, where a Mask R-CNN found some: COCO's results format."""


class PredictionFolder:
    """A folder of predictions.

    Args:
        path: The folder.

    Attributes:
        path: The folder.
        class_table: The classes.

    Raises:
        DataError: If the folder or its ``predictions.json`` is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.class_table = ClassTable(manifest_of(path, MANIFEST, "bana predict")[1])

    def check_classes(self, dataset: BoxDataset) -> None:
        """Raise DataError if classes differ from the data set's."""
        dataset.require_classes(self.class_table.names, self.path, "predict with a network of these classes")

    def check(self, dataset: BoxDataset) -> None:
        """Raise DataError if classes differ from the data set's, or one of its images has no prediction."""
        self.check_classes(dataset)
        missing = [record.image_id for record in dataset if not self._path(record).is_file()]
        if missing:
            raise DataError(
                f"{self.path}: no prediction of {len(missing)} of {len(dataset)} images, the first: {missing[0]}; "
                "run bana predict on them"
            )

    def label_map(self, record: ImageRecord) -> LabelMap:
        """The class of every pixel, (H, W). Raises DataError if the file is damaged or of another size."""
        return read_class_map(self._path(record), record, self.class_table)

    def _path(self, record: ImageRecord) -> Path:
        return self.path / LABELS / f"{record.image_id}.png"
