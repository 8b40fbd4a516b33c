"""Videos in COCO files, in the manner of COCO-VID.

``videos`` lists the videos with ``id`` and ``name``. An image has ``video_id`` and ``frame_id`` (from 0), an annotation
``track_id`` or ``instance_id``. CVAT writes the track's id among an annotation's attributes. No image needs any of
this, so entries that cannot be read are skipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

from bana.data.videos import TrackId, VideoFrame
from bana.io.strict_json import is_number, is_text

_Number = TypeVar("_Number", bound=int | str)
_GREATEST = 2**63


def track_id_of(entry: Mapping[str, Any]) -> TrackId | None:
    """The id of the track that an annotation is of, if it has one: a whole number, also as a float, or text."""
    return _id(entry.get("track_id", entry.get("instance_id")))


def image_frames(images: Mapping[_Number, Mapping[str, Any]], videos: object) -> dict[_Number, VideoFrame]:
    """Which frame each image is, of those that name a video.

    Args:
        images: The entries of ``images`` by id.
        videos: What the file has under this key. A video that is not listed goes by its id; one without a name too.

    Returns:
        The frames by the ids of their images. An image without ``frame_id`` follows the one of its video before it.
    """
    listed = [each for each in videos if isinstance(each, dict)] if isinstance(videos, list) else []
    names = {_id(each.get("id")): each["name"] for each in listed if isinstance(each.get("name"), str)}
    rates = {_id(each.get("id")): float(each["fps"]) for each in listed if _is_rate(each.get("fps"))}
    frames: dict[_Number, VideoFrame] = {}
    following: Counter[TrackId] = Counter()
    for number, entry in images.items():
        video = _id(entry.get("video_id"))
        if video is None:
            continue
        stated = _id(entry.get("frame_id"))
        place = stated if isinstance(stated, int) and stated >= 0 else following[video]
        following[video] = place + 1
        name = names.get(video, "")
        frames[number] = VideoFrame(name if name and is_text(name) else str(video), place, rates.get(video))
    return frames


def _id(value: object) -> TrackId | None:
    if isinstance(value, float) and abs(value) < _GREATEST and value == int(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _GREATEST:
        return value
    return value if isinstance(value, str) and value and is_text(value) else None


def _is_rate(value: object) -> bool:
    return is_number(value) and value > 0
