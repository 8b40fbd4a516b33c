"""Mask average precision, computed by COCO's own evaluation code (pycocotools)."""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as rle_codec
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bana.errors import DataError

Rle = dict[str, Any]
"""A mask as COCO's compressed RLE: ``{"size": [H, W], "counts": str or bytes}``."""

_NO_LIMIT = 10**9


@dataclass(frozen=True)
class TrueMask:
    """One true object: its class (1..L), mask, and whether it is a crowd region, which is neither right nor wrong."""

    class_id: int
    mask: Rle
    crowd: bool = False


@dataclass(frozen=True)
class ScoredMask:
    """One predicted object: its class (1..L), mask and score (higher is surer)."""

    class_id: int
    mask: Rle
    score: float


@dataclass(frozen=True)
class MaskApScores:
    """Average precision of masks, each 0..100 and NaN where there is no true object to find.

    Attributes:
        ap: Mean over classes and the IoU thresholds 0.50, 0.55, ..., 0.95.
        ap50: At IoU 0.50.
        ap75: At IoU 0.75.
        ap_small: Of objects whose mask has at most 32 * 32 pixels.
        ap_medium: Of objects between.
        ap_large: Of objects whose mask has at least 96 * 96 pixels.
        per_class: ``ap`` of every class that has a true object.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    per_class: dict[int, float]


class MaskAP:
    """Mask AP of a data set that streams: an image is matched when it comes, and its masks are let go.

    Matching and averaging are pycocotools' own. One thing differs from COCO's defaults: no mask is dropped where an
    image holds more than 100 of a class, because here every box has one. Empty predicted masks are no detections.
    """

    def __init__(self) -> None:
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
        evaluation = COCOeval(_coco(true, *sizes), _coco([each for each in scored if each["area"]], *sizes), "segm")
        evaluation.params.maxDets = [_NO_LIMIT]
        evaluation.params.catIds = class_ids = sorted({each.class_id for each in objects})
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks
            evaluation.evaluate()
        ranges = len(evaluation.params.areaRng)
        for index, class_id in enumerate(class_ids):
            matches = evaluation.evalImgs[index * ranges : (index + 1) * ranges]
            if matches[0] is not None:
                self._matches[class_id].append(matches)

    def scores(self) -> MaskApScores:
        """The average precision over all images so far."""
        precision = {class_id: _precision(images) for class_id, images in sorted(self._matches.items())}
        return MaskApScores(
            ap=_mean_precision(precision.values(), area=0),
            ap50=_mean_precision(precision.values(), area=0, threshold=0),
            ap75=_mean_precision(precision.values(), area=0, threshold=5),
            ap_small=_mean_precision(precision.values(), area=1),
            ap_medium=_mean_precision(precision.values(), area=2),
            ap_large=_mean_precision(precision.values(), area=3),
            per_class={
                class_id: _mean_precision([values], area=0)
                for class_id, values in precision.items()
                if (values[:, :, 0] > -1).any()
            },
        )


def _annotation(each: TrueMask | ScoredMask) -> dict[str, Any]:
    area = int(rle_codec.area(each.mask))
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


def _precision(images: list[list[dict[str, Any]]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Precision of one class: (10 IoU thresholds, 101 recalls, 4 area ranges), -1 where there is no true object."""
    evaluation = COCOeval(iouType="segm")
    evaluation.params.maxDets = [_NO_LIMIT]
    evaluation.params.catIds = [1]
    evaluation.params.imgIds = list(range(len(images)))
    evaluation.evalImgs = [match for matches in zip(*images, strict=True) for match in matches]
    evaluation._paramsEval = evaluation.params
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    precision: np.ndarray[Any, np.dtype[np.float64]] = evaluation.eval["precision"][:, :, 0, :, 0]
    return precision


def _mean_precision(classes: Any, area: int, threshold: int | None = None) -> float:
    """100 times the mean over thresholds (or at one), recalls and the classes that have a true object."""
    chosen = slice(None) if threshold is None else threshold
    values = [precision[chosen, :, area] for precision in classes]
    present = [value.mean() for value in values if (value > -1).all()]
    return 100.0 * float(np.mean(present)) if present else float("nan")
