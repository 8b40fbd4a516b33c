"""The actions that the page can ask for, and what each does to the draft of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bana.app.drafts import Draft, DraftObject
from bana.app.painting import erased, object_of, painted, unpainted
from bana.data.masks import checked_segmentation, decode_mask, encode_mask
from bana.data.objects import checked_box
from bana.data.points import inside
from bana.data.records import BoolArray, ImageRecord, Point
from bana.errors import DataError
from bana.label.points import MAX_POINTS

MAX_RUNS = 200_000
"""The most run lengths in a stroke: two for each column of an image of 100,000 columns."""

MAX_OBJECTS = 1000
"""The most objects in an image: with each change all are labeled anew, which takes a second for each hundred."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Corners = tuple[Number, Number, Number, Number]


class Body(BaseModel):
    """Base of all that the page sends. An unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Add(Body):
    """Draw a box of a class."""

    do: Literal["add"]
    box: Corners
    class_id: int


class Change(Body):
    """Move or resize a box, or change its class."""

    do: Literal["change"]
    key: int
    box: Corners | None = None
    class_id: int | None = None


class Delete(Body):
    """Take an object out."""

    do: Literal["delete"]
    key: int


class Paint(Body):
    """Paint pixels into an object, or erase them from it; ``runs`` are those of COCO's RLE, uncompressed."""

    do: Literal["paint", "erase"]
    key: int
    runs: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(max_length=MAX_RUNS)]


class SetPoints(Body):
    """Set points in an object's box: x, y, and whether they lie on the object. Its mask is corrected around them."""

    do: Literal["points"]
    key: int
    points: Annotated[list[tuple[Number, Number, bool]], Field(min_length=1, max_length=MAX_POINTS)]


class Unpaint(Body):
    """Forget what was painted into an object and erased from it, and its points."""

    do: Literal["unpaint"]
    key: int


class SetState(Body):
    """Accept or reject the image, or take that back."""

    do: Literal["state"]
    state: Literal["todo", "accepted", "rejected"]


class Step(Body):
    """Go back to what was before the last action, or forward again."""

    do: Literal["undo", "redo"]


Edit = Add | Change | Delete | Paint | SetPoints | Unpaint | SetState
Action = Annotated[Edit | Step, Field(discriminator="do")]

Relabel = Callable[[Draft], Draft]
"""Labels the draft's objects anew."""


def applied(draft: Draft, edit: Edit, record: ImageRecord, classes: int, relabel: Relabel) -> Draft:
    """Apply an edit to a draft.

    Args:
        draft: The draft before the edit.
        edit: The edit.
        record: The image.
        classes: Number of classes L.
        relabel: Called where boxes or classes have changed.

    Raises:
        DataError: If there is no such object or class, or a box or stroke does not fit the image.
    """
    if isinstance(edit, SetState):
        return replace(draft, state=edit.state)
    draft = replace(draft, state="edited")
    if isinstance(edit, Paint):
        change = painted if edit.do == "paint" else erased
        return change(draft, edit.key, _stroke(edit, record))
    if isinstance(edit, Unpaint):
        had_points = object_of(draft, edit.key).points
        draft = unpainted(draft, edit.key)
        return relabel(draft) if had_points else draft
    if isinstance(edit, Add):
        return relabel(_with_added(draft, edit, record, classes))
    kept = object_of(draft, edit.key)
    if isinstance(edit, Delete):
        return relabel(replace(draft, objects=tuple(each for each in draft.objects if each.key != edit.key)))
    if kept.crowd:
        raise DataError(f"object {edit.key}: is a crowd region, which has no label; delete it, and draw a box")
    changed = _with_points(kept, edit) if isinstance(edit, SetPoints) else _changed(kept, edit, record, classes)
    return relabel(replace(draft, objects=tuple(changed if each is kept else each for each in draft.objects)))


def _changed(kept: DraftObject, edit: Change, record: ImageRecord, classes: int) -> DraftObject:
    """The object with another box or class; points outside the new box are gone."""
    box = kept.box if edit.box is None else checked_box(edit.box, record.width, record.height, f"object {edit.key}")
    class_id = kept.class_id if edit.class_id is None else _checked_class(edit.class_id, classes)
    return replace(kept, box=box, class_id=class_id, points=inside(kept.points, box))


def _with_points(kept: DraftObject, edit: SetPoints) -> DraftObject:
    points = [Point(*each) for each in edit.points]
    if len(inside(points, kept.box)) < len(points):
        raise DataError(f"object {edit.key}: a point lies outside its box; set it inside, or enlarge the box")
    if len(kept.points) + len(points) > MAX_POINTS:
        raise DataError(
            f"object {edit.key}: has {len(kept.points)} points, and {MAX_POINTS} are the most; paint instead"
        )
    return replace(kept, points=(*kept.points, *points))


def _with_added(draft: Draft, edit: Add, record: ImageRecord, classes: int) -> Draft:
    if len(draft.objects) >= MAX_OBJECTS:
        raise DataError(f"{record.image_id}: has {len(draft.objects)} boxes, the most allowed; delete one")
    box = checked_box(edit.box, record.width, record.height, "new box")
    nothing = encode_mask(_nothing(record))
    added = DraftObject(draft.next_key, _checked_class(edit.class_id, classes), box, nothing, 0.0)
    return replace(draft, objects=(*draft.objects, added), next_key=draft.next_key + 1)


def _nothing(record: ImageRecord) -> BoolArray:
    return decode_mask([], record.height, record.width)


def _checked_class(class_id: int, classes: int) -> int:
    if not 1 <= class_id <= classes:
        raise DataError(f"class {class_id}: is not one of 1 to {classes}; load the page again")
    return class_id


def _stroke(edit: Paint, record: ImageRecord) -> BoolArray:
    """The pixels of a stroke, bool (H, W)."""
    rle = {"size": [record.height, record.width], "counts": edit.runs}
    checked = checked_segmentation(rle, record.width, record.height, "stroke")
    assert checked is not None
    return decode_mask(checked, record.height, record.width)
