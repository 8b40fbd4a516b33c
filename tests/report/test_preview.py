"""Videos of masks: their frames and size, and the colors of tracks."""

import numpy as np
import pytest

from bana import read_dataset
from bana.data.colors import PALETTE
from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.objects import AnnotatedObject, make_record
from bana.data.records import ClassTable
from bana.data.videos import VideoFile, VideoFrame
from bana.errors import DataError
from bana.label.boxes import BoxedImage
from bana.label.instances import assemble
from bana.report.preview import WITHOUT_TRACK, track_colors, track_pictures, write_previews
from data_samples import SIZE, write_photo, write_voc
from shapes_data import CLASSES, inside_of
from video_samples import MOVING_SIZE, moving_shapes, write_moving

BOX = (10, 5, 30, 25)


def write_true_labels(dataset, out):
    """Labels of a moving sequence in which everything is true."""
    for record in dataset:
        shapes = dict(moving_shapes(record.frame.number))
        names = [CLASSES[class_id - 1] for class_id in record.class_ids]
        masks = [inside_of(name, shapes[name], MOVING_SIZE) for name in names]
        image = open_record_image(record)
        boxed = BoxedImage(image, record.boxes, record.class_ids, None, None, len(CLASSES))
        empty = np.zeros(image.shape[:2], np.uint8)
        parts = [mask[place] for mask, place in zip(masks, boxed.places, strict=True)]
        labels = assemble(
            boxed, ClassTable(CLASSES), empty, empty.copy(), np.ones(empty.shape, np.float32), parts=parts
        )
        labels.save(out, record.image_id)
    return out


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    return write_moving(tmp_path_factory.mktemp("moving") / "street")


@pytest.fixture(scope="module")
def labels(sequence, tmp_path_factory):
    return write_true_labels(read_dataset(sequence), tmp_path_factory.mktemp("labels") / "out")


def frames_of(path):
    video = VideoFile(path)
    return [video.rgb(number, frame) for number, frame in video.decoded()]


def test_a_preview_has_the_frames_of_the_video(sequence, labels):
    pytest.importorskip("av")
    (path,) = write_previews(read_dataset(sequence), labels)
    assert path == labels / "preview/street.mp4"
    assert [path.name for path in path.parent.iterdir()] == ["street.mp4"]
    frames = frames_of(path)
    assert [frame.shape for frame in frames] == [(72, 96, 3)] * 4
    expected = list(track_pictures(read_dataset(sequence), LabelFolder(labels)))
    for frame, picture in zip(frames, expected, strict=True):
        assert np.abs(frame.astype(int) - picture).mean() < 12
    assert VideoFile(path).rate == 10


def test_a_track_has_one_color_on_all_frames(tmp_path):
    data = write_moving(tmp_path / "street")
    lines = (data / "gt/gt.txt").read_text().splitlines()
    lines[2:4] = lines[3:1:-1]  # on the second frame the square comes first
    (data / "gt/gt.txt").write_text("".join(f"{line}\n" for line in lines))
    dataset = read_dataset(data)
    assert [record.track_ids for record in dataset] == [(7, 9), (9, 7), (7, 9), (7, 9)]
    labels = write_true_labels(dataset, tmp_path / "labels")
    colors = track_colors(dataset.records)
    assert len(set(colors.values())) == len(colors) == 2
    for record, picture in zip(dataset, track_pictures(dataset.records, LabelFolder(labels)), strict=True):
        image = open_record_image(record).astype(float)
        for track_id, (name, box) in zip((7, 9), moving_shapes(record.frame.number), strict=True):
            x, y = (box[0] + box[2]) // 2, (box[1] + box[3]) // 2
            expected = 0.4 * image[y, x] + 0.6 * np.array(colors["street", track_id])
            assert np.abs(picture[y, x] - expected).max() < 3, name
        assert (picture[0, 0] == image[0, 0]).all()


def test_colors_follow_tracks_and_not_their_order(tmp_path):
    photo = write_photo(tmp_path / "a.jpg")

    def frame(number, *track_ids):
        objects = [AnnotatedObject(BOX, 1, track_id=each) for each in track_ids]
        return make_record(f"{number}", photo, SIZE, objects, frame=VideoFrame("a", number))

    colors = track_colors([frame(0, 5, 6), frame(1, 6, 5), frame(2, None, "x"), frame(3, *range(5, 15))])
    assert set(colors) == {("a", 5), ("a", 6), ("a", "x"), *(("a", number) for number in range(7, 15))}
    assert len({colors["a", number] for number in range(5, 15)}) == 10
    assert set(colors.values()) <= set(PALETTE)


def test_an_object_of_no_track_is_gray(tmp_path):
    shapes = moving_shapes(0)
    data = write_moving(tmp_path / "street", frames=1)
    text = (data / "gt/gt.txt").read_text()
    (data / "gt/gt.txt").write_text(text.replace("1,9,", "1,-1,"))
    dataset = read_dataset(data)
    (picture,) = track_pictures(dataset.records, LabelFolder(write_true_labels(dataset, tmp_path / "labels")))
    (x0, y0, x1, y1), image = shapes[1][1], open_record_image(dataset[0]).astype(float)
    y, x = (y0 + y1) // 2, (x0 + x1) // 2
    assert np.abs(picture[y, x] - (0.4 * image[y, x] + 0.6 * np.array(WITHOUT_TRACK))).max() < 3


def test_a_video_of_an_odd_size_loses_a_row_and_a_column(tmp_path):
    pytest.importorskip("av")
    photo = write_photo(tmp_path / "a.png", (61, 41))
    record = make_record("a", photo, (61, 41), [AnnotatedObject(BOX, 1, track_id=1)])
    boxed = BoxedImage(open_record_image(record), record.boxes, record.class_ids, None, None, 1)
    empty = np.zeros((41, 61), np.uint8)
    assemble(boxed, ClassTable(("cat",)), empty, empty.copy(), empty.astype(np.float32)).save(tmp_path / "out", "a")
    dataset = read_dataset(write_voc(tmp_path / "voc"))
    dataset = type(dataset)((record,), ClassTable(("cat",)), tmp_path, "coco")
    (path,) = write_previews(dataset, tmp_path / "out")
    assert path.name == "preview.mp4"  # of tracks that name no video
    assert [frame.shape for frame in frames_of(path)] == [(40, 60, 3)]


def test_a_damaged_frame_leaves_the_old_preview(tmp_path):
    pytest.importorskip("av")
    data = write_moving(tmp_path / "street")
    dataset = read_dataset(data)
    labels = write_true_labels(dataset, tmp_path / "labels")
    (path,) = write_previews(dataset, labels)
    before = path.read_bytes()
    (data / "img1/000003.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"000003\.png"):
        write_previews(dataset, labels)
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 1


def test_frames_without_labels_are_left_out(tmp_path, sequence):
    pytest.importorskip("av")
    dataset = read_dataset(sequence)
    write_true_labels(dataset[1:3], tmp_path / "labels")
    (path,) = write_previews(dataset, tmp_path / "labels")
    assert len(frames_of(path)) == 2


def test_label_writes_previews_on_request(run_cli, sequence, tmp_path):
    pytest.importorskip("av")
    options = ("--method", "box", "--workers", 1, "--preview")
    answer = run_cli("label", sequence, "--out", tmp_path / "out", *options)
    assert answer.status == 0, answer.err
    assert f"{tmp_path / 'out/preview'}" in answer.out
    assert len(frames_of(tmp_path / "out/preview/street.mp4")) == 4
    answer = run_cli("label", write_voc(tmp_path / "voc"), "--out", tmp_path / "none", *options)
    assert answer.status == 2
    assert "preview: no image of" in answer.err
    assert not (tmp_path / "none/labels.json").exists()
