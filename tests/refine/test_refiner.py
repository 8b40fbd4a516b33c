"""A trained refiner at work: probabilities of each box."""

import numpy as np
import pytest

from bana.classify.model import LABELER
from bana.data.images import open_record_image
from bana.data.masks import mask_iou
from bana.data.reading import read_dataset
from bana.data.records import pixel_slices
from bana.errors import CheckpointError, SettingsError
from bana.refine import refiner as refiner_module
from bana.refine.model import REFINER
from bana.refine.refiner import Refiner
from shapes_data import IMAGES, draw, inside_of


@pytest.fixture(scope="module")
def refiner(tiny_refine_run):
    return Refiner.load(tiny_refine_run)


def photo(name):
    size, shapes = IMAGES[name]
    return draw(size, shapes, seed=3), np.array([box for _, box in shapes], np.float32)


MANY = np.array([(x, y, x + 25 + y, y + 30) for y in (0, 7.5, 12, 20) for x in (3, 10, 21.3, 30, 36)], np.float32)
"""Twenty boxes inside image "a"."""


def test_each_box_has_a_probability_at_each_of_its_pixels(refiner):
    image, _ = photo("a")
    boxes = [(10, 12, 50, 52), (0.2, 3.7, 33.3, 70.9), (60, 20, 61, 21), (0, 0, 96, 72), (40.1, 8.2, 40.3, 60)]
    found = refiner(image, boxes)
    assert len(found) == len(boxes)
    for box, each in zip(boxes, found, strict=True):
        assert each.place == pixel_slices(box)
        assert each.probability.shape == tuple(part.stop - part.start for part in each.place)
        assert each.probability.dtype == np.float32
        assert (each.probability >= 0).all()
        assert (each.probability <= 1).all()


def test_the_windows_of_very_many_boxes_are_not_mirrored(refiner, monkeypatch):
    image, seen = photo("a")[0], []
    both = refiner(image, MANY)
    original = refiner._network.forward
    monkeypatch.setattr(refiner._network, "forward", lambda images: seen.append(len(images)) or original(images))
    monkeypatch.setattr(refiner_module, "MIRRORED", len(MANY) - 1)
    one = refiner(image, MANY)
    assert seen == [len(MANY)]
    for first, second in zip(one, both, strict=True):
        assert 0 < np.abs(first.probability - second.probability).mean() < 0.1


def test_windows_are_cut_for_boxes_a_little_larger(refiner):
    (found,) = refiner(photo("a")[0], [(10, 20, 50, 40)])
    np.testing.assert_allclose(found.window, (30 - 30.9, 30 - 15.45, 30 + 30.9, 30 + 15.45))
    assert found.place == pixel_slices((10, 20, 50, 40))


def test_an_image_without_boxes_has_no_probabilities(refiner):
    assert refiner(photo("a")[0], np.zeros((0, 4), np.float32)) == []


def test_the_number_of_windows_at_once_changes_nothing(refiner, monkeypatch):
    image, _ = photo("a")
    assert 2 * len(MANY) > refiner_module.BATCH
    seen, whole = [], refiner(image, MANY)
    original = refiner._network.forward
    monkeypatch.setattr(refiner._network, "forward", lambda images: seen.append(len(images)) or original(images))
    monkeypatch.setattr(refiner_module, "BATCH", 6)
    parts = refiner(image, MANY)
    assert seen == [6] * 6 + [4]  # each window is seen mirrored too
    for first, second in zip(whole, parts, strict=True):
        assert first.place == second.place
        np.testing.assert_allclose(first.probability, second.probability, atol=1e-5)


def test_boxes_do_not_depend_on_each_other_or_on_their_order(refiner):
    image, boxes = photo("b")
    together = refiner(image, boxes[::-1])
    for box, each in zip(boxes, together[::-1], strict=True):
        (alone,) = refiner(image, [box])
        np.testing.assert_allclose(alone.probability, each.probability, atol=1e-5)


@pytest.mark.parametrize("name", ["b", "d", "e"])
def test_a_mirrored_image_has_mirrored_probabilities(refiner, name):
    image, boxes = photo(name)
    width = image.shape[1]
    mirrored = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
    plain, flipped = refiner(image, boxes), refiner(np.ascontiguousarray(image[:, ::-1]), mirrored)
    for first, second in zip(plain, flipped, strict=True):
        assert first.probability.std() > 0.1
        np.testing.assert_allclose(second.probability[:, ::-1], first.probability, atol=0.02)


def test_what_the_image_shows_beyond_the_window_does_not_matter(refiner):
    image, _ = photo("e")
    box = (5, 20, 35, 50)
    other = image.copy()
    other[:, 45:] = 0  # the window ends at column 43.2
    first, second = (refiner(each, [box])[0].probability for each in (image, other))
    np.testing.assert_array_equal(first, second)


def test_a_trained_refiner_finds_the_shapes(refiner, shapes_voc):
    """Ten epochs: disks are round and corners are left out, as no rectangle would do."""
    found: dict[str, list[float]] = {}
    for record in read_dataset(shapes_voc):
        size, shapes = IMAGES[record.image_id]
        answers = refiner(open_record_image(record), record.boxes)
        for (kind, box), answer in zip(shapes, answers, strict=True):
            truth = inside_of(kind, box, size)[answer.place]
            found.setdefault(kind, []).append(mask_iou(answer.probability > 0.5, truth))
            assert mask_iou(truth, np.ones_like(truth)) < 0.8 or kind == "square"
    assert min(found["disk"]) > 0.85
    assert np.mean([iou for ious in found.values() for iou in ious]) > 0.8
    assert np.mean(found["square"]) > 0.85
    assert np.mean(found["cross"]) > 0.66  # the rectangle has 0.64


def test_a_refiner_is_loaded_from_its_run_its_file_or_a_labeler_file(tiny_refine_run):
    files = (tiny_refine_run, tiny_refine_run / REFINER.file_name, tiny_refine_run / LABELER.file_name)
    image, boxes = photo("d")
    first, *others = ([each.probability for each in Refiner.load(file)(image, boxes)] for file in files)
    for other in others:
        for one, two in zip(first, other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_folder_without_a_refiner_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"refiner\.safetensors: no such file"):
        Refiner.load(tmp_path)


def test_a_device_that_is_not_there_is_refused(tiny_refine_run):
    with pytest.raises(SettingsError, match="device 'cuda:99' cannot be used"):
        Refiner.load(tiny_refine_run, "cuda:99")
