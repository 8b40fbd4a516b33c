import numpy as np
import pytest
import torch
from PIL import Image

from bana.data.label_folder import LabelFolder
from bana.data.objects import AnnotatedObject, make_record
from bana.data.reading import read_dataset
from bana.data.records import ClassTable
from bana.label.boxes import BoxedImage
from bana.label.instances import assemble
from bana.nn.crops import GRAY
from bana.refine.samples import BoxWindows, Windows, collate, usable_boxes
from bana.refine.settings import RefineSettings
from shapes_data import CLASSES, COLORS, IMAGES

SIDE = 65
SETTINGS = RefineSettings(
    backbone="lite0",
    crop_size=SIDE,
    min_side=8,
    color_jitter=0,
    scale_range=(1, 1),
    looseness=0,
    occlusion=0,
    synthetic=0,
    context=1.5,
)
PARTS = ("images", "targets", "weights", "boxes")
MIDDLE = [SIDE / 6, SIDE / 6, SIDE * 5 / 6, SIDE * 5 / 6]
"""Where a box that is not loosened lies in its window."""


def changed(**changes):
    return SETTINGS.model_copy(update=changes)


@pytest.fixture(scope="module")
def records(shapes_voc):
    return read_dataset(shapes_voc).records


@pytest.fixture
def windows_of(records, true_labels):
    """The windows of the tiny data set."""

    def make(settings=SETTINGS, seed=0):
        return BoxWindows(records, settings, seed, LabelFolder(true_labels))

    return make


@pytest.fixture
def hook(tmp_path):
    """Windows of a red L, which is no mirror image of itself; by one labeling its foot is not object."""
    red = np.zeros((90, 120), bool)
    red[20:60, 30:42] = red[48:60, 30:70] = True
    pixels = np.where(red[..., None], np.uint8([250, 0, 0]), np.uint8([60, 60, 60]))
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    box = (30, 20, 70, 60)
    boxed = BoxedImage(pixels, [box], [1], None, None, 2)
    y_crf, y_ret = red.astype(np.uint8), red.astype(np.uint8)
    y_ret[48:60, 42:70] = 0
    sure = np.ones(red.shape, np.float32)
    labels = assemble(boxed, ClassTable(CLASSES[:2]), y_crf, y_ret, sure, parts=[red[boxed.places[0]]])
    labels.save(tmp_path / "labels", "photo")
    record = make_record("photo", tmp_path / "photo.png", (120, 90), [AnnotatedObject(box, 1)])
    return lambda settings=SETTINGS: BoxWindows([record], settings, 0, LabelFolder(tmp_path / "labels"))


def same(first, second):
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in PARTS)


def bounds(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def test_a_sample_depends_on_epoch_and_index_alone(windows_of):
    settings = changed(color_jitter=0.5, scale_range=(0.3, 0.8), looseness=0.2)
    windows = windows_of(settings, seed=3)
    first = windows[(1, 1)]
    torch.rand(7)
    windows[(0, 0)]
    assert same(first, windows_of(settings, seed=3)[(1, 1)])
    for other in (windows[(2, 1)], windows_of(settings, seed=4)[(1, 1)]):
        assert not torch.equal(first.images, other.images)


def test_there_is_a_sample_an_image_with_a_window_a_box(windows_of):
    windows = windows_of()
    assert len(windows) == len(IMAGES)
    for index, (_, shapes) in enumerate(IMAGES.values()):
        sample, count = windows[(0, index)], len(shapes)
        assert [getattr(sample, name).shape for name in PARTS] == [
            (count, 3, SIDE, SIDE),
            (count, SIDE, SIDE),
            (count, SIDE, SIDE),
            (count, 4),
        ]
        assert [getattr(sample, name).dtype for name in PARTS] == [torch.uint8] * 3 + [torch.float32]


@pytest.mark.parametrize("looseness", [0, 0.4])
def test_boxes_are_tight_around_their_targets(windows_of, looseness):
    windows = windows_of(changed(looseness=looseness))
    for epoch in range(6):
        for index in range(len(IMAGES)):
            sample = windows[(epoch, index)]
            for target, box in zip(sample.targets.numpy(), sample.boxes.tolist(), strict=True):
                assert bounds(target > 127) == pytest.approx(box, abs=1.6)


def test_a_box_that_is_not_loosened_is_a_square_in_the_middle(windows_of):
    windows = windows_of()
    exact = 0
    for epoch in range(6):
        for index in range(len(IMAGES)):
            for box in windows[(epoch, index)].boxes.tolist():
                assert box == pytest.approx(MIDDLE, abs=0.06 * SIDE)  # people cut into objects a little, too
                exact += box == pytest.approx(MIDDLE, abs=1e-3)
    assert exact > 15


def test_loosened_boxes_leave_the_middle_and_stay_inside_the_image(windows_of):
    windows = windows_of(changed(looseness=0.4))
    boxes = torch.cat([windows[(epoch, 0)].boxes for epoch in range(40)])
    away = (boxes - torch.tensor(MIDDLE)).abs().amax(1)
    assert (away < 1e-3).any()
    assert (away > 3).any()
    widths = boxes[:, 2] - boxes[:, 0]
    assert (widths < 36).any()  # a larger window shows the object smaller
    assert widths.max() < 1.07 * (MIDDLE[2] - MIDDLE[0])
    whole = torch.cat([windows[(epoch, 5)].boxes for epoch in range(20)])  # its box is the image
    assert whole[:, :2].min() > MIDDLE[0] - 0.06 * SIDE
    assert whole[:, :2].max() <= MIDDLE[0] + 1e-3


@pytest.mark.parametrize("looseness", [0, 0.4])
def test_images_targets_and_boxes_are_flipped_together(hook, looseness):
    """What is red in the window is its object; the L's foot is at the right in some windows, at the left in others."""
    windows = hook(changed(looseness=looseness))
    feet = set()
    for epoch in range(20):
        sample = windows[(epoch, 0)]
        image, target, weight = (each[0].numpy() for each in (sample.images, sample.targets, sample.weights))
        red = image[0].astype(int) - image[1] > 125
        if not red.any():
            continue  # a gray one
        assert bounds(red) == pytest.approx(sample.boxes[0].tolist(), abs=1.6)
        upper, foot = np.array_split(np.arange(SIDE), [round(float(sample.boxes[0, 3])) - 14])
        assert (red == (target > 127))[upper].mean() > 0.97
        x0, x1 = sample.boxes[0, ::2].tolist()
        foot_is_left = np.flatnonzero(red[int(upper[-1]) - 6]).mean() > (x0 + x1) / 2
        unknown = np.flatnonzero((weight[int(foot[0]) + 7] == 0) & red[int(foot[0]) + 7])
        assert len(unknown) > 12
        assert (unknown.mean() < (x0 + x1) / 2) == foot_is_left
        feet.add(foot_is_left)
    assert feet == {True, False}


def test_targets_have_the_colors_of_their_shapes(windows_of):
    windows = windows_of()
    checked = 0
    for index, (_, shapes) in enumerate(IMAGES.values()):
        sample = windows[(0, index)]
        classes = [kind for kind, _ in shapes]
        for image, target in zip(sample.images.permute(0, 2, 3, 1).float(), sample.targets, strict=True):
            found = image[target == 255].mean(0)
            if found.max() - found.min() < 5:
                continue  # a gray one
            distances = {kind: float((found - torch.tensor(COLORS[kind])).abs().max()) for kind in classes}
            assert min(distances.values()) < 30
            checked += 1
    assert checked > 4


def test_nothing_is_known_of_what_lies_beyond_the_image_or_is_labeled_in_two_ways(windows_of, hook):
    whole = windows_of()[(0, 5)]  # its box is the image
    gray = (whole.images == GRAY).all(1)
    assert torch.equal(whole.weights[gray].unique(), torch.tensor([0], dtype=torch.uint8))
    assert (whole.weights[0] == 0).float().mean() == pytest.approx(1 - 1 / 1.5**2, abs=0.1)
    assert (whole.targets[whole.weights == 255] == 255).all()
    for epoch in range(4):
        sample = hook()[(epoch, 0)]
        unknown = (sample.weights == 0).sum() / ((sample.boxes[0, 2:] - sample.boxes[0, :2]).prod())
        assert unknown == pytest.approx(12 * 28 / 40**2, abs=0.05)


def test_the_target_of_a_pixel_is_that_of_its_known_part(hook):
    """The foot is unknown: where it ends, a pixel that is partly known is all object or none of it."""
    windows, seen = hook(changed(looseness=0.4)), []
    for epoch in range(20):
        sample = windows[(epoch, 0)]
        _, y0, _, y1 = sample.boxes[0].tolist()
        row = round(y0 + 0.85 * (y1 - y0))  # through the foot
        target, weight = sample.targets[0, row], sample.weights[0, row]
        partly = (weight > 10) & (weight < 245)
        seen += target[partly].tolist()
        assert (target[weight == 0] == 0).all()
    assert {value for value in seen if 3 < value < 252} == set()
    assert min(seen.count(0), seen.count(255)) > 5


def test_no_more_boxes_are_drawn_than_allowed(windows_of):
    windows = windows_of(changed(boxes_per_image=1))
    drawn = set()
    for epoch in range(12):
        sample = windows[(epoch, 1)]  # a square and a disk
        assert len(sample.images) == 1
        drawn.add(int((sample.targets == 255).sum()) > 1700)  # the square fills all of its 43x43 pixels
    assert drawn == {True, False}
    assert len(windows_of(changed(boxes_per_image=2))[(0, 1)].images) == 2


def test_small_boxes_and_those_without_labels_are_left_out(records, true_labels):
    folder = LabelFolder(true_labels)
    record = next(record for record in records if record.image_id == "e")  # sides of 35 by 35 and 30 by 30
    labeled = folder.boxes(record)
    assert usable_boxes(record, labeled, 8) == [0, 1]
    assert usable_boxes(record, labeled, 30) == [0, 1]
    assert usable_boxes(record, labeled, 30.5) == [0]
    assert usable_boxes(record, labeled, 36) == []
    (first, second) = labeled
    for status in ("empty", "rejected"):
        other = type(first)(**vars(first) | {"status": status})
        assert usable_boxes(record, (other, second), 8) == [1]
    sample = BoxWindows([record], changed(min_side=33), 0, folder)[(0, 0)]
    assert len(sample.images) == 1


def test_half_of_the_windows_lose_their_detail(windows_of):
    sharp, blurred = windows_of(), windows_of(changed(scale_range=(0.15, 0.15)))
    detail = []
    for epoch in range(30):
        first, second = sharp[(epoch, 0)], blurred[(epoch, 0)]
        assert torch.equal(first.targets, second.targets)
        if not torch.equal(first.images, second.images):
            steps = [each.images.float().diff(dim=-1).abs().mean() for each in (first, second)]
            detail.append(float(steps[1] / steps[0]))
    assert 8 < len(detail) < 22
    assert max(detail) < 0.6


def test_colors_vary_with_the_jitter(windows_of):
    plain, varied = windows_of(), windows_of(changed(color_jitter=0.4))
    means = [(plain[(epoch, 0)].images.float() - varied[(epoch, 0)].images.float()).abs().mean() for epoch in range(5)]
    assert min(means) > 1


def test_a_batch_has_the_windows_of_all_images(windows_of):
    windows = windows_of()
    samples = [windows[(0, index)] for index in (0, 1, 4)]
    batch = collate(samples)
    assert isinstance(batch, Windows)
    assert len(batch.images) == len(batch.targets) == len(batch.weights) == len(batch.boxes) == 1 + 2 + 2
    assert torch.equal(batch.images[1:3], samples[1].images)
    assert torch.equal(batch.boxes[3:], samples[2].boxes)


def test_objects_of_other_images_come_in_front_of_objects(windows_of):
    plain, crowded = windows_of(), windows_of(changed(occlusion=1.0))
    changed_targets = 0
    for epoch in range(4):
        for index in range(len(IMAGES)):
            first, second = plain[(epoch, index)], crowded[(epoch, index)]
            assert same(second, windows_of(changed(occlusion=1.0))[(epoch, index)])
            changed_targets += not torch.equal(first.targets.sum(), second.targets.sum())
            for target, box in zip(second.targets.numpy(), second.boxes.tolist(), strict=True):
                assert bounds(target > 127) == pytest.approx(box, abs=1.6)
    assert changed_targets > 4


def test_few_boxes_of_shrunk_windows_are_loosened(windows_of):
    plain = windows_of(changed(looseness=0.4))
    shrunk = windows_of(changed(looseness=0.4, scale_range=(0.3, 0.3)))
    loosened = {False: [], True: []}
    for epoch in range(120):
        first, second = plain[(epoch, 0)], shrunk[(epoch, 0)]
        is_shrunk = not torch.equal(first.images, second.images)
        loosened[is_shrunk].append(float((first.boxes - torch.tensor(MIDDLE)).abs().max()) > 1e-3)
    assert np.mean(loosened[False]) == pytest.approx(0.5, abs=0.15)
    assert np.mean(loosened[True]) == pytest.approx(0.1, abs=0.1)


def test_synthetic_objects_take_the_place_of_boxes(windows_of):
    settings = changed(synthetic=1.0)
    windows, taken = windows_of(settings), 0
    for epoch in range(6):
        for index in range(len(IMAGES)):
            plain, sample = windows_of()[(epoch, index)], windows[(epoch, index)]
            assert same(sample, windows_of(settings)[(epoch, index)])
            taken += not torch.equal(plain.targets, sample.targets)
            for target, weight, box in zip(sample.targets.numpy(), sample.weights, sample.boxes.tolist(), strict=True):
                assert bounds(target > 127) == pytest.approx(box, abs=1.6)
                x0, y0, x1, y1 = (round(value) for value in box)
                assert (weight[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] == 255).all()
    assert taken > 30
