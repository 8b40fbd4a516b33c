"""Warm start: the rule for a box, and runs from frame to frame."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from bana import Labeler, read_dataset
from bana.data.images import open_record_image
from bana.data.masks import decode_mask
from bana.data.records import pixel_slices
from bana.errors import DataError, OutputError, SettingsError
from bana.label.boxes import BoxedImage
from bana.label.methods.choose import MethodChoice
from bana.label.run import label_dataset
from bana.label.warm_start import BONUS, WarmProbability, WrittenMask, moved_mask, warm_boxes
from box_probabilities import GivenProbability
from data_samples import write_voc
from shapes_data import CLASSES
from video_samples import write_moving

BOX = (4, 6, 24, 18)
PLACE = pixel_slices(BOX)
SHAPE = (12, 20)
QUIET = Console(quiet=True)


def given_box(seed=0):
    return GivenProbability(PLACE, np.random.default_rng(seed).random(SHAPE).astype(np.float32))


def half(shape=SHAPE):
    """A mask of the left half."""
    mask = np.zeros(shape, bool)
    mask[:, : shape[1] // 2] = True
    return mask


def boxed_image(last):
    return BoxedImage(np.zeros((30, 40, 3), np.uint8), [BOX], [1], None, None, 1, last=last)


def test_the_log_odds_change_by_the_bonus():
    box, moved = given_box(), moved_mask(half(), PLACE)
    found = WarmProbability(box, moved).at(PLACE)
    for row in range(SHAPE[0]):
        for column in range(SHAPE[1]):
            probability, sure = float(box.probability[row, column]), moved[row, column] / 127.5 - 1
            odds = np.log(probability / (1 - probability)) + BONUS * sure
            assert found[row, column] == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-5)


@settings(deadline=None)
@given(st.integers(0, 11), st.integers(0, 19), st.integers(1, 12), st.integers(1, 20))
def test_a_part_of_the_place_is_that_part_of_the_whole(top, left, height, width):
    warm = WarmProbability(given_box(), moved_mask(half(), PLACE))
    bottom, right = min(top + height, 12), min(left + width, 20)
    part = warm.at((slice(6 + top, 6 + bottom), slice(4 + left, 4 + right)))
    np.testing.assert_array_equal(part, warm.at(PLACE)[top:bottom, left:right])


def test_what_is_certain_stays():
    box = GivenProbability(PLACE, half().astype(np.float32))
    for mask in (half(), ~half()):
        np.testing.assert_array_equal(WarmProbability(box, moved_mask(mask, PLACE)).at(PLACE), box.probability)


def test_a_moved_mask_is_scaled_and_unsure_at_its_outline():
    moved = moved_mask(half((50, 40)), (slice(10, 110), slice(30, 230)))
    assert moved.shape == (100, 200)
    assert (moved[:, :80] == 255).all()
    assert (moved[:, 120:] == 0).all()
    assert np.abs(moved[:, 99:101].mean() - 127.5) < 2
    assert (np.diff(moved[50].astype(int)) <= 0).all()
    assert abs(int(moved[50, 95]) - 197) < 8  # 4.5 of 6 pixels, which are 3 % of the side, from the outline


@pytest.mark.parametrize(
    ("last", "counts"),
    [
        (WrittenMask(np.float32(BOX), half()), True),
        (WrittenMask(np.float32([4, 6, 24, 18.5]), half()), True),
        (WrittenMask(np.float32([4, 6, 14.5, 18]), half()), True),  # IoU 0.525
        (WrittenMask(np.float32([4, 6, 13.5, 18]), half()), False),  # IoU 0.475
        (WrittenMask(np.float32([24, 6, 44, 18]), half()), False),
        (WrittenMask(np.float32(BOX), np.zeros(SHAPE, bool)), False),
        (None, False),
    ],
)
def test_a_mask_counts_where_the_object_is_where_it_was(last, counts):
    box = given_box()
    (found,) = warm_boxes(boxed_image([last]), [box])
    assert isinstance(found, WarmProbability) == counts
    assert warm_boxes(boxed_image([]), [box]) == [box]


def test_masks_of_unusable_boxes_are_passed_over():
    image = np.zeros((30, 40, 3), np.uint8)
    last = [WrittenMask(np.float32(BOX), half()), None]
    boxed = BoxedImage(image, [BOX, BOX], [1, 1], [True, False], None, 1, last=last)
    box = given_box()
    assert warm_boxes(boxed, [box]) == [box]


def test_a_mask_is_wanted_for_each_box():
    with pytest.raises(DataError, match="last: has 2 masks for 1 boxes"):
        boxed_image([None, None])


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    """A sequence that no test changes."""
    return write_moving(tmp_path_factory.mktemp("moving") / "street")


@pytest.fixture(scope="module")
def method(tiny_refine_run):
    return MethodChoice(labelers={"": tiny_refine_run}, warm_start=True)


@pytest.fixture(scope="module")
def warm(sequence, method, tmp_path_factory):
    """Its labels; not to be changed."""
    out = tmp_path_factory.mktemp("warm") / "out"
    label_dataset(read_dataset(sequence), method, out, workers=1, console=QUIET)
    return out


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(data, method, out, **options):
    return label_dataset(read_dataset(data), method, out, workers=1, console=QUIET, **options)


def test_each_frame_starts_from_the_masks_of_the_last(warm, sequence, tiny_refine_run):
    labeler = Labeler.load(tiny_refine_run, threads=1).for_classes(CLASSES)
    last, differences = [], 0
    for record in read_dataset(sequence):
        arguments = (open_record_image(record), record.boxes, record.class_ids)
        labels = labeler(*arguments, last=last)
        cold = labeler(*arguments)
        entries = json.loads((warm / f"instances/{record.image_id}.json").read_text())["instances"]
        assert [entry["track_id"] for entry in entries] == [7, 9]
        for entry, instance, other in zip(entries, labels.instances, cold.instances, strict=True):
            mask = decode_mask(entry["segmentation"], record.height, record.width)
            np.testing.assert_array_equal(mask, instance.mask)
            assert entry["expected_iou"] == round(instance.expected_iou, 6)
            differences += instance.expected_iou != other.expected_iou
        last = labels.instances
    assert differences == 6  # of all boxes but those of the first frame


def test_a_run_that_goes_on_gives_the_same_files(warm, sequence, method, tmp_path):
    out = shutil.copytree(warm, tmp_path / "out")
    (out / "instances/street/000002.json").unlink()
    (out / "y_crf/street/000004.png").write_bytes(b"damaged")
    done = run(sequence, method, out)
    assert (done.images, done.labeled) == (4, 2)
    assert files(out) == files(warm)
    assert run(sequence, method, out).labeled == 0


@pytest.mark.slow
def test_any_number_of_processes_gives_the_same_files(warm, sequence, method, tmp_path):
    for name in ("street", "road"):
        shutil.copytree(sequence, tmp_path / "data" / name)
    label_dataset(read_dataset(tmp_path / "data"), method, tmp_path / "out", workers=2, console=QUIET)
    found = files(tmp_path / "out")
    for name, content in files(warm).items():
        if "street/" in name:
            assert found[name] == content


def test_what_follows_a_changed_frame_is_labeled_anew(warm, sequence, method, tmp_path):
    data, out = shutil.copytree(sequence, tmp_path / "street"), shutil.copytree(warm, tmp_path / "out")
    (out / "labels.json").unlink()  # the data set has moved, and is changed
    text = (data / "gt/gt.txt").read_text().splitlines()
    for line, labeled in ((5, 2), (0, 4)):  # of the third frame, of the first
        changed = text[line].replace(",28,26,", ",27,26,").replace(",32,32,", ",31,32,")
        assert changed != text[line] or line == 5
        (data / "gt/gt.txt").write_text("\n".join([*text[:line], changed, *text[line + 1 :]]) + "\n")
        assert run(data, method, out).labeled == labeled


def test_labels_depend_on_the_ids_of_tracks(sequence, tmp_path):
    data, out, method = shutil.copytree(sequence, tmp_path / "street"), tmp_path / "out", MethodChoice("box")
    assert run(data, method, out).labeled == 4
    (data / "gt/gt.txt").write_text((data / "gt/gt.txt").read_text().replace("3,9,", "3,11,"))
    assert run(data, method, out).labeled == 1
    entries = json.loads((out / "instances/street/000003.json").read_text())["instances"]
    assert [entry["track_id"] for entry in entries] == [7, 11]


def test_a_frame_after_one_that_is_left_out_starts_cold(sequence, method, warm, tmp_path, tiny_refine_run):
    data = shutil.copytree(sequence, tmp_path / "street")
    (data / "img1/000002.png").write_bytes((data / "img1/000002.png").read_bytes()[:200])
    done = run(data, method, tmp_path / "out", on_error="skip")
    assert [each.image_id for each in done.rejected] == ["street/000002"]
    cold = MethodChoice(labelers={"": tiny_refine_run})
    run(sequence, cold, tmp_path / "cold")
    name = "instances/street/000003.json"
    found, expected, not_expected = (
        json.loads((folder / name).read_text())["instances"] for folder in (tmp_path / "out", tmp_path / "cold", warm)
    )
    assert found == expected != not_expected
    with pytest.raises(DataError, match=r"000002\.png"):
        run(data, method, tmp_path / "stopped")


def test_labels_with_and_without_do_not_mix(warm, sequence, tiny_refine_run, tmp_path):
    out = shutil.copytree(warm, tmp_path / "out")
    with pytest.raises(OutputError, match="another method, settings or classes"):
        run(sequence, MethodChoice(labelers={"": tiny_refine_run}), out)


def test_where_it_changes_nothing_it_is_refused(sequence, method, tiny_run, tmp_path):
    with pytest.raises(SettingsError, match="needs a labeler whose refiner is at work"):
        run(sequence, MethodChoice(labelers={"": tiny_run}, warm_start=True), tmp_path / "out")
    with pytest.raises(SettingsError, match="needs a labeler whose refiner is at work"):
        run(sequence, MethodChoice("box", warm_start=True), tmp_path / "out")
    with pytest.raises(SettingsError, match=r"no object of .* is of a track"):
        run(write_voc(tmp_path / "voc"), method, tmp_path / "out")


def test_the_command_takes_it(run_cli, warm, sequence, tiny_refine_run, tmp_path):
    options = ("--labeler", tiny_refine_run, "--workers", 1, "--warm-start")
    answer = run_cli("label", sequence, "--out", tmp_path / "out", "--formats", "coco", *options)
    assert answer.status == 0, answer.err
    for name, content in files(warm).items():
        assert (tmp_path / "out" / name).read_bytes() == content
    exported = json.loads((tmp_path / "out/coco/annotations/instances_train.json").read_text())
    assert [entry["track_id"] for entry in exported["annotations"]] == [7, 9] * 4
    answer = run_cli("label", sequence, "--out", tmp_path / "shards", "--shard", "1/2", *options)
    assert answer.status == 2
    assert "warm_start: needs all frames of a video" in answer.err
