"""The sample set that comes with bana: 52 photographs of MS-COCO 2017 with boxes and true masks.

``ATTRIBUTION.md`` in this folder names the licence and source of each.
"""

from __future__ import annotations

from pathlib import Path

from bana.data.reading import read_dataset
from bana.data.records import BoxDataset

FOLDER = Path(__file__).parent
"""Holds ``instances.json``, ``images`` and ``ATTRIBUTION.md``."""


def sample_dataset() -> BoxDataset:
    """The sample set, read as any COCO folder: 52 images, 355 objects, COCO's 80 class names.

    Raises:
        DataError: If the installation is damaged.
    """
    return read_dataset(FOLDER, format="coco")
