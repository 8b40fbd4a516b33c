"""The rows of a comparison of methods to label: what each is made from, and the paper's figure for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bana.errors import SettingsError
from bana.label.methods.choose import NAMES, MethodChoice

Part = Literal["y_crf", "y_ret", "agreed"]


@dataclass(frozen=True)
class Method:
    """A method to label, as a part of what one labeling, or two, gave.

    Attributes:
        title: What a table calls it.
        needs: The labels it is made of, by name; where two differ, the first counts.
        part: ``y_crf`` or ``y_ret`` of the method; ``agreed``: what both labels of the method, or both methods, have
            in common.
        paper: mIoU on VOC 2012 train and val, % (Table 1); None where the paper has none.
        uses_boxes: Whether the masks of boxes mean anything.
        stand_in: How ours differs from what the paper's figure is of; empty where it is the same method.
    """

    title: str
    needs: tuple[str, ...]
    part: Part = "y_crf"
    paper: tuple[float | None, float | None] = (None, None)
    uses_boxes: bool = True
    stand_in: str = ""


_SEGMENTS = "MCG with trained contours; ours are hierarchies of color edges"

_METHODS = {
    "affinity": Method(
        "AffinityNet: CAM and random walk",
        ("affinity",),
        paper=(59.7, None),
        uses_boxes=False,
        stand_in="AffinityNet with ResNet-38; ours has the preset's backbone",
    ),
    "cam": Method("CAM of image-level labels", ("cam",), uses_boxes=False),
    "box": Method("Box", ("box",), paper=(65.4, 62.2)),
    "grabcut": Method("GrabCut", ("grabcut",), paper=(65.7, 66.1)),
    "mcg": Method("MCG", ("mcg",), paper=(66.2, 66.9), stand_in=_SEGMENTS),
    "wssl": Method("WSSL", ("wssl",), paper=(69.7, 71.1)),
    "sdi": Method("SDI", ("mcg", "grabcut"), "agreed", paper=(79.7, 60.5), stand_in=_SEGMENTS),
    "gap": Method("GAP", ("gap",), paper=(75.5, 76.1)),
    "bap-cam": Method("BAP: Y_crf w/o u_0", ("bap-cam",), paper=(77.0, 77.8)),
    "bap": Method("BAP: Y_crf", ("bap",), paper=(78.7, 79.2)),
    "ret": Method("BAP: Y_ret", ("bap",), "y_ret", paper=(70.8, 69.9)),
    "bap+ret": Method("BAP: Y_crf & Y_ret", ("bap",), "agreed", paper=(85.3, 68.2)),
    "labeler": Method("what bana label writes", ("labeler",)),
    "sam": Method("SAM with box prompts", ("sam",)),
}
"""By the names of the methods, in the order of Table 1. The row of CAM is AffinityNet without the walk."""

TABLE1 = {name: method for name, method in _METHODS.items() if any(method.paper) or name == "cam"}
"""The rows of the paper's Table 1, and CAMs alone."""

ALL = (*_METHODS, "fuse:sam,labeler")
"""What ``--methods all`` compares."""


def method_of(name: str) -> Method:
    """The row of a method's name, or of ``fuse:A,B``. Raises SettingsError if there is no such method."""
    if name in _METHODS:
        return _METHODS[name]
    parts = MethodChoice(name).parts()
    if not parts:
        raise SettingsError(f"methods: {name!r} is not known; choose from {', '.join(NAMES)}, fuse:A,B, or all")
    first, second = (method_of(part.name) for part in parts)
    for method in (first, second):
        if len(method.needs) > 1 or method.part != "y_crf":
            raise SettingsError(f"methods: {name!r} is compared only for methods that label every pixel themselves")
    return Method(f"{first.title} & {second.title}", first.needs + second.needs, "agreed")
