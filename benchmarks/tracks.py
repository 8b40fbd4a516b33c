"""Whether a warm start helps: short tracks cut from photographs with true masks.

A track is a window that moves and zooms over a photograph, with one object of its class. Each frame is blurred,
brightened and compressed at random, and the sides of its box are off by some percent, as where boxes are drawn by hand
or interpolated. Frames are labeled with and without the masks of the last one (``bana.label.warm_start``).

    OMP_NUM_THREADS=1 python benchmarks/tracks.py /path/to/voc12-mini --tracks 96

It prints the mean IoU with the true masks over all frames but the first, how much the rule changes it with the standard
error of that, and the mean IoU of consecutive masks where both frames show the photograph.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from bana import Labeler, read_dataset
from bana.data.images import open_record_image
from bana.data.masks import mask_bounds, mask_iou
from bana.data.records import ImageRecord, overlapping_groups
from bana.data.truth import semantic_truth
from bana.label import warm_start
from bana.label.boxes import BoxedImage
from bana.label.pseudo_labels import Instance

FRAMES, SIZE = 6, (360, 270)
RULES = ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (1.0, 0.03), (2.0, 0.03), (3.0, 0.03), (2.0, 0.08))
"""BONUS and BLUR; the first is no warm start."""

LOOSENESS = 0.03
"""Standard deviation of a box's sides, as a share of its width or height."""

_MIN_SHARE = 0.02


@dataclass
class Frame:
    """A frame of a track: picture, window in the photograph, box, and true mask with 255 for unknown."""

    image: npt.NDArray[np.uint8]
    window: tuple[float, float, float, float]
    box: npt.NDArray[np.float32]
    truth: npt.NDArray[np.uint8]


class Once:
    """A function that answers as it did, until it is told to forget: rules differ in what they make of its answers."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function, self._answers = function, []

    def __call__(self, *arguments: Any) -> Any:
        """The answer to the first question."""
        if not self._answers:
            self._answers.append(self._function(*arguments))
        return self._answers[0]

    def forget(self) -> None:
        """Answer anew."""
        self._answers.clear()


@dataclass
class Scores:
    """IoUs with the truth, of all frames but the first, and of consecutive masks."""

    truth: list[float] = field(default_factory=list)
    stable: list[float] = field(default_factory=list)


def frames_of(record: ImageRecord, truth: npt.NDArray[Any], rng: np.random.Generator) -> Iterator[Frame]:
    """Frames of a window that moves and zooms around a record's largest object; fewer where this leaves it."""
    number = int(np.argmax(np.prod(record.boxes[:, 2:] - record.boxes[:, :2], axis=1)))
    x0, y0, x1, y1 = record.boxes[number].astype(int)
    inside = np.zeros(truth.shape, np.uint8)
    inside[y0:y1, x0:x1] = truth[y0:y1, x0:x1] == record.class_ids[number]
    photo, mask = Image.fromarray(open_record_image(record)), Image.fromarray(inside)
    unknown = Image.fromarray((truth == 255).astype(np.uint8))
    ends, scales = rng.uniform(0, 1, (2, 2)), rng.uniform(0.65, 0.95, 2)
    for step in np.linspace(0, 1, FRAMES):
        width = (scales[0] + (scales[1] - scales[0]) * step) * min(photo.width, photo.height * SIZE[0] / SIZE[1])
        height = width * SIZE[1] / SIZE[0]
        left, top = (ends[0] + (ends[1] - ends[0]) * step) * (photo.width - width, photo.height - height)
        window = (left, top, left + width, top + height)
        seen = np.array(mask.resize(SIZE, Image.Resampling.NEAREST, window))
        if seen.sum() < _MIN_SHARE * seen.size:
            return
        bounds = mask_bounds(seen > 0)
        box = bounds + rng.normal(0, LOOSENESS, 4) * np.tile(bounds[2:] - bounds[:2], 2)
        box = np.clip(box, 0, np.tile(SIZE, 2)).astype(np.float32)
        seen[np.asarray(unknown.resize(SIZE, Image.Resampling.NEAREST, window)) > 0] = 255
        yield Frame(_worn(photo.resize(SIZE, Image.Resampling.BILINEAR, window), rng), window, box, seen)


def _worn(picture: Image.Image, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    picture = picture.filter(ImageFilter.GaussianBlur(float(rng.choice([0, 0, 1, 2.5]))))
    bright = np.asarray(picture) * rng.uniform(0.85, 1.15)
    file = BytesIO()
    Image.fromarray(bright.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=int(rng.integers(25, 90)))
    return np.array(Image.open(file).convert("RGB"))


def aligned_iou(frame: Frame, mask: npt.NDArray[np.bool_], other: Frame, theirs: npt.NDArray[np.bool_]) -> float:
    """The IoU of two frames' masks where both show the photograph, at the second's pixels."""
    scale = (frame.window[2] - frame.window[0]) / SIZE[0]
    left, top, right, bottom = ((value - frame.window[axis % 2]) / scale for axis, value in enumerate(other.window))
    moves = ((right - left) / SIZE[0], 0, left, 0, (bottom - top) / SIZE[1], top)
    seen = np.asarray(Image.fromarray(mask.astype(np.uint8) + 1).transform(SIZE, Image.Transform.AFFINE, moves))
    return mask_iou(seen == 2, theirs & (seen > 0))


def score_track(labeler: Labeler, frames: Sequence[Frame], class_id: int, scores: Sequence[Scores]) -> None:
    """Add the IoUs of a track, by the rules."""
    last: list[tuple[Frame, Instance] | None] = [None] * len(RULES)
    for frame in frames:
        features = labeler.features(frame.image)
        for each in (labeler.refiner, labeler._marginals):
            each.forget()
        for rule, (warm_start.BONUS, warm_start.BLUR) in enumerate(RULES):
            before = last[rule]
            masks = [] if before is None or rule == 0 else [before[1]]
            boxed = BoxedImage(frame.image, frame.box[None], [class_id], None, None, len(labeler.classes), last=masks)
            (instance,) = labeler.from_features(features, frame.image, boxed).instances
            if before is not None:
                scores[rule].truth.append(mask_iou(instance.mask & (frame.truth != 255), frame.truth == 1))
                scores[rule].stable.append(aligned_iou(before[0], before[1].mask, frame, instance.mask))
            last[rule] = (frame, instance)


def main() -> None:
    """Measure all rules on the same tracks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="VOC data set with true masks")
    parser.add_argument("--tracks", type=int, default=96)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dataset = read_dataset(options.data, "train", format="voc")
    labeler = Labeler.pretrained(threads=1).for_classes(dataset.classes)
    labeler.refiner, labeler._marginals = Once(labeler.refiner), Once(labeler._marginals)
    rng = np.random.default_rng(options.seed)
    scores = [Scores() for _ in RULES]
    done = 0
    for index in rng.permutation(len(dataset)):
        record = dataset[int(index)]
        truth = semantic_truth(record, dataset.class_table)
        if truth is None or not len(record) or overlapping_groups(record.boxes, record.class_ids):
            continue
        frames = list(frames_of(record, truth, rng))
        if len(frames) == FRAMES:
            number = int(np.argmax(np.prod(record.boxes[:, 2:] - record.boxes[:, :2], axis=1)))
            score_track(labeler, frames, int(record.class_ids[number]), scores)
            done += 1
        if done == options.tracks:
            break
    print(f"{done} tracks of {FRAMES} frames")
    for (bonus, blur), each in zip(RULES, scores, strict=True):
        change = 100 * np.subtract(each.truth, scores[0].truth).reshape(done, FRAMES - 1).mean(1)
        error = change.std() / done**0.5  # frames of a track are alike
        print(
            f"bonus {bonus:3.1f}, blur {blur:4.2f}: IoU {100 * np.mean(each.truth):5.2f} ({change.mean():+.2f} +- "
            f"{error:.2f}), consecutive masks {100 * np.mean(each.stable):5.2f}"
        )


if __name__ == "__main__":
    main()
