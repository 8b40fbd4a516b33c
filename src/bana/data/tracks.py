"""The tracks of a data set: which objects are the same, and the frames of each video in order."""

from __future__ import annotations

from collections.abc import Iterable

from bana.data.records import ImageRecord
from bana.data.videos import TrackId

TrackKey = tuple[str, TrackId]
"""The name of a video, empty where images name none, and the id of a track in it."""


def track_keys(record: ImageRecord) -> list[TrackKey | None]:
    """What tells the track of each object from all others of the data set: K keys, None for an object of none."""
    video = record.frame.video if record.frame else ""
    return [None if track_id is None else (video, track_id) for track_id in record.track_ids or (None,) * len(record)]


def videos_of(records: Iterable[ImageRecord]) -> dict[str, list[ImageRecord]]:
    """The frames of each video, by its number, in the order of the first frames that ``records`` has.

    Images with tracks that name no video are one of their own, called ``""``, in the order of ``records``.
    """
    videos: dict[str, list[ImageRecord]] = {}
    for record in records:
        if record.frame or record.track_ids:
            videos.setdefault(record.frame.video if record.frame else "", []).append(record)
    return {
        name: sorted(frames, key=lambda record: record.frame.number if record.frame else 0)
        for name, frames in videos.items()
    }
