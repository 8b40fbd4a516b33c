"""Uploaded photographs: kept in the label folder, small enough to label at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from PIL import Image

from bana.data.encoding import jpeg
from bana.data.images import SUFFIXES, image_size, open_image
from bana.data.objects import make_record
from bana.data.paths import FolderFiles
from bana.data.records import ImageRecord
from bana.errors import DataError
from bana.io.files import write_bytes

UPLOADS = "uploads"

MAX_BYTES = 32 << 20
"""The largest file."""

MAX_PIXELS = 2**26
"""The most pixels of an upload: others wait while it is opened."""

MAX_SIDE = 800
"""Pixels; a larger photograph is scaled down to it."""

_NO_LETTERS = re.compile(r"[^A-Za-z0-9_-]+")
_MAX_NAME = 60
_MAX_SHOWN = 100


def uploaded_records(folder: Path) -> list[ImageRecord]:
    """The photographs that are there already, sorted; none has boxes in an annotation.

    Raises:
        DataError: If one is damaged, or a link leads out of the folder.
    """
    links, uploads = FolderFiles(), folder / UPLOADS
    return [_record(links.checked(folder, path, str(uploads))) for path in sorted(uploads.glob("*.jpg"))]


def keep_upload(folder: Path, name: str, content: bytes, reserved: Callable[[str], str]) -> ImageRecord:
    """Keep a photograph.

    What is written is a new JPEG of its pixels, upright and without whatever else the file held, under a name of plain
    letters.

    Args:
        folder: The label folder.
        name: The file's name.
        content: The file.
        reserved: Gives the stem to keep it under, which nobody else gets; called with the one that is wished for.

    Raises:
        DataError: If it is no photograph that bana reads, or has too many bytes or pixels, or the folder of uploads is
            a link that leads out of the label folder.
        OutputError: If it cannot be written.
    """
    whole = PurePosixPath(name.replace("\\", "/"))
    shown, suffix = whole.name[:_MAX_SHOWN] or "photograph", whole.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{shown}: bana does not read this format; give one of {', '.join(SUFFIXES)}")
    if len(content) > MAX_BYTES:
        raise DataError(f"{shown}: has {len(content) >> 20} MB, more than {MAX_BYTES >> 20}; scale it down")
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / f"photograph{suffix}"
        path.write_bytes(content)
        try:
            width, height = image_size(path)
            if width * height > MAX_PIXELS:
                raise DataError(f"{shown}: has too many pixels ({width}x{height}); scale it down")
            picture = Image.fromarray(open_image(path))
        except DataError as error:
            raise DataError(str(error).replace(str(path), shown)) from error
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    stem = _NO_LETTERS.sub("-", whole.stem)[:_MAX_NAME].strip("-") or "photograph"
    content = jpeg(picture)
    target = FolderFiles().checked(folder, folder / UPLOADS / f"{reserved(stem)}.jpg", shown)
    write_bytes(target, content)
    return _record(target)


def free_stem(stem: str, taken: Iterable[str]) -> str:
    """The first of ``stem``, ``stem-2``, ``stem-3``, ... whose image id is not taken, in small letters or capitals."""
    folded = {image_id.casefold() for image_id in taken}
    number, free = 1, stem
    while id_of_upload(free).casefold() in folded:
        number += 1
        free = f"{stem}-{number}"
    return free


def id_of_upload(stem: str) -> str:
    """The image id of the photograph that is kept under a stem."""
    return f"uploaded-{stem}"


def _record(path: Path) -> ImageRecord:
    return make_record(id_of_upload(path.stem), path, image_size(path), [])
