"""CVAT for video: tracks, each with a shape on every frame, or on key frames alone.

The format is "CVAT for video 1.1"::

    <track id="0" label="car"><box frame="3" keyframe="1" outside="0" occluded="0" xtl="" ytl="" xbr="" ybr=""/></track>

Frames count from 0 in the video; ``meta`` may say which there are (``start_frame``, ``stop_frame``, ``frame_filter``).
CVAT writes a shape for every frame on which the object is seen, and one with ``outside="1"`` where it leaves. Of files
with key frames alone, a box moves evenly from one to the next, unless the first is outside; nothing follows the last.
Other shapes are there only on the frames that list them. ``occluded`` changes nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bana.data.formats.cvat_shapes import SHAPES, area_of, class_table_of, number_of, parse_shape
from bana.data.frames import FrameFiles, images_in, numbered, videos_in
from bana.data.images import SUFFIXES
from bana.data.objects import stated_size, usable_objects
from bana.data.paths import FolderFiles, last_part
from bana.data.records import ClassTable, ImageRecord
from bana.data.videos import VIDEO_SUFFIXES, VideoFile, is_video
from bana.errors import DataError
from bana.io.faults import FaultLog

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_CORNERS = ("xtl", "ytl", "xbr", "ybr")
_MAX_FRAMES = 10_000_000
"""Frames of a video: 46 hours at 60 a second."""


class _Placed(NamedTuple):
    """A track's shape on a frame: its place in the file for messages, the track's id, and the shape."""

    where: str
    track_id: int | str
    shape: Element


def read_tracks(
    root: Element, path: Path, home: Path, faults: FaultLog, files: FolderFiles
) -> tuple[ClassTable, tuple[ImageRecord, ...]]:
    """Read the frames of a video and the objects that tracks have on them.

    Args:
        root: The content of the file.
        path: The data set, for messages.
        home: The folder of the frames: images in ``images`` or in it, or a video file.
        faults: Is told of what cannot be used.
        files: Finds the files.

    Raises:
        DataError: If the frames are not there or the tracks are of several tasks, or an image cannot be used.
    """
    tracks = root.findall("track")
    if len({track.get("task_id") for track in tracks}) > 1:
        raise DataError(f"{path}: holds tracks of several tasks, whose frames have the same numbers; export each task")
    used = {track.get("label", "") for track in tracks if any(shape.tag in SHAPES for shape in track)}
    classes = class_table_of(root, used)
    stated = _stated_frames(root, path)
    frames = _frame_files(root, path, home, stated)
    known = set(stated)
    # With images, those that there are count; a video file has more frames than a task may take of it.
    numbers = [number for number in frames.numbers if not is_video(frames.place) or not known or number in known]
    placed = _placed(tracks, numbers, path, faults)
    size = _stated_size(root, path)
    records = []
    for number in sorted({*numbers, *placed}):
        with faults.catch(frames.image_id(number)):
            records.append(_record(number, frames, size, placed.get(number, []), classes, faults, files))
    return classes, tuple(record for record in records if not faults.has_fault(record.image_id))


def between(first: Element, second: Element, share: float) -> Element:
    """The box that lies a ``share`` 0..1 of the way from one to another; it turns the shorter way.

    Raises:
        DataError: If a corner is not a number.
    """
    box = first.makeelement("box", dict(first.attrib))
    for key in _CORNERS:
        start, end = number_of(first, key, "box"), number_of(second, key, "box")
        box.set(key, repr(start + (end - start) * share))
    start, end = (number_of(each, "rotation", "box", 0.0) for each in (first, second))
    box.set("rotation", repr(start + ((end - start + 180) % 360 - 180) * share))
    return box


def interpolated(shapes: dict[int, Element], numbers: Sequence[int]) -> dict[int, Element]:
    """The shapes of a track on every frame where the object is seen.

    Args:
        shapes: Those that the file lists, by frame.
        numbers: The frames that there are, sorted.

    Raises:
        DataError: If a corner of a box between two is not a number.
    """
    found = {number: shape for number, shape in shapes.items() if shape.get("outside") != "1"}
    listed = sorted(shapes)
    for first, second in pairwise(listed):
        start, end = shapes[first], shapes[second]
        if first not in found or start.tag != "box" or end.tag != "box":
            continue
        for number in numbers[bisect_left(numbers, first + 1) : bisect_left(numbers, second)]:
            found[number] = between(start, end, (number - first) / (second - first))
    return found


def _placed(
    tracks: Sequence[Element], numbers: Sequence[int], path: Path, faults: FaultLog
) -> dict[int, list[_Placed]]:
    """The shapes of all tracks by frame, in the order of the tracks."""
    placed: dict[int, list[_Placed]] = {}
    for position, track in enumerate(tracks):
        name = track.get("id", "")
        track_id = int(name) if name.isdecimal() and name.isascii() and len(name) < 16 else name or f"track {position}"
        where = f"{path}: track {name or position}"
        shapes: dict[int, Element] = {}
        for shape in track:
            with faults.catch_object(where):
                number = _frame_number(shape, where)
                if number in shapes:
                    faults.repaired(where, f"{where}: has two shapes on frame {number}; the second is taken")
                shapes[number] = shape
        with faults.catch_object(where):
            for number, shape in interpolated(shapes, numbers).items():
                shape.set("label", track.get("label", ""))
                placed.setdefault(number, []).append(_Placed(f"{where}: frame {number}", track_id, shape))
    return placed


def _record(
    number: int,
    frames: FrameFiles,
    stated: tuple[int, int] | None,
    placed: Sequence[_Placed],
    classes: ClassTable,
    faults: FaultLog,
    files: FolderFiles,
) -> ImageRecord:
    image_id = frames.image_id(number)
    path = frames.path(number, files, placed[0].where if placed else image_id)
    size = stated or frames.size(number)
    objects, ignored = usable_objects(
        placed,
        lambda each: parse_shape(each.shape, size, classes, each.where, image_id, faults)._replace(
            track_id=each.track_id
        ),
        lambda each: area_of(each.shape, size),
        image_id,
        faults,
    )
    return frames.record(number, path, size, objects, ignored)


def _frame_number(shape: Element, where: str) -> int:
    text = shape.get("frame", "")
    if not (text.isdecimal() and text.isascii() and len(text) < 16 and int(text) < _MAX_FRAMES):
        raise DataError(f"{where}: frame is {text!r:.40}, not a number of a frame; correct it")
    return int(text)


def _stated_frames(root: Element, path: Path) -> range:
    """The frames that a task takes of its video; none where the file does not say."""
    start, stop = (_text_of(root, tag) for tag in ("start_frame", "stop_frame"))
    step = re.search(r"step\s*=\s*(\d+)", _text_of(root, "frame_filter"))
    if not stop:
        return range(0)
    try:
        frames = range(int(start or 0), int(stop) + 1, int(step[1]) if step else 1)
    except ValueError as error:
        raise DataError(f"{path}: start_frame, stop_frame or frame_filter is not a number; correct it") from error
    if frames.start < 0 or frames.stop > _MAX_FRAMES:
        raise DataError(f"{path}: frames {start} to {stop} are none that a video has; correct start_frame, stop_frame")
    return frames


def _stated_size(root: Element, path: Path) -> tuple[int, int] | None:
    sides = [_text_of(root, f"original_size/{side}") for side in ("width", "height")]
    if not all(side.isdecimal() and side.isascii() and len(side) < 16 and int(side) for side in sides):
        return None
    return stated_size(int(sides[0]), int(sides[1]), f"{path}: original_size")


def _text_of(root: Element, tag: str) -> str:
    """The text of the first such element of ``meta``."""
    return (root.findtext(f"meta//{tag}") or "").strip()


def _frame_files(root: Element, path: Path, home: Path, stated: Sequence[int]) -> FrameFiles:
    """The folder of images, or the video file: of the task's name for it, else the only one."""
    source = last_part(_text_of(root, "source"))
    stem = Path(source).stem or home.absolute().name
    for folder in (home / "images", home):
        if images := images_in(folder):
            return FrameFiles(stem, folder, numbered(images, stated))
    videos = [video for folder in (home, home / "images") for video in videos_in(folder)]
    named = [video for video in videos if video.name == source] or videos
    if len(named) == 1:
        return FrameFiles(named[0].stem, named[0], rate=VideoFile(named[0]).rate)
    kinds = f"images ({SUFFIXES[0]}, ...) or a video ({VIDEO_SUFFIXES[0]}, ...)"
    wanted = source or "the video that the tracks are of"
    found = f"holds {len(videos)} videos and none called {wanted}" if videos else f"has no {kinds} beside its tracks"
    raise DataError(f"{path}: {found}; put {wanted} or a folder images with its frames there")
