"""A video of the frames of a video with their masks over them, each track in one color from beginning to end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image
from rich.console import Console

from bana.data.colors import Color, colors_of
from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder, labeled_part
from bana.data.masks import decode_mask
from bana.data.paths import checked_name
from bana.data.records import BoxDataset, ImageRecord, paint_order
from bana.data.tracks import track_keys, videos_of
from bana.engine.progress import SILENT, StepProgress
from bana.errors import DataError, SettingsError
from bana.extras import needed
from bana.io.files import atomic_file
from bana.report.overlay import blended
from bana.report.panels import Picture

FOLDER = "preview"
"""The folder of previews, in the folder of labels."""

WITHOUT_TRACK: Color = (214, 216, 220)
"""Objects that are of no track."""

_RATE = 10.0
"""Frames per second where the data set does not say how many the video has."""


def require_videos(dataset: BoxDataset) -> None:
    """Raise SettingsError if images are no frames of videos, or PyAV, which writes these, is not installed."""
    if not videos_of(dataset):
        raise SettingsError(f"preview: no image of {dataset.root} is a frame of a video or has tracks; leave it out")
    needed("av", "video", "preview")


def write_previews(dataset: BoxDataset, labels: Path, console: Console = SILENT) -> list[Path]:
    """Write ``preview/<video>.mp4`` for each video of a data set into its folder of labels.

    Frames without labels are left out. A video has the size of its first frame, less a row or column where that is
    odd, as H.264 wants it. Images with tracks that name no video make ``preview.mp4``.

    Args:
        dataset: The data set.
        labels: Its folder of labels.
        console: Shows progress.

    Returns:
        The files.

    Raises:
        DataError: If an image or its labels are damaged, or the name of a video leaves the folder.
        OutputError: If a file cannot be written.
        SettingsError: If PyAV is not installed.
    """
    folder = LabelFolder(labels)
    videos = videos_of(labeled_part(dataset, folder))
    files = []
    frames = sum(map(len, videos.values()))
    with closing(StepProgress("drawing", frames, console)) as progress:
        done = 0
        for name, records in videos.items():
            path = labels / FOLDER / f"{checked_name(name or FOLDER, 'video')}.mp4"
            with atomic_file(path) as file:
                for _ in _encoded(file, records, track_pictures(records, folder)):
                    progress.update(done, 1, {})
                    done += 1
            files.append(path)
    return files


def track_pictures(records: Sequence[ImageRecord], folder: LabelFolder) -> Iterator[Picture]:
    """Yield each frame, uint8 (H, W, 3), with the masks of its objects; smaller boxes are in front.

    A track has one color on all frames. Two that are on a frame together differ in color, as long as there are no more
    of them than the palette has.
    """
    colors = track_colors(records)
    for record in records:
        boxes = folder.boxes(record)
        labels = np.zeros((record.height, record.width), np.uint8 if len(boxes) < 256 else np.uint16)
        keys = track_keys(record)
        for number in paint_order(record.boxes):
            labels[decode_mask(boxes[number].mask, record.height, record.width)] = number + 1
        shown = {number: WITHOUT_TRACK if key is None else colors[key] for number, key in enumerate(keys, start=1)}
        yield blended(open_record_image(record), labels, len(boxes), shown)[0]


def track_colors(records: Sequence[ImageRecord]) -> dict[tuple[str, int | str], Color]:
    """A color for each track of the frames of a video."""
    numbers: dict[tuple[str, int | str], int] = {}
    pictures = [
        [numbers.setdefault(key, len(numbers)) for key in track_keys(record) if key is not None] for record in records
    ]
    colors = colors_of(pictures)
    return {key: colors[number] for key, number in numbers.items()}


def _encoded(file: IO[bytes], records: Sequence[ImageRecord], pictures: Iterator[Picture]) -> Iterator[None]:
    """Write the pictures as H.264 (MPEG-4 where this PyAV lacks that) into a file; yields after each."""
    av: Any = needed("av", "video", "preview")
    first = records[0]
    size = (max(first.width // 2 * 2, 2), max(first.height // 2 * 2, 2))
    rate = first.frame.rate if first.frame and first.frame.rate else _RATE
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    try:
        with av.open(file, "w", format="mp4") as container:
            stream = container.add_stream(codec, rate=Fraction(rate).limit_denominator(1001))
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.codec_context.thread_count = 1
            for picture in pictures:
                frame = av.VideoFrame.from_ndarray(_fitted(picture, size), format="rgb24")
                container.mux(stream.encode(frame))
                yield
            container.mux(stream.encode())
    except av.FFmpegError as error:
        if isinstance(error, OSError):  # such as a full disk
            raise
        raise DataError(f"{first.path}: its preview cannot be encoded ({error}); leave out --preview") from error


def _fitted(picture: Picture, size: tuple[int, int]) -> Picture:
    """A picture cut to a size that is at most a row and a column less, or else resized."""
    width, height = size
    if 0 <= picture.shape[1] - width <= 1 and 0 <= picture.shape[0] - height <= 1:
        return np.ascontiguousarray(picture[:height, :width])
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
