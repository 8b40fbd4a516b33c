"""What the writers of all formats share: where images go, what got lost, and whole folders or nothing."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from bana.data.formats import GEO
from bana.data.images import check_size, image_size, is_upright, open_record_image
from bana.data.masks import decode_mask, mask_bounds, mask_iou
from bana.data.pixel_values import DATA_FILE
from bana.data.records import BoolArray, ImageRecord
from bana.errors import OutputError, SettingsError
from bana.io.files import atomic_file
from bana.io.locking import lock_folder

ImageMode = Literal["copy", "link", "none"]
"""``copy`` the image files, hard-``link`` them where their bytes can stay as they are, or leave them where they are."""

_SAME_FORMAT = {".jpeg": ".jpg", ".jfif": ".jpg", ".jpe": ".jpg", ".tiff": ".tif"}
_SAVING: dict[str, dict[str, Any]] = {
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".webp": {"format": "WEBP", "lossless": True},
}


FORMAT_NAMES = {
    **{"voc": "VOC", "coco": "COCO", "yolo": "YOLO", "labelme": "labelme", "dota": "DOTA"},
    GEO: "GeoTIFF and GeoJSON",
}
"""The formats in sentences."""

DIFFICULT = "difficult flags"
SCORES = "scores"
MASKS = "masks"
POINTS = "points set in boxes"
TRACKS = "track ids"
FRAMES = "frame numbers"
LABEL_MAPS = "label maps of images without a mask for each object"
PLACE = "images without a georeference"
BOXES = "boxes that are not the bounds of their masks"

_BOX_TOLERANCE = 0.5
"""Pixels by which a box may differ from the bounds of its mask and count as these."""


@dataclass
class WriteReport:
    """What one split of a data set became.

    Attributes:
        images: Images written.
        objects: Objects written.
        masks: Objects written with a mask.
        reencoded: Images that were encoded anew, since the format wants JPEG, they were not stored
            upright, are frames of a video file, or bana.yaml says how they are read.
        empty: Objects written with an empty mask.
        lost: What the format cannot hold, and how many objects (or images) have it.
        polygons: Masks that were written as polygons.
        mean_iou: Of these polygons with the masks; 1 where there are none.
        min_iou: The least of them.
        inexact: The objects whose polygons are not their masks: image, number from 1, and IoU.
    """

    images: int = 0
    objects: int = 0
    masks: int = 0
    reencoded: int = 0
    empty: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    polygons: int = 0
    mean_iou: float = 1.0
    min_iou: float = 1.0
    inexact: list[tuple[str, int, float]] = field(default_factory=list)

    def count(self, record: ImageRecord, areas: Sequence[int | None], *lost: str, crowd: str = "") -> None:
        """Count one image that is written, its objects and what the format cannot hold of it.

        Args:
            record: The image.
            areas: K numbers of pixels of the objects' masks, None for an object without one.
            lost: Those of DIFFICULT, SCORES, POINTS, LABEL_MAPS, TRACKS and FRAMES that the format cannot hold.
            crowd: What becomes of crowd flags, if it cannot hold these.
        """
        self.images += 1
        self.objects += len(record)
        found = sum(area is not None for area in areas)
        self.masks += found
        counts = {
            DIFFICULT: record.difficult.sum(),
            SCORES: 0 if record.scores is None else len(record),
            POINTS: sum(map(len, record.points)),
            LABEL_MAPS: record.semantic_path is not None and not found,
            TRACKS: sum(track_id is not None for track_id in record.track_ids),
            FRAMES: record.frame is not None,
        }
        for what in lost:
            self.lose(what, counts[what])
        self.lose(crowd, record.crowd.sum() if crowd else 0)
        self.empty += sum(area == 0 for area in areas)

    def lose(self, what: str, count: int = 1) -> None:
        """Note what the format cannot hold."""
        if count:
            self.lost[what] += int(count)

    def compare_box(self, box: npt.NDArray[np.floating], mask: BoolArray) -> None:
        """Note if a box is lost where only its mask, which is not empty, is written."""
        if np.abs(mask_bounds(mask) - box).max() > _BOX_TOLERANCE:
            self.lose(BOXES)

    def compare(self, record: ImageRecord, index: int, mask: BoolArray, polygons: list[list[float]]) -> None:
        """Measure what the mask of an object, by its index in the record, loses as polygons."""
        iou = mask_iou(mask, decode_mask(polygons, *mask.shape))
        self.polygons += 1
        self.mean_iou += (iou - self.mean_iou) / self.polygons
        self.min_iou = min(self.min_iou, iou)
        if iou < 1:
            self.inexact.append((record.image_id, index + 1, iou))

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return {
            "images": self.images,
            "objects": self.objects,
            "masks": self.masks,
            "reencoded": self.reencoded,
            "empty": self.empty,
            "lost": dict(self.lost),
            "polygons": {
                "count": self.polygons,
                "mean_iou": self.mean_iou,
                "min_iou": self.min_iou,
                "inexact": [{"image_id": image, "object": number, "iou": iou} for image, number, iou in self.inexact],
            },
        }


def lost_sentence(format: str, lost: Mapping[str, int]) -> str:
    """What a format cannot hold, and how many objects (or images) have it; empty if nothing is lost."""
    *others, last = [f"{what} ({count})" for what, count in lost.items()] or [""]
    listed = f"{', '.join(others)} or {last}" if others else last
    return f"{FORMAT_NAMES.get(format, format)} cannot store {listed}." if listed else ""


def write_image(record: ImageRecord, target: Path, mode: ImageMode, report: WriteReport) -> None:
    """Put the record's image at ``target``, in the format of that file's suffix and stored upright.

    Tools that ignore EXIF then see what the annotations describe. The bytes stay as they are where they can.

    Raises:
        DataError: If the image is missing or damaged, or has another size than the record.
        OutputError: If the file cannot be written.
        SettingsError: If ``mode`` is not known.
    """
    if mode not in ("copy", "link", "none"):
        raise SettingsError(f"images={mode!r} is not known; choose copy, link or none")
    if not record.is_in_video:  # a frame's size is looked at where it is decoded
        check_size(record, image_size(record.path))
    if mode == "none":
        if not record.values.is_default:
            report.lose(f"how images are read, which {DATA_FILE} says")
        return
    suffix = _image_format(target)
    if _is_to_encode(record, suffix):
        report.reencoded += 1
        pixels = Image.fromarray(open_record_image(record))
        with atomic_file(target) as file:
            pixels.save(file, **_SAVING.get(suffix, {"format": Image.registered_extensions()[suffix]}))
    elif mode == "copy":
        with record.path.open("rb") as source, atomic_file(target) as file:
            shutil.copyfileobj(source, file)
    else:
        _link(record.path, target)


def _is_to_encode(record: ImageRecord, suffix: str) -> bool:
    """Whether an image of this format cannot have the bytes of the record's file."""
    if record.is_in_video or suffix != _image_format(record.path) or not record.values.is_default:
        return True
    return not is_upright(record.path)


@contextmanager
def staged_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder to write in that becomes ``out`` at the end, or is removed if the block fails.

    With ``overwrite`` it is ``out`` itself, whose files are replaced one by one; other files in it stay. It is ``out``
    too where that is the root of a file system, whose place no folder can take.

    Raises:
        OutputError: If ``out`` is a file, or holds something and shall not be overwritten, or cannot be made, or
            another process is making it.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file; choose a folder")
    if out.is_dir() and any(out.iterdir()):
        if not overwrite:
            raise OutputError(f"{out}: is not empty; choose another folder or add --overwrite")
        yield out
        return
    out = out.absolute()
    staging = out if out.is_mount() else out.with_name(f".{out.name}.part")
    with lock_folder(staging):
        try:
            with _as_output_error(out):
                staging.mkdir(parents=True, exist_ok=True)
                _empty(staging)  # a killed process may have left it
            yield staging
            if staging != out:
                with _as_output_error(out):
                    staging.replace(out)
        except BaseException:
            with suppress(OSError):
                _empty(staging)
                if staging != out:
                    staging.rmdir()
            raise


def _empty(folder: Path) -> None:
    for path in list(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def _as_output_error(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{out}: cannot be made ({error.strerror}); choose another folder") from error


def _image_format(path: Path) -> str:
    suffix = path.suffix.lower()
    return _SAME_FORMAT.get(suffix, suffix)


def _link(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.samefile(source):
            return
        target.unlink(missing_ok=True)
        os.link(source.resolve(), target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be linked ({error.strerror}); write with --images copy") from error
