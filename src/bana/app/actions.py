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
from bana.data.records import BoolArray, ImageRecord
from bana.errors import DataError

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


class Unpaint(Body):
    """Forget what was painted into an object and erased from it."""

    do: Literal["unpaint"]
    key: int


class SetState(Body):
    """Accept or reject the image, or take that back."""

    do: Literal["state"]
    state: Literal["todo", "accepted", "rejected"]


class Step(Body):
    """Go back to what was before the last action, or forward again."""

    do: Literal["undo", "redo"]


Edit = Add | Change | Delete | Paint | Unpaint | SetState
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
        return unpainted(draft, edit.key)
    if isinstance(edit, Add):
        return relabel(_with_added(draft, edit, record, classes))
    kept = object_of(draft, edit.key)
    if isinstance(edit, Delete):
        return relabel(replace(draft, objects=tuple(each for each in draft.objects if each.key != edit.key)))
    if kept.crowd:
        raise DataError(f"object {edit.key}: is a crowd region, which has no label; delete it, and draw a box")
    place = f"object {edit.key}"
    box = kept.box if edit.box is None else checked_box(edit.box, record.width, record.height, place)
    class_id = kept.class_id if edit.class_id is None else _checked_class(edit.class_id, classes)
    changed = replace(kept, box=box, class_id=class_id)
    return relabel(replace(draft, objects=tuple(changed if each is kept else each for each in draft.objects)))


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
