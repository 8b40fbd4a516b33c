"""The frames that annotations of a video are of: a folder of images, or a video file beside the annotations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bana.data.images import SUFFIXES, image_size
from bana.data.objects import AnnotatedObject, Box, make_record
from bana.data.paths import FolderFiles, id_of_name, image_missing
from bana.data.records import ImageRecord
from bana.data.videos import VideoFile, VideoFrame, frame_name, frame_size, is_video

_CVAT_FRAME = re.compile(r"frame_(\d+)")
"""The names that CVAT gives the frames of a video file, counted from 0."""


@dataclass(frozen=True)
class FrameFiles:
    """Where the frames of one video are.

    Attributes:
        video: The video's name.
        place: The folder of images, or the video file.
        images: Image files by the frame's number from 0; empty for a video file.
        rate: Frames per second, where it is known.
        prefix: What the ids of images begin with.
    """

    video: str
    place: Path
    images: dict[int, Path] = field(default_factory=dict)
    rate: float | None = None
    prefix: str = ""

    @property
    def numbers(self) -> Iterable[int]:
        """The numbers of all frames, sorted."""
        return range(VideoFile(self.place).count) if is_video(self.place) else sorted(self.images)

    def image_id(self, number: int) -> str:
        """The id of a frame: its image's name without suffix, or ``<video>/000001`` for the first of a video file."""
        if is_video(self.place):
            return frame_name(self.video, number)
        image = self.images.get(number)
        name = f"frame {number}" if image is None else id_of_name(image.relative_to(self.place).as_posix())
        return self.prefix + name

    def path(self, number: int, files: FolderFiles, where: str) -> Path:
        """The file of a frame.

        Raises:
            DataError: If there is none, or a link leads out of the folder.
        """
        if is_video(self.place):
            return files.checked(self.place.parent, self.place, where)
        if number not in self.images:
            raise image_missing(f"of frame {number} (from 0)", [self.place], where)
        return files.checked(self.place, self.images[number], where)

    def size(self, number: int) -> tuple[int, int]:
        """Width and height of a frame, in pixels. Raises DataError if its file is damaged."""
        return frame_size(self.place) if is_video(self.place) else image_size(self.images[number])

    def record(
        self,
        number: int,
        path: Path,
        size: tuple[int, int],
        objects: Sequence[AnnotatedObject],
        ignored: Sequence[Box] = (),
    ) -> ImageRecord:
        """The record of a frame, whose file is ``path``."""
        frame = VideoFrame(self.video, number, self.rate)
        return make_record(self.image_id(number), path, size, objects, ignored=ignored, frame=frame)


def images_in(folder: Path) -> list[Path]:
    """The images of a folder, without those of its subfolders, sorted."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def videos_in(folder: Path) -> list[Path]:
    """The video files of a folder, sorted."""
    return sorted(path for path in folder.iterdir() if is_video(path) and path.is_file()) if folder.is_dir() else []


def numbered(images: Sequence[Path], numbers: Sequence[int] = (), *, from_one: bool = False) -> dict[int, Path]:
    """Images by the numbers of their frames, from 0.

    The names count where all of them are ``frame_000000`` and so on, as CVAT calls the frames of a video file, or where
    all are digits and ``from_one`` says that these count from 1, as MOT's do. Else the order of the names counts.

    Args:
        images: The files, sorted.
        numbers: The frames that there are, sorted, which the order goes by if they are as many.
        from_one: Whether names of digits count.
    """
    named = [_CVAT_FRAME.fullmatch(path.stem) for path in images]
    if all(named):
        found = [int(match[1]) for match in named if match]
    elif from_one and all(path.stem.isdecimal() and path.stem.isascii() and int(path.stem) for path in images):
        found = [int(path.stem) - 1 for path in images]
    else:
        found = list(numbers) if len(numbers) == len(images) else list(range(len(images)))
    return dict(zip(found, images, strict=True))
