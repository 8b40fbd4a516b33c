"""Which classes of one data set are classes of another, by name."""

from __future__ import annotations

from collections.abc import Sequence

_SYNONYMS = {
    "airplane": "aeroplane",
    "motorcycle": "motorbike",
    "couch": "sofa",
    "tv": "tvmonitor",
    "television": "tvmonitor",
    "bike": "bicycle",
    "ship": "boat",
}
"""COCO's and other common names of VOC's classes."""


def matching_classes(names: Sequence[str], known: Sequence[str]) -> tuple[int | None, ...]:
    """For each name the id (1..) of the known class of the same name, or None.

    Case, spaces, hyphens and underscores do not count; common synonyms do.
    """
    ids = {_canonical(name): number for number, name in enumerate(known, start=1)}
    return tuple(ids.get(_canonical(name)) for name in names)


def _canonical(name: str) -> str:
    plain = "".join(character for character in name.casefold() if character.isalnum())
    return _SYNONYMS.get(plain, plain)
