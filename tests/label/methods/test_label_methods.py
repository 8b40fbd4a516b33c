"""Every labeling method against a fact that does not come from bana."""

import json
import sys

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from bana.classify.model import LABELER
from bana.data.images import open_record_image
from bana.data.masks import mask_bounds
from bana.data.records import boxes_to_mask
from bana.data.sample import sample_dataset
from bana.errors import CheckpointError, DataError, SettingsError
from bana.label.boxes import BoxedImage
from bana.label.labeler import Labeler
from bana.label.methods.cam import image_level_scores
from bana.label.methods.choose import NAMES, MethodChoice
from bana.nn.initialization import pretrained_path
from densecrf import DenseCRF

CLASSES = ("cat", "dog")


@pytest.fixture(scope="module")
def photo():
    """A photograph of some people and things, with its record."""
    record = next(record for record in sample_dataset() if 3 <= len(record) <= 5 and not record.crowd.any())
    return open_record_image(record), record


@pytest.fixture(scope="module")
def disc():
    """A red disc on green, and its box: uint8 (60, 80, 3), bool (60, 80), (1, 4)."""
    rows, columns = np.mgrid[:60, :80]
    inside = (rows - 30) ** 2 + (columns - 40) ** 2 <= 20**2
    noise = np.random.default_rng(0).integers(-10, 10, (60, 80, 3))
    image = np.where(inside[..., None], (200, 40, 40), (40, 160, 60)) + noise
    return image.astype(np.uint8), inside, np.array([[20, 10, 61, 51]], dtype=np.float32)


def open_(name, classes=CLASSES, **choice):
    return MethodChoice(name, **choice).open(classes, threads=1)


def label_photo(name, photo, **choice):
    image, record = photo
    method = open_(name, sample_dataset().classes, **choice)
    return method(image, record.boxes, record.class_ids)


def iou(first, second):
    """By pycocotools."""
    encoded = [coco_mask.encode(np.asfortranarray(each.astype(np.uint8))) for each in (first, second)]
    return coco_mask.iou(encoded[:1], encoded[1:], [0])[0, 0]


def test_box_is_the_exact_rectangle():
    labels = open_("box")(np.zeros((10, 12, 3), np.uint8), [[2, 3, 7, 9], [4, 4, 6, 6]], [1, 2])
    expected = np.zeros((10, 12), np.uint8)
    expected[3:9, 2:7] = 1
    expected[4:6, 4:6] = 2  # the smaller box is in front
    np.testing.assert_array_equal(labels.y_crf, expected)
    np.testing.assert_array_equal(labels.y_ret, expected)
    assert labels.instances[0].mask.sum() == 30  # its own mask is whole
    assert [each.filling_rate for each in labels.instances] == [1.0, 1.0]
    assert (labels.confidence == 1).all()


def test_grabcut_is_opencv_own(photo):
    cv2 = pytest.importorskip("cv2")
    image, record = photo
    labels = label_photo("grabcut", photo)
    checked = 0
    for box, instance in zip(record.boxes, labels.instances, strict=True):
        inside = boxes_to_mask(box[None], *image.shape[:2])
        trimap = np.where(inside, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
        cv2.setRNGSeed(0)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), trimap, None, *models, 5, cv2.GC_INIT_WITH_MASK)
        cut = trimap == cv2.GC_PR_FGD
        expected = cut if cut.sum() >= 0.1 * inside.sum() else inside
        checked += expected is cut
        np.testing.assert_array_equal(instance.mask, expected)
    assert checked


def test_grabcut_without_background_or_with_a_box_of_one_pixel(disc):
    pytest.importorskip("cv2")
    image, _, _ = disc
    method = open_("grabcut")
    assert (method(image, [[0, 0, 80, 60]], [1]).y_crf == 1).all()
    assert (method(image, [[5, 5, 6, 6]], [1]).y_crf == 1).sum() == 1
    assert (method(image, np.zeros((0, 4)), []).y_crf == 0).all()


@pytest.mark.parametrize("name", ["grabcut", "mcg", "wssl"])
def test_a_disc_is_found(name, disc):
    pytest.importorskip({"grabcut": "cv2", "mcg": "higra", "wssl": "numba"}[name])
    image, inside, box = disc
    labels = open_(name)(image, box, [2])
    assert iou(labels.y_crf == 2, inside) > 0.97
    assert labels.instances[0].status == "ok"


def test_mcg_takes_the_segment_of_the_greatest_iou(photo):
    """Every node of every hierarchy of a small piece of a photograph is tried."""
    pytest.importorskip("higra")
    from bana.label.methods.mcg import BestSegment

    image = np.ascontiguousarray(photo[0][100:130, 100:136])
    box = np.array([[5, 4, 27, 24]], dtype=np.float32)
    inside = boxes_to_mask(box, *image.shape[:2])
    scores = {}
    for tree in BestSegment()._hierarchies(image):
        parents = tree.parents()
        for node in range(tree.num_vertices()):
            pixels = below(parents, node)[: tree.num_leaves()].reshape(inside.shape)
            scores[pixels.tobytes()] = (pixels & inside).sum() / (pixels | inside).sum()
    mask = open_("mcg")(image, box, [1]).instances[0].mask
    greatest = max(scores.values())
    best = [np.frombuffer(pixels, bool).reshape(inside.shape) for pixels in scores if scores[pixels] == greatest]
    assert any((mask == each & inside).all() for each in best)


def test_mcg_proposes_the_segments_whose_tight_boxes_fit(photo):
    """Every node that is clearly smaller than its parent is tried, and the best ones come in order."""
    pytest.importorskip("higra")
    from bana.label.methods.mcg import NEARLY_PARENT, BestSegment

    image = np.ascontiguousarray(photo[0][100:124, 100:130])
    box = np.array([5, 4, 23, 20], dtype=np.float32)
    boxed = BoxedImage(image, box[None], [1], None, None, 1)
    fits = []
    for tree in BestSegment()._hierarchies(image):
        parents, sizes = tree.parents(), {}
        for node in range(tree.num_vertices() - 1, -1, -1):
            pixels = below(parents, node)[: tree.num_leaves()].reshape(image.shape[:2])
            sizes[node] = pixels.sum()
            if parents[node] == node or sizes[node] < NEARLY_PARENT * sizes[parents[node]]:
                x0, y0, x1, y1 = mask_bounds(pixels)
                shared = max(min(x1, 23) - max(x0, 5), 0) * max(min(y1, 20) - max(y0, 4), 0)
                fits.append(shared / ((x1 - x0) * (y1 - y0) + 18 * 16 - shared))
    (number, masks, overlaps), *more = BestSegment().proposals(image, boxed, count=20)
    assert (number, more) == (0, [])
    assert masks.shape == (len(overlaps), 16, 18)
    assert masks.any((1, 2)).all()
    np.testing.assert_allclose(overlaps, sorted(fits, reverse=True)[: len(overlaps)])


def below(parents, node):
    """Which vertices are the node or below it: parents have greater numbers than their children."""
    found = np.zeros(len(parents), bool)
    found[node] = True
    for vertex in range(node - 1, -1, -1):
        found[vertex] |= found[parents[vertex]]
    return found


def test_wssl_is_a_crf_from_fixed_centers(photo):
    image, record = photo
    labels = label_photo("wssl", photo)
    box, class_id = record.boxes[0], int(record.class_ids[0])
    labels = open_("wssl", sample_dataset().classes)(image, box[None], [class_id])
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    middle, side = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * np.sqrt(0.2)
    center = (abs(columns - middle[0]) < side[0] / 2) & (abs(rows - middle[1]) < side[1] / 2)
    inside = boxes_to_mask(box[None], *image.shape[:2])
    foreground = np.where(center, 1.0, np.where(inside, 0.5, 0.0))
    probabilities = np.stack([1 - foreground, foreground]).astype(np.float32)
    marginals = DenseCRF(threads=1)(image, probabilities=probabilities, fixed=center | ~inside)
    np.testing.assert_array_equal(labels.y_crf, class_id * (marginals[1] > marginals[0]))
    np.testing.assert_allclose(labels.confidence, marginals.max(0), atol=1e-6)
    assert (labels.y_crf[center] == class_id).all()


def test_labels_of_the_paper_recipe(photo):
    """bap, ret and bap+ret are parts of one labeling, by Labeler without what goes beyond the paper."""
    image, record = photo
    settings = {"image_side": None, "low_level": 0, "refinements": 0, "tightness": 0, "refine": False}
    plain = Labeler.load(pretrained_path(), settings_of(settings), threads=1).for_classes(sample_dataset().classes)
    expected = plain(image, record.boxes, record.class_ids)
    whole, retrieved, agreed = (label_photo(name, photo) for name in ("bap", "ret", "bap+ret"))
    np.testing.assert_array_equal(whole.y_crf, expected.y_crf)
    np.testing.assert_array_equal(retrieved.y_crf, expected.y_ret)
    np.testing.assert_array_equal(retrieved.y_ret, expected.y_ret)
    np.testing.assert_array_equal(agreed.y_crf, expected.agreed)
    np.testing.assert_array_equal(agreed.y_ret, expected.agreed)
    assert not retrieved.confidence[expected.y_crf != expected.y_ret].any()
    for instance in agreed.instances:
        assert (agreed.y_crf[instance.mask] == instance.class_id).all()
    own = label_photo("labeler", photo)
    assert (own.y_crf != whole.y_crf).any()  # bana's own labeler goes beyond
    cam = label_photo("bap-cam", photo)
    assert (cam.y_crf != whole.y_crf).any()


def settings_of(changes):
    from bana.label.settings import LabelSettings

    return LabelSettings.model_validate(LABELER.load_facts(pretrained_path()).label | changes)


def test_fusion(photo):
    pair = label_photo("fuse:bap,wssl", photo)
    first, second = label_photo("bap", photo), label_photo("wssl", photo)
    np.testing.assert_array_equal(pair.y_crf, first.y_crf)
    np.testing.assert_array_equal(pair.y_ret, second.y_crf)
    np.testing.assert_array_equal(pair.confidence, first.confidence)
    same = first.y_crf == second.y_crf
    for ours, theirs in zip(pair.instances, first.instances, strict=True):
        np.testing.assert_array_equal(ours.mask, theirs.mask)
        inside = boxes_to_mask(ours.box[None], *same.shape)
        assert ours.agreement == pytest.approx(same[inside].mean())
        assert ours.predicted_class == theirs.predicted_class


def test_sdi_is_where_mcg_and_grabcut_agree(photo):
    pytest.importorskip("cv2")
    pytest.importorskip("higra")
    mcg, grabcut, sdi = (label_photo(name, photo) for name in ("mcg", "grabcut", "sdi"))
    expected = np.where(mcg.y_crf == grabcut.y_crf, mcg.y_crf, 255)
    np.testing.assert_array_equal(sdi.y_crf, expected)
    assert 0 < (expected == 255).mean() < 0.5


def test_scores_from_image_level_activations():
    activations = torch.tensor([[[2.0, 0.0], [1.0, -1.0]], [[0.0, 0.0], [4.0, 1.0]]])
    scores = image_level_scores(activations)
    raw = np.array([[[0.0, 1.0], [0.0, 0.75**4]], [[1.0, 0.0], [0.5, 0.0]], [[0.0, 0.0], [1.0, 0.25]]])
    np.testing.assert_allclose(scores.numpy(), raw / raw.sum(0), rtol=1e-6)
    np.testing.assert_array_equal(image_level_scores(torch.zeros(0, 2, 3)).numpy(), np.ones((1, 2, 3)))


@pytest.mark.parametrize("name", ["box", "wssl", "grabcut", "mcg", "bap", "fuse:box,wssl", "bap+ret"])
def test_what_holds_for_every_source(name, photo):
    if name in {"grabcut", "mcg"}:
        pytest.importorskip({"grabcut": "cv2", "mcg": "higra"}[name])
    image, _ = photo
    height, width = image.shape[:2]
    boxes = [[10, 10, 60, 80], [-20, -20, -5, -5], [30, 30, 90, 90], [width - 30, height - 30, width + 40, height + 9]]
    ignored = np.zeros((height, width), bool)
    ignored[100:, :20] = True
    method = open_(name)
    labels = method(image, boxes, [1, 2, 1, 2], crowd=[0, 0, 1, 0], ignored=ignored)
    assert [each.status for each in labels.instances][1:3] == ["rejected", "rejected"]
    assert labels.y_crf.dtype == np.uint8
    assert labels.y_crf.shape == labels.confidence.shape == (height, width)
    assert 0 <= labels.confidence.min() <= labels.confidence.max() <= 1
    assert (labels.y_crf[100:, :20] == 255).all()
    inside = boxes_to_mask([boxes[0], boxes[3]], height, width)
    assert not labels.y_crf[~inside & ~ignored].any()
    for instance in labels.instances:
        assert not (instance.mask & ~boxes_to_mask(instance.box.clip(0)[None], height, width)).any()
    again = method(image, boxes, [1, 2, 1, 2], crowd=[0, 0, 1, 0], ignored=ignored)
    np.testing.assert_array_equal(again.y_crf, labels.y_crf)
    with pytest.raises(DataError, match="box 0 has class 3"):
        method(image, [[10, 10, 60, 80]], [3])


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (MethodChoice("ban"), "method 'ban' is not known; choose one of labeler, "),
        (MethodChoice("fuse:bap"), "fuse:A,B takes two of"),
        (MethodChoice("fuse:bap,fuse:bap"), "fuse:A,B takes two of"),
        (MethodChoice("sam"), "needs --sam-encoder and --sam-decoder"),
        (MethodChoice("gap"), "needs a classifier that was trained with --pooling gap; .*: --labeler gap=RUN"),
        (MethodChoice("fuse:sam,cam"), "needs --sam-encoder"),
        (MethodChoice("cam"), "--pooling image; .*: --labeler cam=RUN"),
        (MethodChoice("affinity"), "--pooling image; .*: --labeler affinity=RUN"),
        (MethodChoice("bap", options={"u0": "sky"}), "options: u0"),
    ],
)
def test_sources_that_cannot_be_had(choice, message):
    with pytest.raises(SettingsError, match=message):
        choice.facts()


@pytest.mark.parametrize(("name", "package"), [("grabcut", "cv2"), ("mcg", "higra"), ("sam", "onnxruntime")])
def test_a_package_that_is_not_installed(name, package, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, package, None)
    file = tmp_path / "net.onnx"
    file.write_bytes(b"")
    message = rf"method {name}: needs the package {package}; pip install '\.\[{name}\]' in bana's folder"
    with pytest.raises(SettingsError, match=message):
        open_(name, encoder=file, decoder=file)


def test_facts_tell_sources_apart():
    """Labels of one method are not taken for those of another, nor of other options."""
    names = [name for name in NAMES if name not in {"gap", "cam", "affinity", "sam"}]
    choices = [*map(MethodChoice, names), MethodChoice("fuse:bap,box"), MethodChoice("fuse:box,bap")]
    choices.append(MethodChoice("bap", options={"refinements": 1}))
    facts = [json.dumps(choice.facts(), sort_keys=True) for choice in choices]
    assert len(set(facts)) == len(facts)


def test_missing_labeler(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere: no such file"):
        MethodChoice("bap", labelers={"": tmp_path / "nowhere"}).facts()
    MethodChoice("box", labelers={"": tmp_path / "nowhere"}).open(CLASSES, 1)


def test_the_help_names_every_method():
    from bana.cli.options import METHODS

    assert tuple(NAMES) == METHODS
