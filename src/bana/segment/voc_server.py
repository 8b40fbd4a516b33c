"""The archive that VOC's evaluation server takes: a label map for each image of ``test``."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from bana.data.prediction_folder import LABELS
from bana.errors import DataError
from bana.io.files import atomic_file

ARCHIVE = "voc-server.tgz"
"""The archive's name in the folder of predictions."""

_FOLDER = "results/VOC2012/Segmentation/comp6_test_cls"
"""Competition 6 is that of methods trained on any data: the backbone has seen ImageNet."""


def write_voc_server(out: Path, names: Iterable[str]) -> Path:
    """Write the archive of the label maps of a folder of predictions.

    Args:
        out: The folder of ``bana predict``.
        names: The images' names, as in VOC's list.

    Raises:
        DataError: If an image has no label map there.
        OutputError: If the archive cannot be written.
    """
    with atomic_file(out / ARCHIVE) as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name in names:
            path = out / LABELS / f"{name}.png"
            if not path.is_file():
                raise DataError(f"{path}: has no label map for the server; run bana predict again")
            content = path.read_bytes()
            entry = tarfile.TarInfo(f"{_FOLDER}/{name}.png")
            entry.size = len(content)
            archive.addfile(entry, BytesIO(content))
    return out / ARCHIVE
