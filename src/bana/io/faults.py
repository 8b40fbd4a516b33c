"""What to do about an image that cannot be used: stop at the first fault, or note it and go on."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Literal

from bana.errors import DataError, SettingsError
from bana.io.files import write_text
from bana.io.remote import AnyPath
from bana.io.strict_json import json_lines

OnError = Literal["stop", "skip"]

REJECTED = "rejected.jsonl"
"""The file that names the images left out, one JSON object a line."""


@dataclass(frozen=True)
class Rejected:
    """An image that could not be used, and why: a line of ``rejected.jsonl``."""

    image_id: str
    reason: str


def write_rejected(out: AnyPath, rejected: Iterable[Rejected]) -> None:
    """Write the images left out because of a fault. Raises OutputError if the folder cannot be written."""
    write_text(out / REJECTED, json_lines(asdict(entry) for entry in rejected))


class FaultLog:
    """The faults met while reading, in order.

    Args:
        on_error: ``stop`` raises the first fault; ``skip`` notes it, and the image is left out.

    Attributes:
        faults: Every fault that was noted; one image may have several.
    """

    def __init__(self, on_error: OnError = "stop") -> None:
        if on_error not in ("stop", "skip"):
            raise SettingsError(f"on_error: {on_error!r} is not known; choose stop or skip")
        self.faults: list[Rejected] = []
        self._stop = on_error == "stop"
        self._with_fault: set[str] = set()

    def catch(self, image_id: str) -> AbstractContextManager[None]:
        """Within this block a DataError is a fault of the image: raised, or noted and the block left."""
        return _Catch(self, image_id)

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

    __slots__ = ("_image_id", "_log")

    def __init__(self, log: FaultLog, image_id: str) -> None:
        self._log = log
        self._image_id = image_id

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return isinstance(error, DataError) and self._log.note(self._image_id, error)
