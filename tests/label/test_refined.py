"""Two opinions become labels: probabilities of boxes, the owner of each pixel, masks and what is expected of them."""

import numpy as np
import pytest

from bana.data.masks import encode_mask
from bana.data.records import ClassTable, pixel_slices
from bana.io.strict_json import read_json_object
from bana.label import refined as refined_module
from bana.label.boxes import BoxedImage
from bana.label.instances import assemble
from bana.label.output import write_labels
from bana.label.reduced import ReducedMap
from bana.label.refined import (
    CLAIMED,
    assemble_refined,
    combined,
    combined_boxes,
    expected_iou,
    own_mask,
    owners,
)
from box_probabilities import GivenProbability
from reference import refine_loops

TABLE = ClassTable(("disk", "square", "cross"))
SIZE = (20, 30)
LEFT, RIGHT = (2, 2, 18, 16), (12, 4, 28, 18)


def probability(box, values):
    """A box's probabilities: a number, or an array of the box's pixels."""
    place = pixel_slices(box)
    shape = tuple(part.stop - part.start for part in place)
    return GivenProbability(place, np.broadcast_to(np.float32(values), shape).copy())


def boxed_image(*boxes, class_ids=None, crowd=None, ignored=None):
    ids = range(1, len(boxes) + 1) if class_ids is None else class_ids
    return BoxedImage(np.zeros((*SIZE, 3), np.uint8), boxes, list(ids), crowd, ignored, len(TABLE))


def assembled(boxed, boxes, refined=None, labeler=None, predicted=None):
    """The labels; by default the refiner and the labeler are of the same opinion as the combined probabilities."""
    usable = boxed.class_ids[boxed.usable]
    owner = owners(boxes, boxed.size).owner
    same = np.append(usable, 0)[owner].astype(np.uint8)
    return assemble_refined(
        boxed,
        TABLE,
        boxes,
        boxes if refined is None else refined,
        same if labeler is None else labeler,
        [None] * len(boxed.boxes) if predicted is None else predicted,
    )


PROBABILITIES = np.linspace(0, 1, 101, dtype=np.float32)


@pytest.mark.parametrize("labeler", [0.0, 0.5, 1.0])
def test_without_a_share_the_labeler_has_no_say(labeler):
    found = combined(PROBABILITIES, np.full_like(PROBABILITIES, labeler), 0.0)
    np.testing.assert_allclose(found, PROBABILITIES.clip(0.003, 0.997), atol=1e-5)
    assert found.dtype == np.float32


def test_with_all_the_share_the_refiner_has_no_say():
    found = combined(np.full_like(PROBABILITIES, 0.9), PROBABILITIES, 1.0)
    np.testing.assert_allclose(found, PROBABILITIES.clip(0.02, 0.98), atol=1e-5)


@pytest.mark.parametrize("share", [0.2, 0.35, 0.6])
def test_the_combined_probability_grows_with_both_opinions(share):
    refiner, labeler = np.meshgrid(PROBABILITIES, PROBABILITIES)
    found = combined(refiner, labeler, share)
    assert (np.diff(found, axis=0) >= 0).all()
    assert (np.diff(found, axis=1) >= 0).all()
    assert (np.diff(found[3:98, 3:98], axis=0) > 0).all()
    assert (np.diff(found[3:98, 3:98], axis=1) > 0).all()
    limited = np.stack([refiner.clip(0.003, 0.997), labeler.clip(0.02, 0.98)])
    assert (found >= limited.min(0) - 1e-6).all()
    assert (found <= limited.max(0) + 1e-6).all()
    assert 0 < found.min() < found.max() < 1


def test_two_opinions_of_one_mind_stay():
    np.testing.assert_allclose(combined(PROBABILITIES[5:96], PROBABILITIES[5:96], 0.35), PROBABILITIES[5:96], atol=1e-5)
    opposite = combined(np.float32([0.8]), np.float32([0.2]), 0.5)
    assert opposite.tolist() == pytest.approx([0.5])
    assert combined(np.float32([0.8]), np.float32([0.2]), 0.35) > 0.5


def test_boxes_are_combined_with_the_marginals_of_their_own_class():
    """The labeler's weight is its share where both have the same mask, here all of each box."""
    boxed = boxed_image(LEFT, (0, 0, 5, 5), RIGHT, class_ids=[3, 2, 1], crowd=[False, True, False])
    marginals = 0.5 + 0.5 * np.random.default_rng(0).random((3, *SIZE), dtype=np.float32)  # background, 1 and 3
    refined = [probability(LEFT, 0.7), probability(RIGHT, 0.6)]
    maps = {label: ReducedMap(each, 1) for label, each in zip([0, 1, 3], marginals, strict=True)}
    first, second = combined_boxes(boxed, refined, maps, 0.4)
    assert (first.place, second.place) == (refined[0].place, refined[1].place)
    for each, alone, row in ((first, refined[0], 2), (second, refined[1], 1)):
        found = each.at(each.place)
        np.testing.assert_allclose(found, combined(alone.probability, marginals[row][each.place], 0.4), rtol=1e-5)
        assert not np.allclose(found, alone.probability)


def test_the_labeler_has_less_weight_where_its_mask_is_another():
    boxed = boxed_image(LEFT, class_ids=[1])
    values = np.full((14, 16), 0.1)
    values[:, :8] = 0.9
    refined = [probability(LEFT, values)]
    marginals = np.full((2, *SIZE), 0.05, np.float32)
    rows, columns = refined[0].place
    for shift, iou in ((0, 1), (2, 6 / 10), (8, 0)):
        theirs = np.full((14, 16), 0.2)
        theirs[:, shift : shift + 8] = 0.8
        marginals[1, rows, columns] = theirs
        (box,) = combined_boxes(boxed, refined, {1: ReducedMap(marginals[1], 1)}, 0.5)
        found = box.at(box.place)
        expected = combined(refined[0].probability, marginals[1, rows, columns], 0.5 * iou)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(found, refined[0].probability, rtol=1e-4)  # it sees quite another object


def random_boxes(seed):
    """Boxes of all sizes, some of them in others, with probabilities that are the same in places."""
    random = np.random.default_rng(seed)
    corners = np.sort(random.integers(0, [[SIZE[1], SIZE[0]]], (2, 7, 2)), axis=0)
    boxes = np.concatenate([corners[0], corners[1] + 1], 1)
    steps = random.choice([3, 5, 20], len(boxes))
    found = []
    for box, count in zip(boxes, steps, strict=True):
        shape = (box[3] - box[1], box[2] - box[0])
        found.append(probability(box, random.integers(0, count + 1, shape) / count))
    found.append(probability(boxes[0], 0.55))
    return found


@pytest.mark.parametrize("seed", range(12))
def test_owners_are_those_of_the_loops(seed):
    boxes = random_boxes(seed)
    owner, sure, _ = owners(boxes, SIZE)
    expected = refine_loops.owners([(box.place, box.probability.tolist()) for box in boxes], SIZE)
    np.testing.assert_array_equal(owner, expected[0])
    assert owner.dtype == np.int8
    assert sure.dtype == np.float32
    assert ((sure >= 0.5) & (sure <= 1)).all()


@pytest.mark.parametrize("seed", range(4))
def test_how_sure_a_pixel_is_is_that_of_the_loops(seed):
    boxes = [
        GivenProbability(box.place, np.where(box.probability > CLAIMED, 0.6 + 0.05 * number, 0.2).astype(np.float32))
        for number, box in enumerate(random_boxes(seed)[:3])
    ]
    owner, sure, _ = owners(boxes, SIZE)
    expected = refine_loops.owners([(box.place, box.probability.tolist()) for box in boxes], SIZE)
    np.testing.assert_array_equal(owner, expected[0])
    np.testing.assert_allclose(sure, expected[1], atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_strips_of_a_large_box_give_what_the_whole_gives(seed, monkeypatch):
    boxes = random_boxes(seed)
    corners = [(box.place[1].start, box.place[0].start, box.place[1].stop, box.place[0].stop) for box in boxes]
    boxed = boxed_image(*corners, class_ids=[1 + number % 3 for number in range(len(boxes))])
    owned, labels = owners(boxes, SIZE), assembled(boxed, boxes)
    monkeypatch.setattr(refined_module, "_STRIP", 40)
    boxes = random_boxes(seed)
    for found, expected in zip(owners(boxes, SIZE), owned, strict=True):
        np.testing.assert_array_equal(found, expected)
    in_strips = assembled(boxed, boxes)
    np.testing.assert_array_equal(in_strips.y_crf, labels.y_crf)
    for one, other in zip(in_strips.instances, labels.instances, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert one.expected_iou == pytest.approx(other.expected_iou, rel=1e-5)
    asked = [place for box in boxes for place in box.asked]
    assert max((rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in asked) <= 40


def test_the_surest_box_owns_a_pixel_and_the_first_of_equals():
    boxes = [probability(LEFT, 0.7), probability(RIGHT, 0.9), probability(LEFT, 0.6)]
    owner, sure, _ = owners(boxes[:2], SIZE)
    shared = (slice(4, 16), slice(12, 18))
    assert (owner[shared] == 1).all()
    assert sure[shared] == pytest.approx(0.9)
    assert owner[3, 3] == 0
    assert sure[3, 3] == pytest.approx(0.7)
    equal, _, _ = owners([probability(LEFT, 0.7), probability(RIGHT, 0.7)], SIZE)
    assert (equal[shared] == 0).all()


def test_a_pixel_that_no_box_claims_has_no_owner():
    owner, sure, _ = owners([probability(LEFT, 0.5), probability(RIGHT, 0.3)], SIZE)
    assert (owner == -1).all()
    assert sure[3, 3] == pytest.approx(0.5)
    assert sure[17, 27] == pytest.approx(0.7)
    assert sure[0, 0] == 1


def test_a_smaller_box_that_would_keep_next_to_nothing_gets_what_it_claims():
    """A thing in front of another, which the larger box is surer of."""
    small = probability((6, 6, 12, 12), 0.6)
    small.probability[0] = 0.4
    owner, _, _ = owners([probability(LEFT, 0.95), small], SIZE)
    assert (owner[7:12, 6:12] == 1).all()
    assert (owner[6, 6:12] == 0).all()
    assert (owner == 1).sum() == 5 * 6
    enough = probability((6, 6, 12, 12), 0.6)
    enough.probability[:1] = 0.99  # a sixth of it
    owner, _, _ = owners([probability(LEFT, 0.95), enough], SIZE)
    assert (owner == 1).sum() == 6


def test_a_larger_box_is_not_brought_to_the_front_of_a_smaller_one():
    """Starved boxes are served from the largest to the smallest, so that the smallest has its pixels in the end."""
    outer, middle, inner = (probability(box, 0.6) for box in ((0, 0, 30, 20), (4, 4, 20, 16), (8, 6, 14, 12)))
    outer.probability[:] = 0.9
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        boxes = [(outer, middle, inner)[number] for number in order]
        owner, _, _ = owners(boxes, SIZE)
        assert (owner[6:12, 8:14] == order.index(2)).all()
        assert owner[4, 4] == order.index(1)
        assert owner[0, 0] == order.index(0)


def test_two_boxes_of_one_place_keep_a_mask_each():
    boxed = boxed_image(LEFT, LEFT, class_ids=[1, 1])
    values = np.full((14, 16), 0.2)
    values[3:9, 2:13] = 0.8
    labels = assembled(boxed, [probability(LEFT, values), probability(LEFT, values)])
    first, second = labels.instances
    assert first.mask.sum() == second.mask.sum() == 6 * 11
    assert [each.status for each in labels.instances] == ["ok", "ok"]


def test_a_box_keeps_all_that_it_claims_where_it_owns_next_to_nothing():
    box = probability((0, 0, 10, 10), 0.8)
    box.probability[:5] = 0.3
    owned = np.zeros((10, 10), bool)
    owned[5, :5] = True  # a tenth
    np.testing.assert_array_equal(own_mask(box, owned, 50), owned)
    owned[5, 4] = False
    np.testing.assert_array_equal(own_mask(box, owned, 50), box.probability > 0.5)


def expected_of(values, mask):
    height, width = np.shape(values)
    return expected_iou(GivenProbability((slice(3, 3 + height), slice(5, 5 + width)), np.float32(values)), mask)


def test_the_expected_iou_is_that_of_the_loops():
    random = np.random.default_rng(0)
    for _ in range(5):
        values, mask = random.random((6, 7), dtype=np.float32), random.random((6, 7)) < 0.5
        expected = refine_loops.expected_iou(values.tolist(), mask.tolist())
        assert expected_of(values, mask) == pytest.approx(expected, rel=1e-5)
        assert 0 < expected < 1


def test_a_sure_mask_is_expected_to_be_right():
    mask = np.zeros((4, 5), bool)
    mask[1:3, 1:4] = True
    assert expected_of(mask, mask) == 1
    assert expected_of(~mask, mask) == 0
    assert expected_of(np.where(mask, 0.8, 0.0), mask) == pytest.approx(0.8)
    assert expected_of(np.where(mask, 1.0, 0.5), mask) == pytest.approx(6 / (6 + 14 / 2))
    assert expected_of(np.zeros((4, 5)), np.zeros((4, 5), bool)) == 0


@pytest.fixture
def two():
    """A box of class 1 at the left and one of class 2 at the right, each with its own object."""
    boxed = boxed_image(LEFT, RIGHT)
    left, right = np.full((14, 16), 0.1), np.full((14, 16), 0.1)
    left[2:10, :12], right[4:12, 3:] = 0.9, 0.8
    return boxed, [probability(LEFT, left), probability(RIGHT, right)]


def test_labels_are_the_classes_of_the_owners(two):
    boxed, boxes = two
    labels = assembled(boxed, boxes)
    expected = np.zeros(SIZE, np.uint8)
    expected[8:16, 15:28] = 2
    expected[4:12, 2:14] = 1
    np.testing.assert_array_equal(labels.y_crf, expected)
    assert labels.y_crf.dtype == np.uint8
    assert [instance.class_id for instance in labels.instances] == [1, 2]
    np.testing.assert_array_equal(labels.instances[0].mask, expected == 1)
    np.testing.assert_array_equal(labels.instances[1].mask, expected == 2)
    assert labels.confidence[5, 5] == pytest.approx(0.9)
    assert labels.confidence[0, 0] == 1
    assert labels.instances[0].status == "ok"
    assert labels.instances[0].filling_rate == pytest.approx(8 * 12 / (14 * 16))


def test_a_pixel_of_two_classes_goes_to_the_surer_box():
    boxed = boxed_image(LEFT, RIGHT)
    labels = assembled(boxed, [probability(LEFT, 0.6), probability(RIGHT, 0.8)])
    assert (labels.y_crf[4:16, 12:18] == 2).all()
    first, second = (instance.mask for instance in labels.instances)
    assert not (first & second).any()


def test_labels_agree_where_all_three_are_of_one_opinion(two):
    boxed, boxes = two
    random = np.random.default_rng(0)
    labeler = random.integers(0, 3, SIZE).astype(np.uint8)
    refined = [
        GivenProbability(box.place, random.random(box.probability.shape, dtype=np.float32) * 0.98 + 0.01)
        for box in boxes
    ]
    labels = assembled(boxed, boxes, refined, labeler.copy())
    alone = np.append(boxed.class_ids, 0)[owners(refined, SIZE)[0]]
    y_crf = np.append(boxed.class_ids, 0)[owners(boxes, SIZE)[0]]
    np.testing.assert_array_equal(labels.y_crf, y_crf)
    np.testing.assert_array_equal(labels.agreement, (y_crf == alone) & (y_crf == labeler))
    assert 0 < labels.agreement.mean() < 1
    dissents = labels.y_ret != labels.y_crf
    assert ((labels.y_ret == alone) | (labels.y_ret == labeler))[dissents].all()
    region = boxed.region(0)
    assert labels.instances[0].agreement == pytest.approx(labels.agreement[region].mean())


def test_the_dissenting_opinion_is_kept(two):
    boxed, boxes = two
    agreed = assembled(boxed, boxes)
    assert agreed.agreement.all()
    by_labeler = agreed.y_crf.copy()
    by_labeler[4:6, 2:14] = 0
    assert (assembled(boxed, boxes, labeler=by_labeler).y_ret == by_labeler).all()
    refined = [GivenProbability(boxes[0].place, np.full_like(boxes[0].probability, 0.1)), boxes[1]]
    labels = assembled(boxed, boxes, refined=refined)
    assert (labels.y_ret[4:12, 2:12] == 0).all()
    np.testing.assert_array_equal(labels.agreement, labels.y_crf != 1)


def test_crowd_regions_and_boxes_outside_the_image_are_rejected(two):
    _, boxes = two
    crowd_box, beyond = (20, 0, 30, 3), (40, 5, 50, 9)
    ignored = np.zeros(SIZE, bool)
    ignored[pixel_slices(crowd_box)] = ignored[4:12, 2:6] = True
    boxed = boxed_image(
        crowd_box, LEFT, beyond, RIGHT, class_ids=[3, 1, 3, 2], crowd=[True, False, False, False], ignored=ignored
    )
    labels = assembled(boxed, boxes, predicted=[3, 1, None, 2])
    assert [each.status for each in labels.instances] == ["rejected", "ok", "rejected", "ok"]
    for number in (0, 2):
        rejected = labels.instances[number]
        assert not rejected.mask.any()
        assert rejected.expected_iou is rejected.tight_box is rejected.predicted_class is None
        assert rejected.confidence == rejected.agreement == rejected.filling_rate == 0
    assert [labels.instances[number].predicted_class for number in (1, 3)] == [1, 2]
    assert [labels.instances[number].class_id for number in range(4)] == [3, 1, 3, 2]
    assert (labels.y_crf[pixel_slices(crowd_box)] == labels.ignore_index).all()
    assert (labels.y_ret[pixel_slices(crowd_box)] == labels.ignore_index).all()
    assert (labels.y_crf[4:12, 2:6] == 1).all()  # an object was found there
    assert (labels.y_crf == 3).sum() == 0
    assert labels.instances[1].mask.sum() == 8 * 12


def test_an_image_without_boxes_is_background():
    boxed = boxed_image()
    labels = assembled(boxed, [])
    assert labels.instances == ()
    assert not labels.y_crf.any()
    assert labels.agreement.all()
    assert (labels.confidence == 1).all()
    dissenting = assembled(boxed, [], labeler=np.ones(SIZE, np.uint8))
    assert not dissenting.agreement.any()


def test_a_box_that_claims_nothing_is_empty(two):
    boxed, boxes = two
    nothing = [GivenProbability(boxes[0].place, np.full_like(boxes[0].probability, 0.4)), boxes[1]]
    labels = assembled(boxed, nothing)
    assert labels.instances[0].status == "empty"
    assert labels.instances[0].expected_iou == 0
    assert labels.instances[0].tight_box is None
    assert labels.instances[1].status == "ok"


@pytest.mark.parametrize("seed", range(4))
def test_masks_stay_in_their_boxes_and_are_rated(seed):
    boxes = random_boxes(seed)
    corners = [(box.place[1].start, box.place[0].start, box.place[1].stop, box.place[0].stop) for box in boxes]
    boxed = boxed_image(*corners, class_ids=[1 + number % 3 for number in range(len(boxes))])
    labels = assembled(boxed, boxes)
    for number, (box, instance) in enumerate(zip(boxes, labels.instances, strict=True)):
        assert not (instance.mask & ~boxed.region(number)).any()
        assert not (instance.mask[box.place] & (box.probability <= CLAIMED)).any()
        assert instance.mask.any() == (box.probability > CLAIMED).any()
        assert 0 <= instance.expected_iou <= 1
        assert instance.expected_iou == pytest.approx(expected_iou(box, instance.mask[box.place]))
        assert isinstance(instance.expected_iou, float)


def test_nothing_is_expected_of_masks_by_a_labeler_alone(two):
    boxed, _ = two
    y_crf = boxed.region(0).astype(np.uint8)
    labels = assemble(boxed, TABLE, y_crf, y_crf.copy(), np.ones(SIZE, np.float32))
    assert [each.expected_iou for each in labels.instances] == [None, None]


def test_class_ids_of_16_bits_are_kept():
    table = ClassTable(tuple(f"class {number}" for number in range(300)))
    boxed = BoxedImage(np.zeros((*SIZE, 3), np.uint8), [LEFT], [290], None, None, len(table))
    box = probability(LEFT, 0.9)
    labels = assemble_refined(boxed, table, [box], [box], np.zeros(SIZE, np.uint16), [None])
    assert labels.y_crf.dtype == np.uint16
    assert (labels.y_crf == 290).sum() == 14 * 16
    assert not labels.agreement[3, 3]


def test_the_tight_box_frames_the_mask(two, tmp_path):
    """In pixel-edge coordinates: the mask fills it from side to side, and a file has the same numbers."""
    boxed, boxes = two
    labels = assembled(boxed, boxes)
    assert labels.instances[0].tight_box.tolist() == [2, 4, 14, 12]
    assert labels.instances[1].tight_box.tolist() == [15, 8, 28, 16]
    assert labels.instances[0].tight_box.dtype == np.float32
    for instance in labels.instances:
        x0, y0, x1, y1 = instance.tight_box.astype(int)
        assert instance.mask[y0:y1, x0:x1].sum() == instance.mask.sum()
        assert all(edge.any() for edge in (instance.mask[y0], instance.mask[y1 - 1], instance.mask[:, x0]))
        assert instance.mask[:, x1 - 1].any()
    write_labels(tmp_path, "photo", labels, "digest")
    entries = read_json_object(tmp_path / "instances/photo.json")["instances"]
    assert [entry["tight_box"] for entry in entries] == [[2, 4, 14, 12], [15, 8, 28, 16]]
    assert [entry["expected_iou"] for entry in entries] == [round(each.expected_iou, 6) for each in labels.instances]
    assert entries[0]["segmentation"] == encode_mask(labels.instances[0].mask)
