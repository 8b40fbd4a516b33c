"""Labeling one image from Python: what is taken for an image and a class, and what can be done with the labels."""

import inspect
import json
import warnings

import numpy as np
import pytest
from PIL import Image

from bana import BanaError, Detector, Labeler, PseudoLabels, Segmenter, read_dataset
from bana.data.images import open_image
from bana.data.label_folder import LabelFolder
from bana.data.label_maps import voc_palette
from bana.errors import DataError, OutputError, SettingsError
from bana.label.methods.choose import MethodChoice
from bana.label.run import label_dataset


@pytest.fixture(scope="module")
def record(shapes_voc):
    return next(record for record in read_dataset(shapes_voc) if record.image_id == "b")


@pytest.fixture(scope="module")
def image(record):
    return open_image(record.path)


@pytest.fixture(scope="module")
def labeler(tiny_run):
    return Labeler.load(tiny_run, threads=1)


@pytest.fixture(scope="module")
def labels(labeler, image, record):
    return labeler(image, record.boxes, record.class_ids)


def read_only(image):
    array = np.asarray(Image.fromarray(image))
    assert not array.flags.writeable
    return array


def turned(image):
    """A PIL image whose EXIF says that it lies on its side."""
    photograph = Image.fromarray(np.rot90(image))
    photograph.getexif()[0x0112] = 6
    return photograph


def opaque(image):
    return np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])


FORMS = {
    "PIL": Image.fromarray,
    "turned": turned,
    "read-only": read_only,
    "RGBA": opaque,
    "PIL RGBA": lambda image: Image.fromarray(opaque(image)),
    "16-bit": lambda image: image.astype(np.uint16) * 257,
    "not contiguous": lambda image: np.ascontiguousarray(image[..., ::-1])[..., ::-1],
}


@pytest.mark.parametrize("form", FORMS)
def test_an_image_in_any_form_gets_the_labels_of_its_pixels(labeler, labels, image, record, form):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = labeler(FORMS[form](image), record.boxes, record.class_ids)
    assert np.array_equal(found.mask, labels.mask)
    assert np.array_equal(found.confidence, labels.confidence)


def test_an_image_by_its_path(labeler, labels, record):
    for path in (record.path, str(record.path)):
        assert np.array_equal(labeler(path, record.boxes, record.class_ids).mask, labels.mask)


def test_a_gray_image_is_the_same_over_three_channels(labeler, image, record):
    gray = np.ascontiguousarray(image[..., 0])
    expected = labeler(np.dstack([gray] * 3), record.boxes, record.class_ids)
    for form in (gray, gray[..., None], Image.fromarray(gray)):
        assert np.array_equal(labeler(form, record.boxes, record.class_ids).mask, expected.mask)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((20, 30, 3), np.float32),
        np.zeros((20, 30, 3), np.int64),
        np.zeros((0, 30, 3), np.uint8),
        np.zeros((20, 30, 2), np.uint8),
        np.zeros((3, 20, 30), np.uint8),
        np.zeros(20, np.uint8),
        None,
        "no-such-file.jpg",
    ],
)
def test_what_is_no_image_is_refused_in_one_line(labeler, image):
    with pytest.raises(DataError, match="image") as caught:
        labeler(image, [(2, 3, 10, 8)], [1])
    assert "\n" not in str(caught.value)


def test_a_truncated_pil_image_is_refused(labeler, record, tmp_path):
    file = tmp_path / "torn.jpg"
    file.write_bytes(record.path.read_bytes()[:-1500])
    with pytest.raises(DataError, match=r"torn\.jpg: image is damaged or truncated"), Image.open(file) as torn:
        labeler(torn, record.boxes, record.class_ids)


def test_class_names_count_as_their_ids(labeler, labels, image, record):
    names = [labeler.classes[number - 1] for number in record.class_ids]
    for given in (names, tuple(names), np.array(names)):
        found = labeler(image, record.boxes, given)
        assert np.array_equal(found.mask, labels.mask)
        assert [each.class_id for each in found.instances] == record.class_ids.tolist()
    assert labeler(image, record.boxes[0], names[0]).instances[0].class_id == record.class_ids[0]


def test_an_unknown_class_name_lists_close_matches(labeler, image):
    labeler = labeler.for_classes(["person", "parson", "bus"])
    with pytest.raises(DataError, match="there is no class 'Persn'; did you mean 'person' or 'parson'") as caught:
        labeler(image, [(2, 3, 10, 8)], ["Persn"])
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="there is no class 'zebra'; choose one of person, parson, bus"):
        labeler(image, [(2, 3, 10, 8)], ["zebra"])
    with pytest.raises(DataError, match="class_ids"):
        labeler(image, [(2, 3, 10, 8)], [["person"], ["bus", "bus"]])


def test_a_text_in_place_of_a_list_of_classes_is_refused(labeler):
    with pytest.raises(SettingsError, match=r"names: is the text 'cell nucleus'; give a list.*\['cell nucleus'\]"):
        labeler.for_classes("cell nucleus")
    one = labeler.for_classes(["cell nucleus"])
    assert one.classes == one.without_weights() == ("cell nucleus",)


def test_the_mask_is_y_crf_and_every_box_has_its_own(labels, record):
    assert labels.mask is labels.y_crf
    assert len(labels.instances) == len(record)
    for instance in labels.instances:
        assert instance.mask.shape == labels.mask.shape
        assert 0 <= instance.confidence <= 1


def test_save_to_a_file_writes_the_mask_with_voc_colors(labels, tmp_path):
    labels.save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as saved:
        assert saved.mode == "P"
        assert np.array_equal(np.asarray(saved), labels.mask)
        assert saved.getpalette() == voc_palette().ravel().tolist()


def test_save_to_a_folder_writes_what_bana_label_writes(labels, labeler, record, shapes_voc, tiny_run, tmp_path):
    labels.save(str(tmp_path / "saved"), record.image_id)
    dataset = read_dataset(shapes_voc)
    label_dataset(dataset, MethodChoice.of_labeler(tiny_run), tmp_path / "labels", workers=1)
    saved, written = tmp_path / "saved", tmp_path / "labels"
    maps = [f"{folder}/{record.image_id}.png" for folder in ("y_crf", "y_ret", "agreed", "confidence")]
    for name in maps:
        assert (saved / name).read_bytes() == (written / name).read_bytes()
    entry, expected = (json.loads((folder / "instances/b.json").read_text()) for folder in (saved, written))
    assert entry["instances"] == expected["instances"]
    assert entry["files"] == expected["files"]
    folder = LabelFolder(saved)
    assert folder.classes == labeler.classes
    assert folder.is_intact(record.image_id)
    labels.save(saved, "another")
    assert folder.is_intact("another")


def test_save_refuses_a_folder_of_other_labels_and_a_name_outside(labels, tiny_labels, tmp_path):
    with pytest.raises(OutputError, match="holds labels of another"):
        labels.save(tiny_labels)
    with pytest.raises(BanaError, match="leaves the"):
        labels.save(tmp_path / "out", "../b")
    assert not (tmp_path / "b.json").exists()


def test_plot_colors_objects_over_the_photograph(labels, image):
    colors, palette = np.asarray(labels.plot()), voc_palette()
    assert np.array_equal(colors, palette[labels.mask])
    over = np.asarray(labels.plot(Image.fromarray(image)))
    assert np.array_equal(over[labels.mask == 0], image[labels.mask == 0])
    found = labels.mask > 0
    assert np.array_equal(over[found], ((image[found].astype(int) + palette[labels.mask[found]]) // 2))
    with pytest.raises(DataError, match="give the labeled image"):
        labels.plot(image[1:])


PUBLIC = (Labeler.__call__, Segmenter.__call__, Segmenter.probabilities, Detector.__call__, PseudoLabels.plot)


@pytest.mark.parametrize("function", PUBLIC)
def test_the_order_of_colors_is_documented(function):
    assert "RGB" in inspect.getdoc(function)


def test_a_segmenter_takes_the_same_images(tiny_segment_run, image, record, shapes_voc):
    segmenter = Segmenter.load(tiny_segment_run, threads=1)
    expected = segmenter(image)
    for form in (record.path, *(make(image) for make in FORMS.values())):
        assert np.array_equal(segmenter(form).labels, expected.labels)
        assert np.array_equal(segmenter.probabilities(form), expected.plain)
    gray = image[..., 0]
    assert np.array_equal(segmenter(gray).labels, segmenter(np.dstack([gray] * 3)).labels)
    assert segmenter.classes == read_dataset(shapes_voc).classes


def test_a_detector_takes_the_same_images(image, record):
    from bana.instance.detector import DetectSettings
    from bana.instance.model import DETECTOR
    from bana.instance.settings import InstanceSettings

    settings = InstanceSettings(backbone="lite0", train_backbone="none", width=16)
    network = DETECTOR.build(settings, 3, seed=0)
    detector = Detector(network, ("a", "b", "c"), DetectSettings(image_side=129, min_score=0.0))
    expected = detector(image)
    assert len(expected.boxes)
    for form in (record.path, *(make(image) for make in FORMS.values())):
        assert np.array_equal(detector(form).boxes, expected.boxes)
    gray = image[..., 0]
    assert np.array_equal(detector(gray).boxes, detector(np.dstack([gray] * 3)).boxes)
    assert detector.classes == ("a", "b", "c")
