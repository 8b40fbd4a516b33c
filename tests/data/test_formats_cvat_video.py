"""CVAT for video: tracks, key frames, and where the frames are."""

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bana.data.check import check
from bana.data.formats.cvat_video import between, interpolated
from bana.data.images import open_record_image
from bana.data.reading import read_dataset
from bana.errors import DataError
from data_samples import SIZE, write_photo
from reference.tracks_loops import slow_boxes
from video_samples import outside, track, track_box, write_cvat_video, write_video

BOX, LATER = (10, 5, 30, 25), (20, 9, 42, 33)


def boxes_by_frame(dataset):
    """Track ids and boxes of each frame that has some."""
    return {
        record.frame.number: list(zip(record.track_ids, record.boxes.tolist(), strict=True))
        for record in dataset
        if len(record)
    }


def test_a_track_has_one_id_on_all_its_frames(tmp_path):
    cat = track(3, "cat", track_box(0), track_box(1, LATER), outside(2))
    dog = track("7", "dog", track_box(1))
    dataset = read_dataset(write_cvat_video(tmp_path, cat, dog), strict=True)
    assert (dataset.format, dataset.classes) == ("cvat", ("dog", "cat"))
    assert [record.image_id for record in dataset] == [f"frame_{number:06d}" for number in range(5)]
    assert [record.frame.number for record in dataset] == [0, 1, 2, 3, 4]
    assert boxes_by_frame(dataset) == {0: [(3, list(BOX))], 1: [(3, list(LATER)), (7, list(BOX))]}
    assert dataset[1].class_ids.tolist() == [2, 1]
    assert (check(tmp_path).videos, check(tmp_path).tracks) == (1, 2)


def test_a_box_moves_evenly_between_key_frames(tmp_path):
    dataset = read_dataset(write_cvat_video(tmp_path, track(0, "cat", track_box(0), track_box(4, LATER))))
    found = {number: boxes[0][1] for number, boxes in boxes_by_frame(dataset).items()}
    assert found[1] == [12.5, 6, 33, 27]
    assert found[2] == [15, 7, 36, 29]
    assert sorted(found) == [0, 1, 2, 3, 4]


def test_nothing_is_between_an_end_and_a_new_beginning(tmp_path):
    shapes = (track_box(0), outside(1), track_box(3))
    assert sorted(boxes_by_frame(read_dataset(write_cvat_video(tmp_path, track(0, "cat", *shapes))))) == [0, 3]


corner = st.integers(0, 400).map(lambda number: number / 4)
keys = st.dictionaries(st.integers(0, 30), st.tuples(st.booleans(), st.tuples(*[corner] * 4)), min_size=1, max_size=6)


@given(keys, st.integers(1, 4))
def test_interpolation_is_what_the_slow_way_gives(keys, step):
    shapes = {
        number: ElementTree.fromstring((outside if is_outside else track_box)(number, corners))
        for number, (is_outside, corners) in keys.items()
    }
    frames = range(0, 40, step)
    found = {
        number: tuple(float(shape.get(key)) for key in ("xtl", "ytl", "xbr", "ybr"))
        for number, shape in interpolated(shapes, frames).items()
    }
    expected = slow_boxes([(number, *key) for number, key in keys.items()], frames)
    assert sorted(found) == sorted(expected)
    for number, corners in expected.items():
        np.testing.assert_allclose(found[number], corners, atol=1e-9)


@pytest.mark.parametrize(("first", "second", "middle"), [(0, 90, 45), (350, 10, 360), (10, 350, 0), (0, 0, 0)])
def test_a_box_turns_the_shorter_way(first, second, middle):
    ends = [ElementTree.fromstring(track_box(0, BOX, f'rotation="{angle}"')) for angle in (first, second)]
    assert float(between(*ends, 0.5).get("rotation")) == middle


def test_a_turned_box_is_oriented(tmp_path):
    record = read_dataset(write_cvat_video(tmp_path, track(0, "cat", track_box(0, BOX, 'rotation="30"'))))[0]
    assert len(record.oriented[0]) == 8


def test_frames_of_a_step_alone_are_there(tmp_path):
    meta = "<start_frame>1</start_frame><stop_frame>7</stop_frame><frame_filter>step=3</frame_filter>"
    folder = write_cvat_video(tmp_path, track(0, "cat", track_box(1), track_box(7, LATER)), frames=0, meta=meta)
    for name in "abc":
        write_photo(folder / "images" / f"{name}.jpg")
    dataset = read_dataset(folder)
    assert [(record.image_id, record.frame.number) for record in dataset] == [("a", 1), ("b", 4), ("c", 7)]
    assert dataset[1].boxes.tolist() == [[15, 7, 36, 29]]


def test_frames_are_decoded_from_the_video_beside_the_tracks(tmp_path):
    meta = "<stop_frame>2</stop_frame><source>clip.mp4</source>"
    folder = write_cvat_video(tmp_path, track(0, "cat", track_box(0), track_box(2)), frames=0, meta=meta)
    write_video(folder / "other.mp4")
    write_video(folder / "clip.mp4", frames=4)
    dataset = read_dataset(folder, strict=True)
    assert [record.image_id for record in dataset] == ["clip/000001", "clip/000002", "clip/000003"]
    assert {(record.frame.video, record.frame.rate, record.suffix) for record in dataset} == {("clip", 5, ".png")}
    assert (dataset[0].width, dataset[0].height) == (64, 48)
    for number in (1, 2, 0):  # forwards, and back
        assert abs(int(open_record_image(dataset[number])[40, 40, 0]) - 40 * (number + 1)) < 8


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (track_box("x"), "track 3: frame is 'x', not a number of a frame"),
        (track_box(-1), "track 3: frame is '-1'"),
        (track_box(10**12), "track 3: frame is '1000000000000'"),
        (track_box(0, ("a", 5, 30, 25)), "track 3: frame 0: xtl is 'a', not a number"),
        (track_box(0, (10, 5, 10, 25)), "track 3: frame 0: box .* is empty"),
        ('<points frame="0" outside="0" points="5,5"></points>', "track 3: frame 0: a points has no area"),
    ],
)
def test_a_shape_that_cannot_be_used_costs_itself(tmp_path, shape, message):
    sound = track(1, "dog", track_box(0))
    dataset = read_dataset(write_cvat_video(tmp_path, track(3, "cat", shape), sound))
    assert [note.kind for note in dataset.notes] == ["left out"]
    assert dataset[0].track_ids == (1,)
    with pytest.raises(DataError, match=message):
        read_dataset(tmp_path, strict=True)


def test_the_second_of_two_shapes_on_a_frame_is_taken(tmp_path):
    dataset = read_dataset(write_cvat_video(tmp_path, track(0, "cat", track_box(0), track_box(0, LATER))))
    assert [note.kind for note in dataset.notes] == ["repaired"]
    assert dataset[0].boxes.tolist() == [list(LATER)]


@pytest.mark.parametrize(
    ("tracks", "frames", "meta", "message"),
    [
        ([track(0, "cat", track_box(0))], 0, "", "has no images .* or a video .* beside its tracks"),
        ([track(0, "cat", track_box(9))], 2, "", r"frame 9: image 'of frame 9 \(from 0\)' is not in"),
        ([track(0, "cat", track_box(0))], 2, "<stop_frame>x</stop_frame>", "is not a number"),
        ([track(0, "cat", track_box(0))], 2, "<stop_frame>99999999999</stop_frame>", "none that a video has"),
        (
            [track(0, "cat", track_box(0)).replace("<track ", f'<track task_id="{number}" ') for number in (1, 2)],
            2,
            "",
            "holds tracks of several tasks",
        ),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, tracks, frames, meta, message):
    with pytest.raises(DataError, match=message) as raised:
        read_dataset(write_cvat_video(tmp_path, *tracks, frames=frames, meta=meta))
    assert str(tmp_path) in str(raised.value)


def test_a_frame_of_another_size_is_a_fault(tmp_path):
    meta = "<original_size><width>61</width><height>40</height></original_size>"
    report = check(write_cvat_video(tmp_path, track(0, "cat", track_box(0)), frames=1, meta=meta))
    assert f"image is {SIZE[0]}x{SIZE[1]}" in report.faults[0].reason
