"""What a process of a labeling run does: one image after the other, or one video after the other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from platform import node

from bana.data.images import open_record_image
from bana.data.mirror import Images
from bana.data.records import BoxDataset, ImageRecord
from bana.data.tracks import videos_of
from bana.data.windows import open_windows
from bana.engine.memory import peak_memory, reset_peak
from bana.engine.pool import Results, Worker
from bana.errors import CheckpointError, DataError, SettingsError
from bana.io.faults import OnError
from bana.io.remote import AnyPath
from bana.label.boxes import BoxedImage, LastMask, record_boxes
from bana.label.method import LabelingMethod
from bana.label.methods.choose import MethodChoice
from bana.label.output import input_digest, is_done, labeling_digest, write_labels
from bana.label.pseudo_labels import PseudoLabels
from bana.label.tiled import label_in_tiles
from bana.label.tiles import Tiling
from bana.label.warm_start import LastFrame


@dataclass(frozen=True)
class Cost:
    """The cost of one image.

    Attributes:
        seconds: Wall time.
        peak_memory: Greatest resident memory of the process so far, in bytes.
        empty: Number of its boxes that got an empty mask.
    """

    seconds: float
    peak_memory: int
    empty: int


@dataclass(frozen=True)
class LabelWorker(Worker[ImageRecord, Cost | None]):
    """Labels a record and writes its files.

    Attributes:
        choice: The method.
        classes: The L class names.
        labeling: The digest of both that the folder has.
        out: The folder of labels.
        images: Fetches a record's image where records do not name files of this machine.
        tiling: Which images are cut into tiles.
    """

    choice: MethodChoice
    classes: tuple[str, ...]
    labeling: str
    out: AnyPath
    images: Images
    tiling: Tiling

    @cached_property
    def method(self) -> LabelingMethod:
        """The loaded method. Raises CheckpointError if it is not the one that this labeling began with."""
        reset_peak()
        if labeling_digest(self.choice.facts(), self.classes) != self.labeling:
            remedy = "give all machines the same bana and files"
            raise CheckpointError(f"{node()}: its labeler is not the one that this labeling began with; {remedy}")
        return self.choice.open(self.classes, threads=1)

    def __call__(self, record: ImageRecord) -> Cost | None:
        """None if the files are there, as after the loss of another process."""
        return self.labeled(record, None)[0]

    def labeled(self, record: ImageRecord, last: LastFrame | None) -> tuple[Cost | None, LastFrame]:
        """Label a frame from the masks of the last one (None for the first frame), unless the files are there.

        Returns:
            What it cost, or None; and the frame, for the next.

        Raises:
            DataError: If the image, or the labels of the last frame, cannot be read.
        """
        method = self.method
        began = time.perf_counter()
        with self.images(record) as here:
            digest = self.digest(here)
            if last is not None and not last.shares_tracks(record):
                last = None
            if last is not None:
                digest = sha256(f"{digest}{last.digest}".encode()).hexdigest()
            this = LastFrame(self.out, record, digest)
            if is_done(self.out, here.image_id, digest):
                return None, this
            labels = self.labels(method, here, [] if last is None else last.masks(record))
            write_labels(self.out, here.image_id, labels, digest, here.track_ids)
        empty = sum(instance.status == "empty" for instance in labels.instances)
        return Cost(time.perf_counter() - began, peak_memory(), empty), this

    def labels(self, method: LabelingMethod, record: ImageRecord, last: Sequence[LastMask | None]) -> PseudoLabels:
        """Label a record, in tiles if it is large; ``last`` are the masks of the last frame, if there are any."""
        classes, side = len(method.class_table), self._side(record)
        if side is not None:
            with open_windows(record) as windows:
                return label_in_tiles(method, windows, record_boxes(record, classes), side)
        image = open_record_image(record)
        return method.label_boxed(image, BoxedImage.of_record(image, record, classes, last))

    def digest(self, record: ImageRecord) -> str:
        """A digest of everything that the record's labels depend on, the last frame left out."""
        side = self._side(record)
        return input_digest(record, self.labeling if side is None else f"{self.labeling} in tiles of {side}")

    def _side(self, record: ImageRecord) -> int | None:
        """Side of the tiles in which a record is labeled; None if it is labeled as a whole, as video frames are."""
        return None if record.is_in_video else self.tiling.side_for(record.width, record.height)

    def is_done(self, record: ImageRecord) -> bool:
        """Whether the record's labels are there, intact and made from this input."""
        return is_done(self.out, record.image_id, self.digest(record))


FrameResult = Cost | DataError | None
"""What a frame cost; None if its labels were there; the fault for which it was left out."""


@dataclass(frozen=True)
class VideoWorker(Worker[Sequence[ImageRecord], list[FrameResult]]):
    """Labels the frames of a video in their order, each from the masks of the last one.

    Labels depend on those of the frame before, so that its digest is among what they depend on: where one was made
    anew, those that follow are too. A frame that is left out tells nothing, and the next begins without.

    Attributes:
        worker: Labels a frame.
        on_error: ``stop`` at the first frame that cannot be used, or ``skip`` it.
    """

    worker: LabelWorker
    on_error: OnError

    def __call__(self, frames: Sequence[ImageRecord]) -> list[FrameResult]:
        """Label the frames of a video: what each cost, or its fault (``skip``)."""
        results: list[FrameResult] = []
        last: LastFrame | None = None
        for record in frames:
            try:
                cost, last = self.worker.labeled(record, last)
                results.append(cost)
            except DataError as error:
                if self.on_error == "stop":
                    raise
                last = None
                results.append(error)
        return results


def chains_of(dataset: BoxDataset) -> list[list[ImageRecord]]:
    """The frames of each video in their order, and each image that is of none by itself."""
    videos = videos_of(dataset)
    of_videos = {record.image_id for frames in videos.values() for record in frames}
    return [*videos.values(), *([record] for record in dataset if record.image_id not in of_videos)]


def frame_results(results: Results[Sequence[ImageRecord], list[FrameResult]]) -> Results[ImageRecord, Cost | None]:
    """Yield every frame of the videos with a function that returns its result or raises its error."""
    with closing(results):
        for frames, result in results:
            for record, one in zip(frames, result(), strict=True):
                yield record, lambda one=one: _checked(one)  # type: ignore[misc]


def require_tracks(dataset: BoxDataset, method: LabelingMethod) -> None:
    """Raise SettingsError if a warm start changes nothing: no object is of a track, or the method looks at no mask."""
    if not any(record.track_ids for record in dataset):
        raise SettingsError(f"warm_start: no object of {dataset.root} is of a track; leave it out")
    if not method.uses_last:
        raise SettingsError("warm_start: needs a labeler whose refiner is at work; leave it out")


def _checked(result: FrameResult) -> Cost | None:
    if isinstance(result, DataError):
        raise result
    return result
