import contextlib
import io
import math

import numpy as np
import pytest
from pycocotools import mask as rle_codec
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bana.errors import DataError
from bana.evaluate.instances import MaskAP, ScoredMask, TrueMask

SIZE = (120, 160)


def rle(x0, y0, x1, y1, size=SIZE):
    mask = np.zeros(size, dtype=np.uint8, order="F")
    mask[y0:y1, x0:x1] = 1
    encoded = rle_codec.encode(mask)
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def scores_of(*images):
    ap = MaskAP()
    for predicted, truth in images:
        ap.update(predicted, truth)
    return ap.scores()


SMALL, LARGE = rle(0, 0, 10, 10), rle(20, 0, 140, 110)


def test_every_object_found_exactly():
    found = [ScoredMask(1, SMALL, 0.9), ScoredMask(2, LARGE, 0.4)]
    scores = scores_of((found, [TrueMask(1, SMALL), TrueMask(2, LARGE)]))
    assert (scores.ap, scores.ap50, scores.ap75, scores.ap_small, scores.ap_large) == pytest.approx((100.0,) * 5)
    assert math.isnan(scores.ap_medium)
    assert scores.per_class == pytest.approx({1: 100.0, 2: 100.0})


def test_iou_decides_at_which_thresholds_a_mask_counts():
    # 62 of 100 columns: IoU 0.62 passes 0.50, 0.55 and 0.60 of the ten thresholds
    scores = scores_of(([ScoredMask(1, rle(0, 0, 62, 40), 1.0)], [TrueMask(1, rle(0, 0, 100, 40))]))
    assert (scores.ap, scores.ap50, scores.ap75) == pytest.approx((30.0, 100.0, 0.0))


def test_recall_of_one_half():
    # precision 1 at the recalls 0.00, 0.01, ..., 0.50: 51 of 101
    scores = scores_of(([ScoredMask(1, SMALL, 0.5)], [TrueMask(1, SMALL), TrueMask(1, LARGE)]))
    assert scores.ap == pytest.approx(100 * 51 / 101)
    assert (scores.ap_small, scores.ap_large) == pytest.approx((100.0, 0.0))


@pytest.mark.parametrize(("score_of_wrong", "ap"), [(0.9, 50.0), (0.1, 100.0)])
def test_a_surer_wrong_mask_halves_the_precision(score_of_wrong, ap):
    predicted = [ScoredMask(1, LARGE, score_of_wrong), ScoredMask(1, SMALL, 0.5)]
    assert scores_of((predicted, [TrueMask(1, SMALL)])).ap == pytest.approx(ap)


def test_scores_rank_over_all_images():
    wrong, right = ([ScoredMask(1, LARGE, 0.9)], []), ([ScoredMask(1, SMALL, 0.5)], [TrueMask(1, SMALL)])
    assert scores_of(wrong, right).ap == pytest.approx(50.0)
    assert scores_of(right, wrong).ap == pytest.approx(50.0)


def test_a_mask_on_a_crowd_is_neither_right_nor_wrong():
    predicted = [ScoredMask(1, rle(30, 5, 60, 50), 0.9), ScoredMask(1, SMALL, 0.5)]
    assert scores_of((predicted, [TrueMask(1, SMALL), TrueMask(1, LARGE, crowd=True)])).ap == pytest.approx(100.0)
    assert scores_of((predicted, [TrueMask(1, SMALL)])).ap == pytest.approx(50.0)


def test_the_class_must_be_right_and_classes_weigh_alike():
    predicted = [ScoredMask(1, SMALL, 0.9), ScoredMask(3, LARGE, 0.9)]
    scores = scores_of((predicted, [TrueMask(1, SMALL), TrueMask(2, LARGE)]))
    assert scores.per_class == pytest.approx({1: 100.0, 2: 0.0})  # class 3 has no true object: it is in no mean
    assert scores.ap == pytest.approx(50.0)


def test_an_empty_mask_is_no_detection():
    empty = rle(0, 0, 0, 0)
    assert scores_of(
        ([ScoredMask(1, empty, 0.9), ScoredMask(1, SMALL, 0.5)], [TrueMask(1, SMALL)])
    ).ap == pytest.approx(100.0)
    assert scores_of(([ScoredMask(1, empty, 0.9)], [TrueMask(1, SMALL)])).ap == pytest.approx(0.0)


def test_more_than_a_hundred_objects_of_a_class_in_one_image():
    truth = [rle(8 * (i % 20), 8 * (i // 20), 8 * (i % 20) + 6, 8 * (i // 20) + 6) for i in range(130)]
    assert scores_of(([ScoredMask(1, m, 0.5) for m in truth], [TrueMask(1, m) for m in truth])).ap == pytest.approx(
        100.0
    )


@pytest.mark.parametrize("images", [[], [([], [])], [([ScoredMask(1, SMALL, 1.0)], [])]])
def test_nothing_to_find_is_nan_not_zero(images):
    scores = scores_of(*images)
    assert math.isnan(scores.ap)
    assert scores.per_class == {}


def test_masks_of_two_sizes():
    with pytest.raises(DataError, match=r"\(120, 160\)"):
        MaskAP().update([ScoredMask(1, rle(0, 0, 2, 2, (5, 5)), 1.0)], [TrueMask(1, SMALL)])


def test_prints_nothing(capsys):
    scores_of(([ScoredMask(1, SMALL, 1.0)], [TrueMask(1, SMALL)]))
    assert capsys.readouterr() == ("", "")


def random_images(rng, count):
    for _ in range(count):
        truth, predicted = [], []
        for _ in range(rng.integers(0, 6)):
            (x0, y0), (width, height) = rng.integers(0, 60, 2), rng.integers(16, 60, 2)
            x1, y1 = x0 + width, y0 + height
            class_id = int(rng.integers(1, 4))
            truth.append(TrueMask(class_id, rle(x0, y0, x1, y1), crowd=bool(rng.random() < 0.2)))
            shift = int(rng.integers(0, 16))
            predicted.append(ScoredMask(class_id, rle(x0 + shift, y0, x1, y1), float(rng.random())))
        yield predicted, truth


def coco_of(images, which):
    coco = COCO()
    objects = [(number, each) for number, image in enumerate(images, start=1) for each in image[which]]
    coco.dataset = {
        "images": [{"id": number, "height": SIZE[0], "width": SIZE[1]} for number in range(1, len(images) + 1)],
        "categories": [{"id": class_id} for class_id in (1, 2, 3)],
        "annotations": [
            {
                "id": index,
                "image_id": number,
                "category_id": each.class_id,
                "segmentation": each.mask,
                "area": int(rle_codec.area(each.mask)),
                "iscrowd": int(getattr(each, "crowd", False)),
                "score": getattr(each, "score", 1.0),
            }
            for index, (number, each) in enumerate(objects, start=1)
        ],
    }
    coco.createIndex()
    return coco


def test_streaming_gives_what_cocoeval_gives_for_the_whole_set():
    images = list(random_images(np.random.default_rng(3), 25))
    scores = scores_of(*images)
    with contextlib.redirect_stdout(io.StringIO()):
        whole = COCOeval(coco_of(images, 1), coco_of(images, 0), "segm")
        whole.evaluate()
        whole.accumulate()
        whole.summarize()
    ours = (scores.ap, scores.ap50, scores.ap75, scores.ap_small, scores.ap_medium)
    assert ours == pytest.approx(tuple(100 * whole.stats[:5]))
    assert 0 < scores.ap < scores.ap50 < 100
