"""The rows of a comparison of ways to label: what each is made from, and the paper's figure for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bana.errors import SettingsError
from bana.label.sources.choose import NAMES, SourceChoice

Part = Literal["y_crf", "y_ret", "agreed"]


@dataclass(frozen=True)
class Way:
    """One way to label, as a part of what one source, or two, have labelled.

    Attributes:
        title: What a table calls it.
        sources: Whose labels are needed; of two the first counts where they differ.
        part: ``y_crf`` or ``y_ret`` of the source; ``agreed``: what both labels of the source, or both sources, have
            in common.
        paper: mIoU on VOC 2012 train and val, % (Table 1); None where the paper has none.
        uses_boxes: Whether the masks of boxes mean anything.
    """

    title: str
    sources: tuple[str, ...]
    part: Part = "y_crf"
    paper: tuple[float | None, float | None] = (None, None)
    uses_boxes: bool = True


_WAYS = {
    "cam": Way("CAM of image-level labels", ("cam",), paper=(59.7, None), uses_boxes=False),
    "box": Way("Box", ("box",), paper=(65.4, 62.2)),
    "grabcut": Way("GrabCut", ("grabcut",), paper=(65.7, 66.1)),
    "mcg": Way("MCG", ("mcg",), paper=(66.2, 66.9)),
    "wssl": Way("WSSL", ("wssl",), paper=(69.7, 71.1)),
    "sdi": Way("SDI", ("mcg", "grabcut"), "agreed", paper=(79.7, 60.5)),
    "gap": Way("GAP", ("gap",), paper=(75.5, 76.1)),
    "bap-cam": Way("BAP: Y_crf w/o u_0", ("bap-cam",), paper=(77.0, 77.8)),
    "bap": Way("BAP: Y_crf", ("bap",), paper=(78.7, 79.2)),
    "ret": Way("BAP: Y_ret", ("bap",), "y_ret", paper=(70.8, 69.9)),
    "bap+ret": Way("BAP: Y_crf & Y_ret", ("bap",), "agreed", paper=(85.3, 68.2)),
    "labeler": Way("what bana label writes", ("labeler",)),
    "sam": Way("SAM with box prompts", ("sam",)),
}
"""By the names of the sources, in the order of Table 1. For CAM the paper has AffinityNet's figure."""

ALL = (*_WAYS, "fuse:sam,labeler")
"""What ``--sources all`` compares."""


def names_in(text: str) -> list[str]:
    """The names in a list joined by commas; the comma of ``fuse:A,B`` is part of the name."""
    names: list[str] = []
    for part in text.split(","):
        if names and names[-1].startswith("fuse:") and "," not in names[-1]:
            names[-1] += f",{part}"
        else:
            names.append(part)
    return names


def way_of(name: str) -> Way:
    """The row of a source's name, or of ``fuse:A,B``. Raises SettingsError if there is no such source."""
    if name in _WAYS:
        return _WAYS[name]
    parts = SourceChoice(name).parts()
    if not parts:
        raise SettingsError(f"sources: {name!r} is not known; choose of {', '.join(NAMES)}, fuse:A,B, or all")
    first, second = (way_of(part.name) for part in parts)
    for way in (first, second):
        if len(way.sources) > 1 or way.part != "y_crf":
            raise SettingsError(f"sources: {name!r} is compared only for sources that label every pixel themselves")
    return Way(f"{first.title} & {second.title}", first.sources + second.sources, "agreed")
