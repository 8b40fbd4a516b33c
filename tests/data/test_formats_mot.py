"""MOT Challenge: lines, sequences, classes, and what does not count."""

import pytest

from bana.data.check import check
from bana.data.reading import format_of, read_dataset
from bana.errors import DataError
from data_samples import SIZE, write_photo
from video_samples import SEQINFO, write_mot, write_video

LINE = "1,4,11,6,20,20,1,1,0.5"


def test_a_line_becomes_a_box_with_a_track(tmp_path):
    root = write_mot(tmp_path / "street", LINE, "3,4,12,6,20,20,1,1,1", "1,5,1,1,5,5,1,3,1")
    assert format_of(root) == format_of(tmp_path) == "mot"
    dataset = read_dataset(root, strict=True)
    assert dataset.classes == ("pedestrian", "car")
    assert [record.image_id for record in dataset] == ["street/000001", "street/000002", "street/000003"]
    assert dataset[0].boxes.tolist() == [[10, 5, 30, 25], [0, 0, 5, 5]]
    assert dataset[0].class_ids.tolist() == [1, 2]
    assert [record.track_ids for record in dataset] == [(4, 5), (), (4,)]
    assert dataset[0].scores is None
    assert [(record.frame.video, record.frame.number, record.frame.rate) for record in dataset] == [
        ("street", number, 25) for number in range(3)
    ]


def test_sequences_are_read_together_and_as_splits(tmp_path):
    write_mot(tmp_path / "train/b", LINE)
    write_mot(tmp_path / "train/a", LINE, info=None)
    write_mot(tmp_path / "test/c", "1,-1,11,6,20,20,0.25", kind="det")
    train, test = read_dataset(tmp_path, "train"), read_dataset(tmp_path, "test")
    assert [record.image_id for record in train] == [f"{name}/00000{frame}" for name in "ab" for frame in (1, 2, 3)]
    assert test[0].track_ids == ()
    assert test[0].scores.tolist() == [0.25]
    assert (check(tmp_path, "train").videos, check(tmp_path, "train").tracks) == (2, 2)


def test_what_the_benchmark_does_not_count_is_ignored_and_no_background(tmp_path):
    dataset = read_dataset(write_mot(tmp_path, LINE, "1,5,31,6,10,10,0,8,1"))
    assert dataset[0].track_ids == (4,)
    assert dataset[0].ignored.tolist() == [[30, 5, 40, 15]]
    assert dataset.classes == ("pedestrian",)


def test_world_coordinates_are_no_class(tmp_path):
    dataset = read_dataset(write_mot(tmp_path, "1,4,11,6,20,20,1,7,-3.4,0"))
    assert (dataset.classes, dataset[0].class_ids.tolist()) == (("pedestrian",), [1])


def test_boxes_are_cut_at_the_edges_without_a_note(tmp_path):
    dataset = read_dataset(write_mot(tmp_path, "1,4,-20,-30,50,90,1,1,1"), strict=True)
    assert dataset[0].boxes.tolist() == [[0, 0, 29, SIZE[1]]]


def test_listed_classes_count_pixels_from_zero(tmp_path):
    """As CVAT and Datumaro write the format."""
    root = write_mot(tmp_path, "1,4,11,6,20,20,1,2,1", info=None)
    (root / "gt/labels.txt").write_text("dog\ncat\n")
    dataset = read_dataset(root)
    assert (dataset.classes, dataset[0].class_ids.tolist()) == (("dog", "cat"), [2])
    assert dataset[0].boxes.tolist() == [[11, 6, 31, 26]]


@pytest.mark.parametrize("names", [("a", "b", "c"), ("000000", "000001", "000002"), ("1", "b", "c")])
def test_frames_that_are_not_numbered_from_one_go_by_their_order(tmp_path, names):
    root = write_mot(tmp_path / "street", "2,4,11,6,20,20,1,1,1", frames=0)
    for name in names:
        write_photo(root / "img1" / f"{name}.jpg")
    found = [(record.image_id, record.track_ids) for record in read_dataset(root)]
    assert found == [(f"street/{name}", ids) for name, ids in zip(names, ((), (4,), ()), strict=True)]


def test_frames_may_be_a_video(tmp_path):
    root = write_mot(tmp_path / "street", LINE, frames=0, info=None)
    write_video(root / "street.mp4")
    dataset = read_dataset(root)
    assert [record.image_id for record in dataset] == ["street/000001", "street/000002", "street/000003"]
    assert dataset[0].is_in_video


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,4,11,6,20", "gt.txt:2: has 5 numbers"),
        ("1,4,11,six,20,20,1,1,1", "gt.txt:2: '1,4,11,six,20,20,1,1,1' is not numbers"),
        ("0,4,11,6,20,20,1,1,1", "gt.txt:2: frame 0 with id 4; give whole numbers"),
        ("1.5,4,11,6,20,20,1,1,1", "gt.txt:2: frame 1.5"),
        ("nan,4,11,6,20,20,1,1,1", "gt.txt:2: frame nan"),
        ("1,inf,11,6,20,20,1,1,1", "gt.txt:2: frame 1 with id inf"),
        ("1,5,11,6,20,20,1,1.5,1", "gt.txt:2: class 1.5"),
        ("1,5,11,6,20,20,1,99,1", "gt.txt:2: class 99 is not known"),
        ("1,5,11,6,0,20,1,1,1", "gt.txt:2: the box has no area"),
        ("1,5,11,6,-5,20,1,1,1", "gt.txt:2: the box has no area"),
        ("1,5,nan,6,5,20,1,1,1", "gt.txt:2: the box has no area"),
        ("1,5,100,6,5,20,1,1,1", "gt.txt:2: the box has no area"),
    ],
)
def test_a_malformed_line_costs_itself_and_is_named(tmp_path, line, message):
    root = write_mot(tmp_path, LINE, line)
    dataset = read_dataset(root)
    assert [note.kind for note in dataset.notes] == ["left out"]
    assert dataset[0].track_ids == (4,)
    with pytest.raises(DataError, match=message):
        read_dataset(root, strict=True)


def test_an_id_that_is_twice_on_a_frame_stays_with_the_first(tmp_path):
    root = write_mot(tmp_path, LINE, LINE)
    dataset = read_dataset(root)
    assert dataset[0].track_ids == (4, None)
    assert [note.kind for note in dataset.notes] == ["repaired"]
    with pytest.raises(DataError, match=r"gt\.txt:2: id 4 is twice on frame 1"):
        read_dataset(root, strict=True)


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ([LINE], {"frames": 0}, "holds no frames of the sequence"),
        (["9,4,11,6,20,20,1,1,1"], {}, r"gt\.txt:1: image 'of frame 8 \(from 0\)' is not in"),
        ([LINE], {"info": "imWidth=3"}, r"seqinfo\.ini: is not a sequence's description \(MissingSectionHeaderError"),
        ([LINE], {"info": "[other]\n"}, r"it has no \[Sequence\]"),
        ([LINE], {"info": SEQINFO.replace("60", "wide")}, "imwidth is 'wide', not a number"),
        ([LINE], {"info": SEQINFO.replace("img1", "../img1")}, "leaves the image folder"),
        ([LINE], {"info": SEQINFO.replace("60", "1e12")}, "is not one that an image can have"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, lines, options, message):
    with pytest.raises(DataError, match=message):
        read_dataset(write_mot(tmp_path, *lines, **options))
