"""Video files: their frames one after the other, or one by its number. PyAV decodes them (extra ``video``)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from bana.errors import DataError
from bana.extras import needed
from bana.io.files import file_digest

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv")
"""File name endings (lower case) that are taken for videos."""


TrackId = int | str
"""The number or name that an object has in all frames of its video."""


@dataclass(frozen=True)
class VideoFrame:
    """Which frame of which video an image is.

    Attributes:
        video: The video's name.
        number: The frame's place in the video, from 0.
        rate: Frames per second, where it is known.
    """

    video: str
    number: int
    rate: float | None = None


def is_video(path: Path) -> bool:
    """Whether a file is taken for a video, by its name."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def frame_name(video: str, number: int) -> str:
    """The name of a frame by its number from 0: ``<video>/000001`` is the first."""
    return f"{video}/{number + 1:06d}"


class VideoFile:
    """A video file: its frames one after the other, and what can be known without decoding it.

    Args:
        path: The file.

    Attributes:
        path: As given.

    Raises:
        SettingsError: If PyAV is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._av = needed("av", "video", str(path))
        self._damage = (self._av.FFmpegError, OSError, ValueError)

    @cached_property
    def sha256(self) -> str:
        """The digest of the file's content. Raises DataError if it cannot be read."""
        return file_digest(self.path)

    @cached_property
    def count(self) -> int:
        """How many frames there are, as the file states (where it does not, by its packets); at least 1."""
        with suppress(*self._damage), self._open() as container:
            for stream in container.streams.video[:1]:
                return max(1, int(stream.frames) or sum(1 for packet in container.demux(stream) if packet.size))
        return 1  # the frame that raises

    @cached_property
    def rate(self) -> float | None:
        """Frames per second, on average, where the file states it."""
        with suppress(*self._damage), self._open() as container:
            for stream in container.streams.video[:1]:
                return float(stream.average_rate) if stream.average_rate else None
        return None

    def decoded(self) -> Generator[tuple[int, Any], None, None]:
        """Yield each frame's number, from 0, and what ``rgb`` makes a picture of; it holds the decoded frame.

        Raises:
            DataError: If the file cannot be decoded from a frame on, or holds none.
        """
        number, fault = 0, None
        try:
            with self._open() as container:
                decoded = container.decode(video=0) if container.streams.video else ()
                for number, frame in enumerate(decoded, start=1):
                    yield number - 1, frame
        except self._damage as error:
            fault = error
        if fault or not number:
            self._fail(number, fault)

    def rgb(self, number: int, frame: Any) -> npt.NDArray[np.uint8]:
        """A decoded frame, turned as its video asks: uint8 (H, W, 3), the caller's own.

        Raises:
            DataError: If its pixels are damaged.
        """
        try:
            pixels = frame.to_ndarray(format="rgb24")
        except self._damage as error:
            self._fail(number, error)
        # The angle is counter-clockwise, as rot90 turns. Copied, for the array may be the frame's own memory.
        return np.array(np.rot90(pixels, round(frame.rotation / 90)), dtype=np.uint8, order="C")

    def _open(self) -> Any:
        # A playlist that calls itself a video must not reach the network.
        return self._av.open(str(self.path.absolute()), options={"protocol_whitelist": "file"})

    def _fail(self, number: int, fault: Exception | None) -> NoReturn:
        reason = getattr(fault, "strerror", None) or fault or "the file holds no frames"
        raise DataError(
            f"{self.path}: frame {number + 1} cannot be decoded ({reason}); replace the video or convert it to H.264 "
            "(.mp4)"
        ) from fault


class _Reader:
    """The video that this process decodes now, and how far it is: frames are mostly asked for in order."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._key: tuple[Path, int, int] | None = None
        self._frames: Any = None
        self._video: VideoFile | None = None
        self._last: tuple[int, Any] = (-1, None)

    def read(self, path: Path, number: int) -> npt.NDArray[np.uint8]:
        with self._lock:
            key = _version(path)
            if key != self._key or number < self._last[0]:
                self._begin(path, key)
            assert self._video is not None
            while self._last[0] < number:
                try:
                    self._last = next(self._frames)
                except (StopIteration, DataError) as error:
                    self._key = None
                    if isinstance(error, DataError):
                        raise
                    remedy = "correct the annotation, or restore the video"
                    raise DataError(
                        f"{path}: has {self._last[0] + 1} frames, and none of number {number} from 0; {remedy}"
                    ) from error
            return self._video.rgb(*self._last)

    def _begin(self, path: Path, key: tuple[Path, int, int]) -> None:
        if self._frames is not None:
            self._frames.close()
        self._video, self._key, self._last = VideoFile(path), key, (-1, None)
        self._frames = self._video.decoded()


_reader = _Reader()


def frame_of(path: Path, number: int) -> npt.NDArray[np.uint8]:
    """A frame of a video file by its number from 0: uint8 (H, W, 3), the caller's own.

    Frames are counted as they are decoded, which is exact where seeking is not. The next one is at hand; to go back,
    the video is decoded from its beginning.

    Raises:
        DataError: If the file is missing, cannot be decoded up to there, or is too short.
        SettingsError: If PyAV is not installed.
    """
    return _reader.read(path, number)


def frame_size(path: Path) -> tuple[int, int]:
    """Width and height of a video's first frame, in pixels, as it is shown. Raises as ``frame_of``."""
    video = VideoFile(path)
    with closing(video.decoded()) as frames:
        height, width, _ = video.rgb(*next(frames)).shape
        return width, height


def video_digest(path: Path) -> str:
    """The digest of a video file, read once for all its frames. Raises DataError if it cannot be read."""
    return _digest(*_version(path))


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed: int) -> str:
    return file_digest(path)


def _version(path: Path) -> tuple[Path, int, int]:
    """What tells a file from the one that it was before."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); restore the file") from error
    return path, status.st_size, status.st_mtime_ns
