from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools import mask as coco_mask

from bana.data.label_maps import read_label_map, voc_palette, write_label_map
from bana.data.masks import (
    are_valid,
    checked_segmentation,
    compressed_rle,
    decode_mask,
    decode_part,
    encode_mask,
    encode_part,
    mask_area,
    mask_iou,
    polygons_of,
    single_polygon_of,
)
from bana.data.objects import AnnotatedObject, make_record
from bana.data.outlines import signed_area, trace
from bana.data.records import ClassTable
from bana.data.segmentations import pack
from bana.data.truth import instance_map, instance_truth, semantic_truth
from bana.errors import DataError
from data_samples import SIZE, blob

WIDTH, HEIGHT = SIZE
MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))
TABLE = ClassTable(("cat", "dog", "cow"))


def fill_holes(mask):
    """The slow way: what cannot be reached from outside, going over corners too, is filled."""
    outside = np.zeros(tuple(side + 2 for side in mask.shape), dtype=bool)
    outside[0, 0] = True
    background = ~np.pad(mask, 1)
    while True:
        grown = np.pad(outside, 1)
        h, w = outside.shape
        grown = np.any([grown[y : y + h, x : x + w] for y in range(3) for x in range(3)], axis=0) & background
        if (grown == outside).all():
            return ~outside[1:-1, 1:-1]
        outside = grown


@settings(deadline=None)
@given(MASKS, *(st.integers(0, 3) for _ in range(4)))
def test_the_rle_of_a_part_is_that_of_the_whole_mask(part, above, below, left, right):
    mask = np.pad(part, ((above, below), (left, right)))
    place = (slice(above, above + part.shape[0]), slice(left, left + part.shape[1]))
    assert encode_part(place, part, mask.shape) == encode_mask(mask)
    assert encode_part((slice(above, above), place[1]), part[:0], mask.shape) == encode_mask(mask & False)


@settings(deadline=None)
@given(MASKS)
def test_a_mask_is_decoded_where_it_has_pixels(mask):
    rle = encode_mask(mask)
    place, part = decode_part(rle, *mask.shape)
    again = np.zeros_like(mask)
    again[place] = part
    np.testing.assert_array_equal(again, mask)
    assert mask_area(rle, *mask.shape) == mask.sum()
    if mask.any():
        assert all(edge.any() for edge in (part[0], part[-1], part[:, 0], part[:, -1]))
    else:
        assert part.shape == (0, 0)


def test_a_polygon_is_decoded_where_it_has_pixels():
    polygons = [[3.0, 2.0, 9.0, 2.0, 9.0, 7.0, 3.0, 7.0], [12.0, 4.0, 15.0, 4.0, 15.0, 6.0]]
    place, part = decode_part(polygons, 20, 30)
    np.testing.assert_array_equal(part, decode_mask(polygons, 20, 30)[place])
    assert mask_area(polygons, 20, 30) == part.sum() == decode_mask(polygons, 20, 30).sum()
    assert mask_area([], 20, 30) == decode_part([], 20, 30)[1].size == 0


@settings(deadline=None)
@given(MASKS)
def test_rle_holds_every_mask(mask):
    rle = encode_mask(mask)
    assert isinstance(rle["counts"], str)
    assert rle["size"] == list(mask.shape)
    np.testing.assert_array_equal(decode_mask(rle, *mask.shape), mask)
    assert checked_segmentation(rle, mask.shape[1], mask.shape[0], "x") == rle


@settings(deadline=None)
@given(MASKS)
def test_uncompressed_rle_becomes_the_same_compressed_rle(mask):
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(int))).tolist()
    counts = np.diff([0, *changes, flat.size]).tolist()
    found = checked_segmentation({"size": list(mask.shape), "counts": counts}, mask.shape[1], mask.shape[0], "x")
    np.testing.assert_array_equal(decode_mask(found, *mask.shape), mask)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_as_rle_is_a_whole_mask_or_refused(text):
    try:
        found = checked_segmentation({"size": [5, 4], "counts": text}, 4, 5, "x")
    except DataError:
        return
    assert decode_mask(found, 5, 4).shape == (5, 4)
    assert coco_mask.area(found) == decode_mask(found, 5, 4).sum()


@settings(deadline=None, max_examples=300)
@given(MASKS)
def test_polygons_lose_holes_alone_and_a_single_one_loses_nothing(mask):
    filled = fill_holes(mask)
    np.testing.assert_array_equal(decode_mask(polygons_of(mask), *mask.shape), filled)
    if mask.any():
        np.testing.assert_array_equal(decode_mask([single_polygon_of(mask)], *mask.shape), mask)


@settings(deadline=None)
@given(MASKS)
def test_outlines_enclose_the_area_of_the_mask_along_pixel_edges(mask):
    outlines = trace(mask)
    assert sum(signed_area(ring) for ring in (*outlines.parts, *outlines.holes)) == mask.sum()
    for ring in (*outlines.parts, *outlines.holes):
        steps = np.roll(ring, -1, axis=0) - ring
        assert ((steps == 0).sum(axis=1) == 1).all()


def test_outline_of_a_rectangle_is_its_four_corners_clockwise():
    mask = np.zeros((5, 6), dtype=bool)
    mask[1:3, 2:6] = True
    assert polygons_of(mask) == [[2, 1, 6, 1, 6, 3, 2, 3]]


def test_outlines_tell_parts_from_holes():
    ring = np.ones((5, 5), dtype=bool)
    ring[2, 2] = False
    assert (len(trace(ring).parts), len(trace(ring).holes)) == (1, 1)
    assert (len(trace(np.eye(3, dtype=bool)).parts), len(trace(np.zeros((2, 2), dtype=bool)).parts)) == (3, 0)


def test_mask_iou():
    first, second = np.array([[1, 1, 0]], dtype=bool), np.array([[0, 1, 1]], dtype=bool)
    assert mask_iou(first, second) == pytest.approx(1 / 3)
    assert mask_iou(~(first | ~first), first & ~first) == 1.0


def test_no_segmentation_is_none():
    assert checked_segmentation([], 4, 5, "x") is None
    assert checked_segmentation(None, 4, 5, "x") is None


def test_a_polygon_that_sticks_out_by_rounding_is_clipped():
    assert checked_segmentation([[-0.5, 0, 4.25, 0, 4, 5.9]], 4, 5, "x") == [[0, 0, 4, 0, 4, 5]]


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ("abc", "segmentation is a str"),
        ([[1, 2, 3, 4]], "polygon has 4 numbers"),
        ([[1, 2, 3, 4, 5, 6, 7]], "polygon has 7 numbers"),
        ([[0, 0, 4, 0, 4, "5"]], "must be a list of numbers"),
        ([[0, 0, 4, 0, 4, float("nan")]], "outside|must be a list of numbers"),
        ([[0, 0, 1e9, 0, 4, 5]], "outside the 4x5 image"),
        ([[0, 0, -2, 0, 4, 5]], "outside the 4x5 image"),
        ([[0, 0, True, 0, 4, 5]], "must be a list of numbers"),
        ({"size": [4, 5], "counts": [20]}, "RLE mask has size"),
        ({"size": [5, 4]}, "no counts"),
        ({"size": [5, 4], "counts": [10, 5]}, "do not add up"),
        ({"size": [5, 4], "counts": [10, -5, 15]}, "whole numbers"),
        ({"size": [5, 4], "counts": [19.5, 0.5]}, "whole numbers"),
        ({"size": [5, 4], "counts": []}, "do not add up"),
        ({"size": [5, 4], "counts": ""}, "do not add up"),
        ({"size": [5, 4], "counts": "zz"}, "do not add up"),
    ],
)
def test_bad_segmentations_are_refused_with_their_place(segmentation, message):
    with pytest.raises(DataError, match=f"^file: annotation 3: .*({message})"):
        checked_segmentation(segmentation, 4, 5, "file: annotation 3")


def test_voc_palette_has_the_known_colors():
    palette = voc_palette()
    # The development kit's colors of background, aeroplane, person, tvmonitor and void.
    known = {0: (0, 0, 0), 1: (128, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}
    assert {label: tuple(palette[label].tolist()) for label in known} == known


@pytest.mark.parametrize(("dtype", "mode"), [(np.uint8, "P"), (np.uint16, "I;16")])
def test_label_maps_come_back(tmp_path, dtype, mode):
    labels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (4, 5)).astype(dtype)
    write_label_map(tmp_path / "a.png", labels)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == mode
    back = read_label_map(tmp_path / "a.png", 5, 4)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, labels)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.new("P", (4, 5)), "map is 4x5, but the image is 5x4"),
        (Image.new("RGB", (5, 4)), "has colors"),
        (None, "not found"),
    ],
)
def test_what_is_no_label_map_is_a_data_error(tmp_path, image, message):
    if image is not None:
        image.save(tmp_path / "a.png")
    with pytest.raises(DataError, match=rf"a\.png: .*{message}"):
        read_label_map(tmp_path / "a.png", 5, 4)


def record_of(*objects, **options):
    return make_record("a", Path("a.jpg"), SIZE, objects, **options)


def box_of(mask):
    rows, columns = np.nonzero(mask)
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def object_of(mask, class_id, **options):
    return AnnotatedObject(box_of(mask), class_id, segmentation=encode_mask(mask), **options)


def rectangle(x0, y0, x1, y1):
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_in_a_semantic_map_the_smaller_box_is_in_front():
    large, small = rectangle(0, 0, 30, 30), rectangle(10, 10, 20, 20)
    for objects in ([object_of(small, 2), object_of(large, 1)], [object_of(large, 1), object_of(small, 2)]):
        labels = semantic_truth(record_of(*objects), TABLE)
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, np.where(small, 2, large * 1))


def test_crowd_is_ignored_behind_objects_and_so_is_a_box_without_mask():
    crowd, thing = rectangle(0, 0, 20, 20), rectangle(10, 10, 40, 40)
    record = record_of(object_of(crowd, 1, crowd=True), object_of(thing, 2), AnnotatedObject((50, 0, 60, 10), 3))
    labels = semantic_truth(record, TABLE)
    expected = np.where(crowd | rectangle(50, 0, 60, 10), 255, 0)
    expected[thing] = 2
    np.testing.assert_array_equal(labels, expected)
    numbers = instance_map(record)
    np.testing.assert_array_equal(numbers == 2, thing)


def test_more_than_254_classes_need_16_bits():
    table = ClassTable(tuple(f"c{number}" for number in range(300)))
    mask = rectangle(0, 0, 5, 5)
    labels = semantic_truth(record_of(object_of(mask, 300), object_of(rectangle(9, 9, 12, 12), 1, crowd=True)), table)
    assert labels.dtype == np.uint16
    assert (labels[0, 0], labels[10, 10], labels[30, 30]) == (300, 65535, 0)


def test_truth_is_unknown_without_masks_and_background_without_objects():
    assert semantic_truth(record_of(AnnotatedObject((0, 0, 5, 5), 1)), TABLE) is None
    assert instance_truth(record_of(AnnotatedObject((0, 0, 5, 5), 1))) is None
    assert not semantic_truth(record_of(), TABLE).any()


def test_a_label_map_of_its_own_is_the_truth(tmp_path):
    labels = np.where(rectangle(0, 0, 9, 9), 3, 0).astype(np.uint8)
    labels[0, 0] = 255
    write_label_map(tmp_path / "a.png", labels)
    record = record_of(AnnotatedObject((0, 0, 9, 9), 3), semantic_path=tmp_path / "a.png")
    np.testing.assert_array_equal(semantic_truth(record, TABLE), labels)
    with pytest.raises(DataError, match=r"a\.png: has label 3, but there are 2 classes"):
        semantic_truth(record, ClassTable(("cat", "dog")))


def test_instance_truth_from_a_map_of_numbers_leaves_void_out(tmp_path):
    numbers = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    numbers[:5, :5], numbers[10:20, 10:20], numbers[5, :5] = 1, 2, 255
    write_label_map(tmp_path / "a.png", numbers)
    record = record_of(
        AnnotatedObject((0, 0, 5, 6), 1), AnnotatedObject((10, 10, 20, 20), 2), instance_path=tmp_path / "a.png"
    )
    first, second = instance_truth(record)
    np.testing.assert_array_equal(first, rectangle(0, 0, 5, 5))
    np.testing.assert_array_equal(second, rectangle(10, 10, 20, 20))


def test_instance_map_keeps_masks_that_do_not_overlap():
    masks = [blob(1)[:, :30], ~blob(1)[:, :30]]
    masks = [np.pad(mask, ((0, 0), (0, 30))) for mask in masks]
    numbers = instance_map(record_of(object_of(masks[0], 1), object_of(masks[1], 1)))
    for number, mask in enumerate(masks, start=1):
        np.testing.assert_array_equal(numbers == number, mask)


def test_a_polygon_that_zigzags_over_a_large_image_is_refused_before_it_is_drawn():
    zigzag = [float(value) for point in range(400) for value in (89_000 * (point % 2), 1)]
    with pytest.raises(DataError, match=r"^x: a polygon is more than 10000000 pixels around"):
        checked_segmentation([zigzag], 89_000, 1000, "x")
    assert not are_valid([pack([zigzag])], 89_000, 1000)
    assert are_valid([pack([zigzag])], 89_000 * 2, 1000) is False
    assert checked_segmentation([zigzag[:200]], 89_000, 1000, "x") == [zigzag[:200]]


@pytest.mark.parametrize("size", [[-2, -2], [0, 5], [2**31, 2**31], [2_000_000_000, 2_000_000_000]])
def test_run_lengths_of_an_impossible_size_are_left_for_the_check(size):
    rle = {"size": size, "counts": [size[0] * size[1]]}
    assert compressed_rle(rle) is rle
    with pytest.raises(DataError, match=r"^x: RLE mask has size"):
        checked_segmentation(rle, 4, 4, "x")
