"""Tracks and frames through formats: what keeps them, what says that it cannot, and frames of video files."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bana.data.check import check
from bana.data.convert import WRITERS, convert
from bana.data.formats.coco_videos import image_frames, track_id_of
from bana.data.images import open_image, open_record_image
from bana.data.inputs import find_inputs, inputs_from_records
from bana.data.objects import AnnotatedObject, make_record
from bana.data.reading import read_dataset
from bana.data.records import ClassTable
from bana.data.tracks import track_keys, videos_of
from bana.data.videos import VideoFrame, frame_of, video_digest
from bana.errors import DataError
from data_samples import SIZE, coco_content, write_coco, write_photo
from video_samples import track, track_box, write_cvat_video, write_mot, write_video

BOX = (10, 5, 30, 25)


def tracks_of(dataset):
    return [(record.image_id, record.track_ids, record.frame) for record in dataset]


def test_coco_keeps_tracks_and_frames(tmp_path):
    for name in "ab":
        write_mot(tmp_path / "mot" / name, "1,4,11,6,20,20,1,1,1", "2,-1,11,6,20,20,1,1,1", "2,4,12,6,20,20,1,1,1")
    conversion = convert(tmp_path / "mot", tmp_path / "coco", "coco")
    assert conversion.reports["train"].lost == {}
    assert tracks_of(read_dataset(tmp_path / "coco")) == tracks_of(read_dataset(tmp_path / "mot"))
    content = json.loads((tmp_path / "coco/annotations/instances_train.json").read_text())
    assert content["videos"] == [{"id": 1, "name": "a", "fps": 25.0}, {"id": 2, "name": "b", "fps": 25.0}]
    assert [(image["video_id"], image["frame_id"]) for image in content["images"][2:4]] == [(1, 2), (2, 0)]
    assert [annotation.get("track_id") for annotation in content["annotations"][:3]] == [4, None, 4]
    convert(tmp_path / "coco", tmp_path / "again", "coco")
    again = json.loads((tmp_path / "again/annotations/instances_train.json").read_text())
    assert again == content


def test_a_file_without_tracks_says_nothing_of_videos(tmp_path):
    convert(write_coco(tmp_path / "coco"), tmp_path / "out", "coco")
    content = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())
    assert "videos" not in content
    assert not {"video_id", "frame_id"} & content["images"][0].keys()
    assert "track_id" not in content["annotations"][0]


@pytest.mark.parametrize("to", [name for name in WRITERS if name != "coco"])
def test_other_formats_say_that_they_lose_tracks(tmp_path, to):
    data = write_mot(tmp_path / "mot", "1,4,11,6,20,20,1,1,1", "1,-1,11,6,20,20,1,1,1")
    lost = convert(data, tmp_path / "out", to).reports["train"].lost
    assert (lost["track ids"], lost["frame numbers"]) == (1, 3)


@pytest.mark.parametrize("to", WRITERS)
def test_frames_of_a_video_file_become_images(tmp_path, to):
    data = write_cvat_video(tmp_path / "data", track(0, "cat", track_box(0), track_box(2)), frames=0)
    write_video(data / "clip.mp4")
    report = convert(data, tmp_path / "out", to).reports["train"]
    assert (report.images, report.reencoded) == (3, 3)
    before, after = read_dataset(data), read_dataset(tmp_path / "out")
    assert [record.image_id for record in after] == ["clip/000001", "clip/000002", "clip/000003"]
    tolerance = 12 if to == "voc" else 0  # a JPEG
    for old, new in zip(before, after, strict=True):
        there = open_image(new.path).astype(int)
        assert np.abs(there - open_record_image(old)).max() <= tolerance


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"track_id": 3}, 3),
        ({"track_id": 3.0}, 3),
        ({"track_id": "a"}, "a"),
        ({"instance_id": 4}, 4),
        ({}, None),
        *[({"track_id": value}, None) for value in (True, 1.5, None, "", [], {}, float("nan"), 2**70, "\ud800")],
    ],
)
def test_a_track_id_that_cannot_be_read_is_none(entry, expected):
    assert track_id_of(entry) == expected


def test_cvat_has_the_track_among_the_attributes(tmp_path):
    content = coco_content()
    content["annotations"][0]["attributes"] = {"occluded": False, "track_id": 5, "keyframe": True}
    assert read_dataset(write_coco(tmp_path, content))[0].track_ids == (5, None)


def test_an_image_without_a_number_follows_the_one_before():
    images = {1: {"video_id": 7}, 2: {"video_id": 7, "frame_id": 5}, 3: {"video_id": 7, "frame_id": -1}, 4: {}}
    frames = image_frames(images, [{"id": 7, "name": "clip", "fps": 25}, "no video", {"id": 8}])
    assert frames == {number: VideoFrame("clip", place, 25) for number, place in ((1, 0), (2, 5), (3, 6))}
    assert image_frames({1: {"video_id": 8, "frame_id": 2}}, None) == {1: VideoFrame("8", 2)}


ids = st.one_of(
    st.none(), st.integers(0, 2**40), st.text(min_size=1, max_size=5).filter(lambda text: text.isprintable())
)
frames = st.one_of(st.none(), st.builds(VideoFrame, st.text("abc/", min_size=1, max_size=4), st.integers(0, 10**6)))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.lists(ids, max_size=3), frames), min_size=1, max_size=4))
def test_tracks_survive_coco(tmp_path_factory, images):
    folder = tmp_path_factory.mktemp("coco")
    photo = write_photo(folder / "a.jpg")
    records = [
        make_record(f"i{at}", photo, SIZE, [AnnotatedObject(BOX, 1, track_id=each) for each in track_ids], frame=frame)
        for at, (track_ids, frame) in enumerate([*images, (["one"], None)])  # a data set has a box
    ]
    WRITERS["coco"](records, ClassTable(("cat",)), folder / "out", "train")
    after = read_dataset(folder / "out")
    assert [(record.track_ids, record.frame) for record in after] == [(old.track_ids, old.frame) for old in records]


def test_frames_of_a_video_are_in_their_order(tmp_path):
    photo = write_photo(tmp_path / "a.jpg")
    objects = [AnnotatedObject(BOX, 1, track_id=3), AnnotatedObject(BOX, 1)]
    records = [
        make_record(name, photo, SIZE, objects, frame=frame)
        for name, frame in (
            ("c", VideoFrame("b", 2)),
            ("d", VideoFrame("b", 0)),
            ("e", VideoFrame("a", 5)),
            ("f", None),
        )
    ]
    alone = make_record("g", photo, SIZE, [AnnotatedObject(BOX, 1)])
    found = {name: [record.image_id for record in frames] for name, frames in videos_of([*records, alone]).items()}
    assert found == {"b": ["d", "c"], "a": ["e"], "": ["f"]}
    assert [track_keys(record)[0] for record in records] == [("b", 3), ("b", 3), ("a", 3), ("", 3)]
    assert track_keys(records[0])[1] is track_keys(alone)[0] is None


def test_check_counts_videos_and_tracks(tmp_path, run_cli):
    data = write_mot(tmp_path / "mot", "1,4,11,6,20,20,1,1,1", "2,4,11,6,20,20,1,1,1", "2,5,1,6,20,20,1,1,1")
    report = check(data)
    assert (report.as_dict()["videos"], report.as_dict()["tracks"]) == (1, 2)
    assert "videos, tracks" in run_cli("check", data).out
    assert "videos, tracks" not in run_cli("check", write_coco(tmp_path / "coco")).out


def test_a_frame_that_is_not_there_says_how_many_there_are(tmp_path):
    video = write_video(tmp_path / "clip.mp4")
    with pytest.raises(DataError, match=r"clip\.mp4: has 3 frames, and none of number 7 from 0"):
        frame_of(video, 7)
    assert frame_of(video, 2).shape == (48, 64, 3)
    with pytest.raises(DataError, match="cannot be read"):
        frame_of(tmp_path / "none.mp4", 0)


def test_a_video_that_was_replaced_is_read_anew(tmp_path):
    video = write_video(tmp_path / "clip.mp4")
    before = video_digest(video)
    assert frame_of(video, 0).shape == (48, 64, 3)
    write_video(video, frames=2, size=(32, 32))
    assert frame_of(video, 1).shape == (32, 32, 3)
    assert video_digest(video) != before


def test_frames_of_a_data_set_are_the_pictures_of_its_video(tmp_path):
    """`bana predict` takes both alike: by names, pixels and digests."""
    data = write_cvat_video(tmp_path, track(0, "cat", track_box(0)), frames=0)
    video = write_video(data / "clip.mp4")
    of_records, of_video = inputs_from_records(read_dataset(data)), find_inputs([video])
    for one, other in zip(of_records, of_video, strict=True):
        assert (one.name, one.frame, one.digest()) == (other.name, other.frame, other.digest())
        np.testing.assert_array_equal(one.pixels(), other.pixels())
