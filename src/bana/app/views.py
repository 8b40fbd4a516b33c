"""What the server sends to the page: plain values for JSON, and pictures."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

from PIL import Image as Picture

from bana.app.painting import uncertain
from bana.app.workbench import Shown, Workbench
from bana.data.colors import colors_of, hex_of
from bana.data.encoding import jpeg
from bana.data.masks import encode_mask
from bana.data.records import BoxDataset, ImageRecord
from bana.errors import DataError
from bana.label.boxes import Image

_THUMBNAIL = 192
"""Pixels of its longest side."""

_MAX_PIXELS = 65_500
"""The longest side of a JPEG file."""


def class_list(dataset: BoxDataset) -> list[dict[str, Any]]:
    """Every class: id, name, color as ``#rrggbb``, and the number of its boxes in the data set."""
    counts = Counter(class_id for record in dataset for class_id in record.class_ids.tolist())
    ids = range(1, len(dataset.classes) + 1)
    colors = colors_of(
        chain((record.class_ids.tolist() for record in dataset), ([each] for each in ids))
    )  # unused last
    return [
        {"id": each, "name": dataset.classes[each - 1], "color": hex_of(colors[each]), "boxes": counts[each]}
        for each in ids
    ]


def review_view(record: ImageRecord, shown: Shown) -> dict[str, Any]:
    """An image's review; masks as the compressed counts of COCO's RLE."""
    review = shown.review
    objects = [
        {
            "key": each.key,
            "class_id": each.class_id,
            "box": each.box,
            "crowd": each.crowd,
            "difficult": each.difficult,
            "drawn": each.origin is None,
            "painted": each.added is not None or each.removed is not None,
            "points": each.points,
            "confidence": each.confidence,
            "mask": mask["counts"],
        }
        for each, mask in zip(review.draft.objects, shown.masks, strict=True)
    ]
    return {
        "image": record.image_id,
        "width": record.width,
        "height": record.height,
        "revision": review.revision,
        "state": review.draft.state,
        "can_undo": review.step > 0,
        "can_redo": review.step < len(review.trail) - 1,
        "objects": objects,
        "uncertain": encode_mask(uncertain(shown.y_crf, shown.y_ret))["counts"],
    }


def check_viewable(record: ImageRecord) -> None:
    """Raise DataError if the image has more pixels a side than a JPEG file can have."""
    if max(record.width, record.height) > _MAX_PIXELS:
        size = f"{record.width}x{record.height}"
        raise DataError(f"{record.path}: has {size} pixels, more than {_MAX_PIXELS} on a side; cut it up")


def photograph(image: Image) -> bytes:
    """The photograph upright, uint8 (H, W, 3), as a JPEG file; one that check_viewable lets pass."""
    return jpeg(Picture.fromarray(image))


def thumbnail(image: Image) -> bytes:
    """The photograph, small, as a JPEG file."""
    picture = Picture.fromarray(image)
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return jpeg(picture)


def bench_view(bench: Workbench, *, read_only: bool) -> dict[str, Any]:
    """What the page is about: data set, folder, classes, and whether anything can be changed."""
    dataset = bench.dataset
    name = dataset.root.name if dataset.split is None else f"{dataset.root.name} · {dataset.split}"
    classes = class_list(dataset)
    return {"name": name, "folder": str(bench.folder), "classes": classes, "read_only": read_only}
