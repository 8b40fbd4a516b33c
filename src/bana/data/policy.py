"""How flawed files are handled: the readers' rules, as the documentation lists them.

Nothing is lost without a word: ``bana check`` lists everything that is not simply read.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Outcome = Literal["read", "repaired", "left out", "looks wrong", "fault", "stops"]

OUTCOMES: dict[Outcome, str] = {
    "read": "as it is, without a note",
    "repaired": "the object or image is used, and noted",
    "left out": "the rest of the image is used, and it is noted",
    "looks wrong": "used, and noted by `bana check`",
    "fault": "the image is left out with `--on-error skip`; else the command stops",
    "stops": "the command stops",
}
"""What each outcome means. With ``--strict`` what is repaired or left out is a fault."""


class Rule(NamedTuple):
    """What is found, in which formats, and what becomes of it."""

    found: str
    formats: str
    outcome: Outcome
    done: str


RULES = (
    Rule("keys and tags that are not used, whatever they hold; NaN among them", "COCO, labelme, VOC", "read", ""),
    Rule("ids that are text, or whole floats", "COCO", "read", "text category ids are numbered anew in output"),
    Rule("a size of 0, negative, missing or no number", "COCO, VOC, labelme, CVAT", "read", "the file's own size"),
    Rule(
        "`iscrowd` as `0`, `1`, `true`, `false`, also as text", "COCO", "read", "other values: the object is left out"
    ),
    Rule("file names with backslashes, in another case or Unicode form", "all", "read", ""),
    Rule("images that differ by their suffixes alone", "COCO, YOLO, CVAT", "read", "their ids keep the suffix"),
    Rule(
        "list lines with spaces, `-1`, `0`, `1` after a name, or DeepLab's paths",
        "VOC",
        "read",
        "what is there decides",
    ),
    Rule("tags in another case or with a namespace", "VOC, CVAT", "read", ""),
    Rule("GBK, Big5, Shift JIS and other declared encodings", "VOC, CVAT", "read", ""),
    Rule("keypoints after a box", "YOLO", "read", "`kpt_shape` in data.yaml says how many; they are not used"),
    Rule(
        "oriented boxes: all outlines of a split are turned rectangles",
        "YOLO; DOTA; labelme `oriented_rectangle`, `rotation`; CVAT `rotation`; VOC `robndbox`",
        "read",
        "as boxes; pixels outside the rectangle are background",
    ),
    Rule("frames between two key frames", "CVAT", "read", "a box moves evenly from one to the next"),
    Rule("lines of `gt.txt` with confidence 0", "MOT", "read", "their pixels are ignored, not background"),
    Rule("a box that reaches out of the image", "MOT", "read", "cut at the edges: boxes cover what is hidden, too"),
    Rule("two shapes of a track on a frame", "CVAT", "repaired", "the second is taken"),
    Rule("an id that is twice on a frame", "MOT", "repaired", "the second object is of no track"),
    Rule("circles", "labelme", "read", "as discs"),
    Rule("points and lines in an object's box", "labelme; COCO `points`", "read", "they correct the object's mask"),
    Rule(
        "16-bit, float or many bands of which others than the usual are wanted",
        "all",
        "read",
        "as `bana.yaml` says (below); without it by the rules of `bana.open_image`",
    ),
    Rule("a category `_background_` that no object has", "COCO", "read", "it is no class"),
    Rule("a box with its corners swapped", "all", "repaired", "swapped back"),
    Rule("a box that reaches out of the image by more than a pixel", "all", "repaired", "cut at the edges"),
    Rule("no box, but a mask", "COCO", "repaired", "the mask's bounds"),
    Rule(
        "a file name that is absolute, of Windows, or leads out by `..`",
        "all",
        "repaired",
        "the image of that name in the data set; nothing outside is read",
    ),
    Rule("an annotation id used twice", "COCO", "repaired", "the second gets another in output"),
    Rule(
        "an outline that is empty, of two points, outside the image, or not numbers",
        "COCO, labelme, CVAT",
        "left out",
        "the box is used",
    ),
    Rule("an outline that reaches out of the image", "YOLO", "repaired", "the box around it is used, without a mask"),
    Rule("a box that is empty, not finite, or outside the image", "all", "left out", ""),
    Rule("an object of an unknown class", "all", "left out", "its pixels are ignored, not background"),
    Rule("points and lines in no box of their label; other shapes without an area", "labelme", "left out", ""),
    Rule("points, lines and other shapes without an area", "CVAT", "left out", ""),
    Rule("a row of other words, or of too few numbers", "YOLO, DOTA, MOT", "left out", ""),
    Rule("an annotation whose image is not in the file", "COCO", "left out", ""),
    Rule("a text file without an image", "YOLO, DOTA", "left out", ""),
    Rule("an image that is nearly black or white", "all", "looks wrong", "as 12-bit values in 16-bit files are"),
    Rule("an image that is missing, damaged, too large or of another size", "all", "fault", ""),
    Rule("an image inside its annotation (`imageData`) and not beside it", "labelme", "fault", ""),
    Rule("XML or JSON of one image that is damaged, or declares a DTD", "VOC, labelme", "fault", ""),
    Rule("a link that leads out of the data set", "all", "fault", "read with `--follow-links`, but not by `bana app`"),
    Rule("an image without the bands that `bana.yaml` names", "all", "fault", ""),
    Rule("the file of the whole set is damaged, or lists no classes", "COCO, YOLO, CVAT", "stops", ""),
    Rule("tracks of several tasks, or of a video that is not there", "CVAT", "stops", ""),
)
