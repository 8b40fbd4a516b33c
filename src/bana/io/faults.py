"""What to do about what cannot be used: an object is left out and noted; an image stops the command, or is too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Literal

from bana.errors import DataError, SettingsError
from bana.io.files import write_text
from bana.io.remote import AnyPath
from bana.io.strict_json import json_lines

OnError = Literal["stop", "skip"]

NoteKind = Literal["repaired", "left out", "looks wrong"]

REJECTED = "rejected.jsonl"
"""The file that names the images left out, one JSON object a line."""


@dataclass(frozen=True)
class Rejected:
    """An image that could not be used, and why: a line of ``rejected.jsonl``."""

    image_id: str
    reason: str


@dataclass(frozen=True)
class Note:
    """Something of an image that was repaired, left out or looks wrong, while the image is used.

    Attributes:
        image_id: The image; empty where it belongs to none.
        kind: What was done.
        reason: The place, and why.
    """

    image_id: str
    kind: NoteKind
    reason: str


def write_rejected(out: AnyPath, rejected: Iterable[Rejected]) -> None:
    """Write the images left out because of a fault. Raises OutputError if the folder cannot be written."""
    write_text(out / REJECTED, json_lines(asdict(entry) for entry in rejected))


class FaultLog:
    """The faults met while reading, in order.

    Args:
        on_error: ``stop`` raises the first fault; ``skip`` notes it, and the image is left out.
        strict: Whether everything that is not as it should be is a fault of its image.

    Attributes:
        faults: Every fault that was noted; one image may have several.
        notes: What was repaired or left out while its image is used.
        strict: As given.
    """

    def __init__(self, on_error: OnError = "stop", *, strict: bool = False) -> None:
        if on_error not in ("stop", "skip"):
            raise SettingsError(f"on_error: {on_error!r} is not known; choose stop or skip")
        self.faults: list[Rejected] = []
        self.notes: list[Note] = []
        self.strict = strict
        self._stop = on_error == "stop"
        self._with_fault: set[str] = set()

    def catch(self, image_id: str) -> AbstractContextManager[None]:
        """Within this block a DataError is a fault of the image: raised, or noted and the block left."""
        return _Catch(image_id, self.note)

    def catch_object(self, image_id: str) -> AbstractContextManager[None]:
        """Within this block a DataError costs an object alone, which is left out; a fault of the image if strict."""
        return _Catch(image_id, self.note if self.strict else self.leave_out)

    def repaired(self, image_id: str, reason: str) -> None:
        """Note what was repaired. Raises DataError if strict."""
        if self.strict:
            raise DataError(reason)
        self.notes.append(Note(image_id, "repaired", reason))

    def leave_out(self, image_id: str, error: DataError) -> bool:
        """Note what was left out. Raises DataError if strict; else True."""
        if self.strict:
            raise error
        self.notes.append(Note(image_id, "left out", str(error)))
        return True

    def note(self, image_id: str, error: DataError) -> bool:
        """Note a fault of the image, unless the first one is to be raised; whether it was noted."""
        if not self._stop:
            self.faults.append(Rejected(image_id, str(error)))
            self._with_fault.add(image_id)
        return not self._stop

    def has_fault(self, image_id: str) -> bool:
        """Whether a fault of this image was noted, so that it must be left out."""
        return image_id in self._with_fault

    def rejected(self) -> tuple[Rejected, ...]:
        """One entry for each image with faults: the first of them, and how many more there are."""
        reasons: dict[str, list[str]] = {}
        for fault in self.faults:
            reasons.setdefault(fault.image_id, []).append(fault.reason)
        return tuple(
            Rejected(image_id, first if not others else f"{first} (and {len(others)} more)")
            for image_id, (first, *others) in reasons.items()
        )


class _Catch(AbstractContextManager[None]):
    """The block of FaultLog.catch: a class, which is faster than a generator, for each object enters one."""

    __slots__ = ("_image_id", "_note")

    def __init__(self, image_id: str, note: Callable[[str, DataError], bool]) -> None:
        self._image_id = image_id
        self._note = note

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return isinstance(error, DataError) and self._note(self._image_id, error)
