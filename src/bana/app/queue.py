"""The queue: a line of facts about every image, most uncertain first, and labeling ahead of the person."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bana.app.drafts import Draft, State
from bana.app.workbench import Summary, Workbench
from bana.errors import BanaError

_AHEAD = 8
"""Images that wait to be opened before they are asked for."""


@dataclass(frozen=True)
class Row:
    """An image in the queue.

    Attributes:
        image_id: The image.
        state: See Summary.
        confidence: See Summary; None also where the image is not labeled yet.
        worst: The same.
        class_ids: See Summary.
        boxes: See Summary.
        number: Its place in the data set, from 0.
        labeled: Whether it has labels.
        fault: Why it cannot be used; empty if it can.
    """

    image_id: str
    state: State
    confidence: float | None
    worst: float | None
    class_ids: tuple[int, ...]
    boxes: int
    number: int
    labeled: bool
    fault: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The row for JSON."""
        return {**vars(self)}


class Queue:
    """The rows of all images, kept up to date; a thread of its own opens and labels images ahead.

    Args:
        bench: The images.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._lock = threading.Lock()
        self._rows = {image_id: self._first_row(image_id, number) for number, image_id in enumerate(bench.image_ids())}
        self._wanted: deque[str] = deque(maxlen=_AHEAD)
        self._unlabeled = deque(row.image_id for row in self._rows.values() if not row.labeled and not row.fault)
        self._news, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="bana-ahead", daemon=True)

    def start(self) -> None:
        """Begin to label ahead."""
        self._thread.start()

    def stop(self) -> None:
        """End that, after the image that is in work."""
        self._ended.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join()

    def rows(self) -> list[Row]:
        """All rows, the least confident first; what has no confidence last, in the data set's order."""
        with self._lock:
            rows = list(self._rows.values())
        return sorted(rows, key=lambda row: 2.0 if row.confidence is None else row.confidence)

    def note(self, image_id: str, draft: Draft, *, overwrite: bool = True) -> None:
        """Bring an image's row up to date; without ``overwrite`` only one that is not labeled yet."""
        summary = Summary.of(draft)
        with self._lock:
            old = self._rows.get(image_id)
            number = len(self._rows) if old is None else old.number
            if overwrite or old is None or not old.labeled:
                self._rows[image_id] = Row(image_id, *summary, number, True)

    def ahead(self, image_ids: Sequence[str]) -> None:
        """Open these images soon, the first of them first."""
        self._wanted.extend(image_id for image_id in image_ids[:_AHEAD])
        self._news.set()

    def _first_row(self, image_id: str, number: int) -> Row:
        """The row of what is in the folder; nothing is labeled for it."""
        record = self._bench.record(image_id)
        class_ids = tuple(sorted(set(record.class_ids.tolist())))
        try:
            summary = self._bench.summary(image_id)
        except BanaError as error:
            return Row(image_id, "todo", None, None, class_ids, len(record), number, False, str(error))
        if summary is None:
            return Row(image_id, "todo", None, None, class_ids, len(record), number, False)
        return Row(image_id, *summary, number, True)

    def _work(self) -> None:
        while not self._ended.is_set():
            self._news.clear()
            if self._wanted:
                image_id = self._wanted.popleft()
            elif self._unlabeled:
                image_id = self._unlabeled.popleft()
                if self._rows[image_id].labeled:
                    continue
            else:
                self._news.wait()
                continue
            self._prepare(image_id)

    def _prepare(self, image_id: str) -> None:
        try:
            self._bench.open(image_id)
            # a row that is labeled is the page's, which may have gone on since
            self.note(image_id, self._bench.review(image_id).draft, overwrite=False)
        except Exception as error:  # whatever it is, the other images are labeled
            fault = "too large for the memory" if isinstance(error, MemoryError) else str(error) or repr(error)
            with self._lock:
                if image_id in self._rows:  # else it is an upload that nobody was told of yet
                    self._rows[image_id] = replace(self._rows[image_id], fault=fault)
