"""Saved reviews: one file for each image with its draft, and one for each step that led there.

``review/<image>.json`` is the present draft and names the steps that led to it. ``history/<image>/<revision>.json`` is
the draft after one action; revision 0 is the first labeling. A step's file is written before the review that names it,
and never written again. So an action counts exactly when its review is written. If the process ends or fails, the
image keeps its last answered action, and undo and redo reach the same steps as before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from bana.app.drafts import Draft, DraftObject, Rle, State
from bana.data.classes import class_id_of
from bana.data.masks import checked_segmentation
from bana.data.objects import Box, checked_box
from bana.data.points import inside
from bana.data.records import ClassTable, ImageRecord, Point
from bana.errors import DataError
from bana.io.files import write_json
from bana.io.strict_json import read_json_object

File = TypeVar("File", bound=BaseModel)

REVIEW = "review"
HISTORY = "history"


@dataclass(frozen=True)
class Review:
    """An image's draft and its place among the steps.

    Attributes:
        draft: The draft.
        revision: Grows with every action, undo and redo among them; 0: nothing was done yet.
        step: The draft's place in ``trail``.
        trail: The revision that made each step which undo and redo can reach.
    """

    draft: Draft
    revision: int = 0
    step: int = 0
    trail: tuple[int, ...] = (0,)


class Store:
    """The reviews in a label folder.

    Args:
        folder: The label folder.
        table: The classes; files name them, so that they stay right where a class list has grown.
    """

    def __init__(self, folder: Path, table: ClassTable) -> None:
        self._folder = folder
        self._table = table

    def has(self, record: ImageRecord) -> bool:
        """Whether there is a review of an image."""
        return self._path(record).is_file()

    def load(self, record: ImageRecord) -> Review | None:
        """The review of an image; None where there is none. Raises DataError if it cannot be used."""
        if not self.has(record):
            return None
        path = self._path(record)
        content = _checked(_ReviewFile, read_json_object(path), path)
        known = [each.origin for each in content.draft.objects if each.origin is not None]
        if content.annotation != self._annotation(record) or not all(0 <= number < len(record) for number in known):
            raise DataError(
                f"{path}: reviews another annotation than image {record.image_id} has now; "
                "restore the annotation, or remove the file to start over"
            )
        return Review(self._draft(content.draft, record, path), content.revision, content.step, content.trail)

    def first(self, record: ImageRecord, review: Review) -> Draft:
        """The draft as it was labeled. Raises DataError if its file is damaged."""
        return review.draft if review.step == 0 else self._step(record, 0)

    def advance(self, record: ImageRecord, review: Review, draft: Draft) -> Review:
        """Keep what an action made of the draft; steps that were undone are forgotten.

        Raises:
            OutputError: If it cannot be written; then the image is as it was.
        """
        if review.revision == 0:
            write_json(self._step_path(record, 0), self._content(review.draft))
        revision, step = review.revision + 1, review.step + 1
        write_json(self._step_path(record, revision), self._content(draft))
        return self._keep(record, Review(draft, revision, step, (*review.trail[:step], revision)))

    def move(self, record: ImageRecord, review: Review, by: int) -> Review:
        """Go one step back (-1) or forward (1).

        Raises:
            DataError: If there is no step there, or its file is damaged.
            OutputError: If it cannot be written.
        """
        step = review.step + by
        if not 0 <= step < len(review.trail):
            raise DataError(f"{record.image_id}: there is nothing to {'undo' if by < 0 else 'redo'}")
        return self._keep(
            record, Review(self._step(record, review.trail[step]), review.revision + 1, step, review.trail)
        )

    def _step(self, record: ImageRecord, revision: int) -> Draft:
        path = self._step_path(record, revision)
        return self._draft(_checked(_DraftFile, read_json_object(path), path), record, path)

    def _keep(self, record: ImageRecord, review: Review) -> Review:
        place = {"revision": review.revision, "step": review.step, "trail": list(review.trail)}
        facts = {"image_id": record.image_id, "annotation": self._annotation(record), **place}
        content = facts | {"draft": self._content(review.draft)}
        write_json(self._path(record), content)
        return review

    def _annotation(self, record: ImageRecord) -> str:
        """A hex digest of what the annotation file says of an image's objects, and of the image's size."""
        names = [self._table.names[class_id - 1] for class_id in record.class_ids.tolist()]
        facts = [record.width, record.height, record.boxes.tolist(), names, record.crowd.tolist(), record.object_ids]
        if record.points:
            facts.append(record.points)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _path(self, record: ImageRecord) -> Path:
        return self._folder / REVIEW / f"{record.image_id}.json"

    def _step_path(self, record: ImageRecord, revision: int) -> Path:
        return self._folder / HISTORY / record.image_id / f"{revision}.json"

    def _content(self, draft: Draft) -> dict[str, Any]:
        names = self._table.names
        objects = []
        for each in draft.objects:
            entry = asdict(each)
            objects.append({"class_name": names[entry.pop("class_id") - 1], **entry})
        retrieved = {names[class_id - 1]: mask for class_id, mask in draft.retrieved.items()}
        return {"state": draft.state, "next_key": draft.next_key, "objects": objects, "retrieved": retrieved}

    def _draft(self, content: _DraftFile, record: ImageRecord, path: Path) -> Draft:
        """The draft of a file, with every box and mask checked."""

        def mask(rle: Rle, place: str) -> Rle:
            checked = checked_segmentation(rle, record.width, record.height, place)
            assert isinstance(checked, dict)  # so is the file's
            return checked

        objects = []
        for number, each in enumerate(content.objects, start=1):
            place = f"{path}: object {number}"
            facts = each.model_dump(exclude={"class_name"})
            masks = {name: mask(facts[name], place) for name in ("mask", "added", "removed") if facts[name] is not None}
            box = checked_box(each.box, record.width, record.height, place)
            class_id = class_id_of(each.class_name, self._table, place)
            checked = {"box": box, "class_id": class_id, "points": inside(each.points, box)}
            objects.append(DraftObject(**facts | masks | checked))
        retrieved = {
            class_id_of(name, self._table, str(path)): mask(rle, str(path)) for name, rle in content.retrieved.items()
        }
        return Draft(tuple(objects), retrieved, content.next_key, content.state)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _ObjectFile(_File):
    key: int
    class_name: str
    box: Box
    mask: Rle
    confidence: float
    origin: int | None
    difficult: bool
    crowd: bool
    added: Rle | None
    removed: Rle | None
    points: tuple[Point, ...] = ()


class _DraftFile(_File):
    state: State
    next_key: int
    objects: Sequence[_ObjectFile]
    retrieved: dict[str, Rle]


class _ReviewFile(_File):
    image_id: str
    annotation: str
    revision: int
    step: int
    trail: tuple[int, ...]
    draft: _DraftFile

    @model_validator(mode="after")
    def _step_is_in_trail(self) -> _ReviewFile:
        if not 0 <= self.step < len(self.trail):
            raise ValueError(f"step {self.step} is not among the {len(self.trail)} of trail")
        return self


def _checked(kind: type[File], content: dict[str, Any], path: Path) -> File:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(f"{path}: {place}: {first['msg']}; restore the file, or delete it to start over") from error
