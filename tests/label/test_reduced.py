"""Large images: how far they are reduced, and back to their own pixels."""

import numpy as np
import pytest

from bana import Labeler
from bana.data.images import open_record_image
from bana.data.masks import mask_iou
from bana.data.records import pixel_slices
from bana.data.sample import sample_dataset
from bana.label import labeler as labeler_module
from bana.label.boxes import BoxedImage
from bana.label.reduced import MOST_PIXELS, MOST_VALUES, ReducedMap, block_side, enlarged, enlarged_parts


def boxed_image(size, *boxes, crowd=None, ignored=None):
    ids = [1 + number % 2 for number in range(len(boxes))]
    return BoxedImage(np.zeros((*size, 3), np.uint8), boxes, ids, crowd, ignored, 2)


@pytest.mark.parametrize("size", [(375, 500), (1024, 1024), (1025, 1024), (3000, 4000), (8200, 10900), (1, 40_000_000)])
@pytest.mark.parametrize("labels", [1, 21, 301])
def test_a_reduced_image_is_small_enough_and_no_smaller_than_it_must_be(size, labels):
    def is_small(block):
        pixels = size[0] * size[1] / block**2
        return pixels <= MOST_PIXELS and pixels * labels <= MOST_VALUES

    block = block_side(size, labels)
    assert is_small(block)
    assert block == 1 or not is_small(block - 1)


def test_photographs_of_usual_size_stay_as_they_are():
    assert block_side((480, 640), 21) == block_side((1024, 1024), 3) == 1
    assert block_side((3000, 4000), 2) == 4


def test_a_map_of_blocks_is_read_between_their_centers():
    rows, columns = np.mgrid[:6, :8].astype(np.float32)
    reduced = ReducedMap(0.1 * columns + 0.02 * rows, 4)
    found = reduced.at((slice(2, 20), slice(3, 30)))
    down, across = (np.mgrid[2:20, 3:30] + 0.5) / 4 - 0.5
    np.testing.assert_allclose(found, 0.1 * across + 0.02 * down, atol=1e-6)
    assert found.dtype == np.float32
    corner = reduced.at((slice(22, 24), slice(30, 32)))
    np.testing.assert_allclose(corner, 0.8, atol=1e-6)  # beyond the last center
    whole = ReducedMap(columns, 1).at((slice(1, 3), slice(2, 5)))
    np.testing.assert_array_equal(whole, columns[1:3, 2:5])


def test_pixels_have_the_values_of_their_blocks():
    values = np.arange(6, dtype=np.uint16).reshape(2, 3)
    found = enlarged(values, 4, (7, 10))
    assert found.shape == (7, 10)
    assert found.dtype == np.uint16
    for row, column in np.ndindex(7, 10):
        assert found[row, column] == values[row // 4, column // 4]
    assert enlarged(values, 1, (2, 3)) is values


def test_boxes_are_reduced_with_their_image():
    ignored = np.zeros((40, 60), bool)
    ignored[8:16, 40:60] = True
    crowd = [False, True, False, False, False]
    boxes = [(8, 4, 28, 20), (0, 0, 9, 9), (59.9, 39.8, 70, 50), (70, 0, 80, 9), (20.1, 8.1, 20.2, 8.2)]
    boxed = boxed_image((40, 60), *boxes, crowd=crowd, ignored=ignored)
    reduced = boxed.reduced(4)
    assert reduced.size == (10, 15)
    np.testing.assert_array_equal(reduced.usable, boxed.usable)
    np.testing.assert_array_equal(reduced.class_ids, boxed.class_ids)
    assert reduced.places[0] == (slice(1, 5), slice(2, 7))
    assert reduced.places[2] == (slice(9, 10), slice(14, 15))  # a tenth of a pixel at the corner
    assert all(len(range(*part.indices(99))) >= 1 for part in reduced.places[4])
    np.testing.assert_array_equal(reduced.ignored[2:4, 10:], True)
    assert reduced.ignored.sum() == 2 * 5
    assert boxed.reduced(1) is boxed


def test_masks_of_reduced_boxes_lie_in_the_boxes():
    boxed = boxed_image((40, 60), (9, 5, 27, 21), (0, 0, 9, 9), (59.5, 39, 60, 40), crowd=[False, True, False])
    reduced = boxed.reduced(4)
    parts = reduced.empty_parts()
    parts[0][1:, 1:] = parts[2][:] = True
    first, crowd, tiny = enlarged_parts(parts, reduced, boxed, 4)
    assert first.shape == (16, 18)
    assert crowd.shape == (0, 0)
    assert tiny.tolist() == [[True]]
    rows, columns = reduced.places[0]
    np.testing.assert_array_equal(first[:, 0], False)
    for row, column in np.ndindex(first.shape):
        block = ((row + 5) // 4 - rows.start, (column + 9) // 4 - columns.start)
        kept = tuple(np.clip(block, 0, np.array(parts[0].shape) - 1))
        assert first[row, column] == parts[0][kept]


@pytest.mark.parametrize("refine", [True, False])
def test_an_enlarged_photograph_gets_the_same_masks(refine):
    """Blocks of its own pixels bring it back to the photograph; only outlines differ."""
    record = next(record for record in sample_dataset() if len(record) == 2)
    image = open_record_image(record)[:200, :300]
    box = np.clip(record.boxes[:1], 0, [300, 200, 300, 200])
    labeler = Labeler.pretrained(threads=1)
    labeler = labeler.with_settings(labeler.settings.with_options(refine=refine))
    ids = [record.class_ids[0] % 20 + 1]
    small = labeler(image, box, ids)
    large = labeler(image.repeat(6, 0).repeat(6, 1), box * 6, ids)
    assert large.y_crf.shape == large.y_ret.shape == large.confidence.shape == (1200, 1800)
    assert large.instances[0].part.shape == tuple(part.stop - part.start for part in pixel_slices(box[0] * 6))
    assert small.instances[0].part.any()
    assert mask_iou(large.instances[0].mask[3::6, 3::6], small.instances[0].mask) > 0.8
    assert (large.y_crf[3::6, 3::6] == small.y_crf).mean() > 0.9
    assert large.instances[0].confidence == pytest.approx(small.instances[0].confidence, abs=0.05)


def test_what_the_labeler_sees_is_bounded(monkeypatch):
    seen = []
    network_input = labeler_module.network_input
    monkeypatch.setattr(
        labeler_module, "network_input", lambda image, *rest: seen.append(image.shape) or network_input(image, *rest)
    )
    image = np.zeros((1500, 2100, 3), np.uint8)
    Labeler.pretrained(threads=1)(image, [(10, 10, 90, 90)], ["dog"])
    assert seen == [(750, 1050, 3)]
