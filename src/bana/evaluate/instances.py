"""Average precision and recall of masks, computed by COCO's own evaluation code (pycocotools)."""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as rle_codec
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bana.errors import DataError
from bana.evaluate.confusion import FloatArray

Rle = dict[str, Any]
"""A mask as COCO's compressed RLE: ``{"size": [H, W], "counts": str or bytes}``."""

_NO_LIMIT = 10**9


@dataclass(frozen=True)
class TrueMask:
    """One true object: its class (1..L), mask, and whether it is a crowd region, which is neither right nor wrong.

    ``area`` (pixels) decides whether it is small, medium or large (default: the mask's).
    """

    class_id: int
    mask: Rle
    crowd: bool = False
    area: float | None = None


@dataclass(frozen=True)
class ScoredMask:
    """One predicted object: its class (1..L), mask and score (higher is surer); ``area`` as in TrueMask."""

    class_id: int
    mask: Rle
    score: float
    area: float | None = None


@dataclass(frozen=True)
class MaskApScores:
    """Average precision of masks, each 0..100 and NaN where there is no true object to find.

    Attributes:
        ap: Mean over classes and the IoU thresholds 0.50, 0.55, ..., 0.95.
        ap50: At IoU 0.50.
        ap75: At IoU 0.75.
        ap_small: Of objects whose area is at most 32 * 32 pixels.
        ap_medium: Of objects between.
        ap_large: Of objects whose area is at least 96 * 96 pixels.
        per_class: ``ap`` of every class that has a true object.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    per_class: dict[int, float]


class ClassCurves(NamedTuple):
    """Precision and recall of one class at 10 IoU thresholds T, 4 area ranges A (all, small, medium, large), M limits.

    Both are 0..1, and -1 where there is no true object.

    Attributes:
        precision: float64 (T, R, A, M) at the R = 101 recalls 0.00, 0.01, ..., 1.00.
        recall: float64 (T, A, M), the greatest reached.
    """

    precision: FloatArray
    recall: FloatArray


class MaskMatches:
    """Matches of predicted with true masks that stream: an image is matched when it comes, and its masks are let go.

    Matching and accumulating are pycocotools' own.

    Args:
        max_detections: M ascending limits: only so many of the surest masks of a class in an image count.
    """

    def __init__(self, max_detections: Sequence[int]) -> None:
        self._max_detections = list(max_detections)
        self._matches: defaultdict[int, list[list[dict[str, Any]]]] = defaultdict(list)

    def update(self, predicted: Sequence[ScoredMask], truth: Sequence[TrueMask]) -> None:
        """Match the masks of one image.

        Args:
            predicted: The predicted objects.
            truth: The true objects; masks of the same size as the predicted ones.

        Raises:
            DataError: If the masks are not all of one size.
        """
        objects: list[TrueMask | ScoredMask] = [*predicted, *truth]
        sizes = {tuple(each.mask["size"]) for each in objects}
        if len(sizes) > 1:
            raise DataError(f"masks of one image have the sizes {sorted(sizes)}; all must be of the image's")
        if not sizes:
            return
        true = [{**_annotation(each), "iscrowd": int(each.crowd)} for each in truth]
        scored = [{**_annotation(each), "score": each.score} for each in predicted]
        evaluation = COCOeval(_coco(true, *sizes), _coco(scored, *sizes), "segm")
        evaluation.params.maxDets = self._max_detections
        evaluation.params.catIds = class_ids = sorted({each.class_id for each in objects})
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks
            evaluation.evaluate()
        ranges = len(evaluation.params.areaRng)
        for index, class_id in enumerate(class_ids):
            matches = evaluation.evalImgs[index * ranges : (index + 1) * ranges]
            self._matches[class_id].append([_slim(match) for match in matches])

    def curves(self) -> dict[int, ClassCurves]:
        """Precision and recall over all images so far, of every class that had a mask, true or predicted."""
        return {class_id: self._curves(images) for class_id, images in sorted(self._matches.items())}

    def _curves(self, images: list[list[dict[str, Any]]]) -> ClassCurves:
        evaluation = COCOeval(iouType="segm")
        evaluation.params.maxDets = self._max_detections
        evaluation.params.catIds = [1]
        evaluation.params.imgIds = list(range(len(images)))
        evaluation.evalImgs = [match for matches in zip(*images, strict=True) for match in matches]
        evaluation._paramsEval = evaluation.params
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.accumulate()
        return ClassCurves(evaluation.eval["precision"][:, :, 0], evaluation.eval["recall"][:, 0])


class MaskAP:
    """Mask AP of a data set that streams: an image is matched when it comes, and its masks are let go.

    Matching and averaging are pycocotools' own. One thing differs from COCO's defaults: no mask is dropped where an
    image holds more than 100 of a class, because here every box has one. Empty predicted masks are no detections.
    """

    def __init__(self) -> None:
        self._matches = MaskMatches([_NO_LIMIT])

    def update(self, predicted: Sequence[ScoredMask], truth: Sequence[TrueMask]) -> None:
        """Match the masks of one image. Takes and raises what MaskMatches.update does."""
        self._matches.update([each for each in predicted if rle_codec.area(each.mask)], truth)

    def scores(self) -> MaskApScores:
        """The average precision over all images so far."""
        return average_precision(self._matches.curves())


def average_precision(curves: Mapping[int, ClassCurves]) -> MaskApScores:
    """The average precision of classes by their ids, at the greatest of the limits."""
    precision = {class_id: each.precision[..., -1] for class_id, each in curves.items()}
    return MaskApScores(
        ap=mean_percent(each[:, :, 0] for each in precision.values()),
        ap50=mean_percent(each[0, :, 0] for each in precision.values()),
        ap75=mean_percent(each[5, :, 0] for each in precision.values()),
        ap_small=mean_percent(each[:, :, 1] for each in precision.values()),
        ap_medium=mean_percent(each[:, :, 2] for each in precision.values()),
        ap_large=mean_percent(each[:, :, 3] for each in precision.values()),
        per_class={
            class_id: mean_percent([each[:, :, 0]])
            for class_id, each in precision.items()
            if (each[:, :, 0] > -1).any()
        },
    )


def mean_percent(classes: Iterable[FloatArray]) -> float:
    """100 times the mean over the classes that have a true object, of one slice of ClassCurves each; NaN for none."""
    present = [values.mean() for values in classes if (values > -1).all()]
    return 100.0 * float(np.mean(present)) if present else float("nan")


def _slim(match: dict[str, Any]) -> dict[str, Any]:
    """What accumulating reads of one image's matches; ids of what was matched would take most of the memory."""
    kept = {key: match[key] for key in ("dtScores", "dtIgnore", "gtIgnore")}
    return kept | {"dtMatches": match["dtMatches"] > 0}


def _annotation(each: TrueMask | ScoredMask) -> dict[str, Any]:
    area = float(rle_codec.area(each.mask)) if each.area is None else each.area
    return {"image_id": 1, "category_id": each.class_id, "segmentation": each.mask, "area": area}


def _coco(annotations: list[dict[str, Any]], size: tuple[int, int]) -> COCO:
    """One image's objects as the data set that COCOeval wants; ids start at 1 because it takes 0 for "no match"."""
    coco = COCO()
    coco.dataset = {
        "images": [{"id": 1, "height": size[0], "width": size[1]}],
        "categories": [{"id": class_id} for class_id in sorted({each["category_id"] for each in annotations})],
        "annotations": [{**annotation, "id": number} for number, annotation in enumerate(annotations, start=1)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco
