"""Outlines of fewer points, against the definition of Ramer, Douglas and Peucker written out."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bana
from bana.data.convert import convert
from bana.data.formats import coco_write
from bana.data.masks import decode_mask, encode_mask, mask_iou, polygons_of, single_polygon_of
from bana.data.objects import AnnotatedObject, make_record
from bana.data.outlines import trace
from bana.data.records import ClassTable
from bana.data.simplify import Simplification, simplified_ring
from bana.errors import SettingsError
from data_samples import SIZE, write_photo
from reference.simplify import slow_simplified_ring


def disc(radius=15, hole=0, center=(20.0, 30.0)):
    ys, xs = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    distance = np.hypot(ys - center[0], xs - center[1])
    return (distance < radius) & (distance >= hole)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.8, 2.0, 5.0]))
@example(334794889, 0.8)  # two points at one distance
def test_rings_keep_the_points_that_the_definition_keeps(seed, tolerance):
    mask = np.random.default_rng(seed).random((9, 11)) < 0.6
    for ring in (*trace(mask).parts, *trace(mask).holes):
        found = simplified_ring(ring, tolerance)
        np.testing.assert_array_equal(found, slow_simplified_ring(ring.tolist(), tolerance))


@pytest.mark.parametrize("tolerance", [0.5, 1.0, 2.0])
def test_a_tolerance_saves_points_and_keeps_the_shape(tolerance):
    mask = disc(hole=8)
    exact, found = (single_polygon_of(mask, Simplification(each)) for each in (0, tolerance))
    assert len(found) < len(exact)
    assert mask_iou(decode_mask([found], *mask.shape), mask) > 1 - 0.08 * tolerance
    assert not decode_mask([found], *mask.shape)[20, 30]  # the hole stays


def test_parts_and_holes_below_the_tolerance_are_left_out():
    mask = disc(center=(25.0, 40.0), radius=12)
    mask[25, 40] = False
    mask[1, 1] = True
    exact, found = (decode_mask([single_polygon_of(mask, Simplification(each))], *mask.shape) for each in (0, 1.5))
    np.testing.assert_array_equal(exact, mask)
    assert found[25, 40]
    assert not found[1, 1]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 40))
def test_no_object_has_more_points_than_the_limit(seed, limit):
    mask = np.random.default_rng(seed).random((12, 14)) < 0.5
    mask[3:9, 3:9] = True
    assert len(single_polygon_of(mask, Simplification(max_points=limit))) / 2 <= limit
    polygons = polygons_of(mask, Simplification(max_points=limit))
    assert sum(map(len, polygons)) / 2 <= limit
    assert decode_mask(polygons, *mask.shape).any()


@pytest.mark.parametrize("arguments", [{"tolerance": -1}, {"tolerance": math.nan}, {"max_points": 3}])
def test_a_simplification_that_makes_no_sense_is_refused(arguments):
    with pytest.raises(SettingsError, match=next(iter(arguments))):
        Simplification(**arguments)


@pytest.mark.parametrize(("to", "more"), [("yolo", {}), ("coco", {"polygons": True})])
def test_a_conversion_tells_the_loss_of_each_object(tmp_path, to, more):
    masks = [disc(), np.pad(np.ones((6, 8), bool), ((2, 32), (2, 50)))]
    boxes = [(15, 5, 45, 35), (2, 2, 10, 8)]
    objects = [AnnotatedObject(box, 1, segmentation=encode_mask(mask)) for box, mask in zip(boxes, masks, strict=True)]
    record = make_record("a", write_photo(tmp_path / "a.jpg"), SIZE, objects)
    coco_write.write([record], ClassTable(("cat",)), tmp_path / "source", "train")
    simplify = Simplification(1.0)
    report = convert(tmp_path / "source", tmp_path / to, to, simplify=simplify, **more).reports["train"].as_dict()
    (loss,) = report["polygons"]["inexact"]
    assert (loss["image_id"], loss["object"]) == ("a", 1)
    assert 0.85 < loss["iou"] < 1
    assert report["polygons"]["min_iou"] == loss["iou"]
    (found,) = bana.read_dataset(tmp_path / to)
    iou = mask_iou(decode_mask(found.segmentations[0], *masks[0].shape), masks[0])
    assert iou == pytest.approx(loss["iou"], abs=0.01)


@pytest.mark.parametrize(("to", "more"), [("voc", {}), ("coco", {}), ("labelme", {})])
def test_formats_without_such_polygons_refuse_the_options(tmp_path, to, more):
    with pytest.raises(SettingsError, match=f"not for {to}; convert to yolo, or to coco with --polygons"):
        convert(tmp_path, tmp_path / "out", to, simplify=Simplification(1.0), **more)
