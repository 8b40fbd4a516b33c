"""Pictures as the bytes of files."""

from __future__ import annotations

from io import BytesIO

from PIL import Image


def jpeg(picture: Image.Image) -> bytes:
    """A picture as a JPEG file."""
    file = BytesIO()
    picture.save(file, format="JPEG", quality=90, subsampling=0)
    return file.getvalue()
