"""Photographs that a person gives the page: kept in the label folder, small enough to answer at once."""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from PIL import Image

from bana.data.files import write_bytes
from bana.data.images import SUFFIXES, image_size, open_image
from bana.data.objects import make_record
from bana.data.records import ImageRecord
from bana.errors import DataError
from bana.report.overlay import jpeg

UPLOADS = "uploads"

MOST_BYTES = 32 << 20
"""Of a file."""

LONGEST_SIDE = 800
"""Pixels; a larger photograph is scaled down to it."""

_NO_LETTERS = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_NAME = 60


def uploaded_records(folder: Path) -> list[ImageRecord]:
    """The photographs that are there already, sorted; none has boxes in an annotation. Raises DataError if damaged."""
    return [_record(path) for path in sorted((folder / UPLOADS).glob("*.jpg"))]


def keep_upload(folder: Path, name: str, content: bytes, taken: Container[str]) -> ImageRecord:
    """Keep a photograph.

    What is written is a new JPEG of its pixels, upright and without whatever else the file held, under a name of plain
    letters.

    Args:
        folder: The label folder.
        name: Of the file as the person has it.
        content: The file.
        taken: Image ids that there are already.

    Raises:
        DataError: If it is no photograph that bana reads, or has too many bytes or pixels.
        OutputError: If it cannot be written.
    """
    shown = PurePosixPath(name.replace("\\", "/")).name[:100] or "photograph"
    suffix = PurePosixPath(shown).suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{shown}: is no photograph that bana reads; give one of {', '.join(SUFFIXES)}")
    if len(content) > MOST_BYTES:
        raise DataError(f"{shown}: has {len(content) >> 20} MB, and {MOST_BYTES >> 20} is the most; scale it down")
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / f"photograph{suffix}"
        path.write_bytes(content)
        try:
            picture = Image.fromarray(open_image(path))
        except DataError as error:
            raise DataError(str(error).replace(str(path), shown)) from error
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    stem = _NO_LETTERS.sub("-", PurePosixPath(shown).stem)[:_LONGEST_NAME].strip("-") or "photograph"
    number, free = 1, stem
    while _image_id(free) in taken:
        number += 1
        free = f"{stem}-{number}"
    target = folder / UPLOADS / f"{free}.jpg"
    write_bytes(target, jpeg(picture))
    return _record(target)


def _image_id(stem: str) -> str:
    return f"uploaded-{stem}"


def _record(path: Path) -> ImageRecord:
    return make_record(_image_id(path.stem), path, image_size(path), [])
