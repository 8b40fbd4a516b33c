"""The preset and the image side that `bana check` recommends."""

import json

import numpy as np
import pytest

from bana.classify.model import LABELER
from bana.data import advice
from bana.data.advice import SIDE, advice_for
from bana.data.formats import voc
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.nn.initialization import pretrained_path
from bana.pipeline.recipe import Recipe
from bana.presets import load_preset
from data_samples import write_coco


def dataset(images=30, image=500, box=100, classes=("nucleus",)):
    """Images of ``image`` x ``image`` / 2 pixels, each with a square box of every class."""
    count = len(classes)
    boxes = np.tile(np.array([0, 0, box, box], dtype=np.float32), (count, 1))
    nothing, ids = np.zeros(count, dtype=bool), np.arange(1, count + 1)
    records = tuple(
        ImageRecord(str(each), None, image, image // 2, boxes, ids, nothing, nothing, (None,) * count)
        for each in range(images)
    )
    return BoxDataset(records, ClassTable((*classes, "never boxed")), None, "coco")


def test_few_images_get_small_and_many_lite0():
    presets = [advice_for(dataset(images)).preset for images in (1, 699, 700, 1000)]
    assert presets == ["small", "small", "lite0", "lite0"]


@pytest.mark.parametrize(
    ("image", "box", "side"),
    [
        (500, 100, SIDE),
        (500, 10, SIDE),
        (2000, 100, SIDE),
        (2000, 45, 1400),
        (1000, 10, 1500),
        (9000, 20, 2000),
    ],
)
def test_small_boxes_want_larger_images_within_limits(image, box, side):
    found = advice_for(dataset(image=image, box=box))
    assert found.box_side == pytest.approx(SIDE * box / image, abs=0.05)
    assert found.image_side == side


def test_classes_that_have_boxes_are_compared_with_those_of_the_labeler():
    found = advice_for(dataset(classes=("airplane", "bolt", "dog")))
    assert (found.known_classes, found.unknown_classes) == (("airplane", "dog"), ("bolt",))


def test_without_boxes_there_is_none():
    assert advice_for(dataset(classes=())) is None


def test_what_it_repeats_of_presets_and_labeler_is_so():
    for name in ("lite0", "small"):
        assert load_preset(name, Recipe).label.image_side == SIDE
    assert LABELER.load_facts(pretrained_path()).classes == voc.CLASSES


def test_check_prints_it_and_has_it_in_json(run_cli, tmp_path, monkeypatch):
    data = write_coco(tmp_path)
    answer = run_cli("check", data)
    assert "Try bana label first: it knows 2 of 2 classes. To train: --preset small\n" in answer.out
    found = json.loads(run_cli("check", data, "--json").out)["advice"]
    assert (found["preset"], found["image_side"], found["unknown_classes"]) == ("small", SIDE, [])
    assert f"the median box has a side of {found['box_side']:.0f} pixels: keep it\n" in answer.out
    monkeypatch.setattr(advice, "MIN_BOX", 1e9)
    monkeypatch.setattr(advice, "_MAX_ENLARGED", 1e9)
    assert "pixels: --set image_side=2000\n" in run_cli("check", data).out
