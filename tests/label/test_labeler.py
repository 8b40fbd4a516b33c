import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bana import Labeler
from bana.data.images import open_image
from bana.data.records import pixel_slices
from bana.errors import DataError, SettingsError
from bana.label.unaries import reached_share
from bana.label.upsampled import concat_low_level
from bana.nn.network import network_input
from box_probabilities import GivenProbability
from densecrf import DenseCRF, DenseCRFError, PreparedCRF
from reference import bap_loops, retrieval_naive, unaries_naive, upsampled_naive
from shapes_data import CLASSES, IMAGES, draw

DISK, SQUARE, CROSS = 1, 2, 3


@pytest.fixture(scope="module")
def labeler(tiny_run):
    labeler = Labeler.load(tiny_run, threads=1)
    return labeler.with_settings(labeler.settings.with_options(precision="float32"))  # as the slow versions


def photo(name):
    """An image of the tiny set, its boxes and its class ids."""
    size, shapes = IMAGES[name]
    return draw(size, shapes, seed=3), [box for _, box in shapes], [CLASSES.index(shape) + 1 for shape, _ in shapes]


def region(shape, boxes):
    inside = np.zeros(shape, bool)
    for box in boxes:
        inside[pixel_slices(box)] = True
    return inside


def with_options(labeler, **options):
    settings = labeler.settings.with_options(**options)
    return Labeler(labeler.model, labeler.classes, settings, roi_bins=2, threads=1)


def low_features(labeler, image):
    with torch.no_grad():
        return labeler.model(network_input(image, labeler.settings.image_side, 32))[0]


def background_map(features, size, boxes):
    """A (Eq. 2, 3 with one query) at image resolution, from features that are upsampled first."""
    background_mask = torch.from_numpy(~region(size, boxes))
    query = upsampled_naive.masked_mean(features, size, background_mask[None])
    return upsampled_naive.cosine(features, size, query)[0].relu()


def naive_y_crf(labeler, image, boxes, class_ids, **options):
    """Eq. 5 to 7 and the CRF, the slow way."""
    settings = labeler.settings.with_options(**options)
    size, present = image.shape[:2], sorted(set(class_ids))
    features = low_features(labeler, image)
    attention = background_map(features, size, boxes)
    unaries = [unaries_naive.background(attention.tolist(), boxes, settings.attention_threshold)]
    for label in present:
        cam = upsampled_naive.dot(features, size, labeler.model.class_weights[label][None]).relu()[0].tolist()
        own = [box for box, class_id in zip(boxes, class_ids, strict=True) if class_id == label]
        unaries.append(unaries_naive.of_class(cam, own, settings.cam_norm == "box"))
    return crf_labels(image, boxes, class_ids, unaries)


def crf_labels(image, boxes, class_ids, unaries):
    """Class ids (H, W) after the CRF, each class inside its own boxes only."""
    size, present = image.shape[:2], sorted(set(class_ids))
    fixed = ~region(size, boxes)
    marginals = DenseCRF(threads=1)(
        image, probabilities=np.array(unaries_naive.probabilities(unaries, boxes), np.float32), fixed=fixed
    )
    for number, label in enumerate(present, start=1):
        own = [box for box, class_id in zip(boxes, class_ids, strict=True) if class_id == label]
        marginals[number] *= region(size, own)
    return np.array([0, *present])[marginals.argmax(0)]


@pytest.mark.parametrize("name", list(IMAGES))
def test_y_crf_is_that_of_the_slow_formulas(labeler, name):
    image, boxes, class_ids = photo(name)
    found = labeler(image, boxes, class_ids).y_crf
    with torch.no_grad():
        expected = naive_y_crf(labeler, image, boxes, class_ids)
    assert (found == expected).mean() >= 0.999
    assert found.any()


def slow_prototypes(labeler, features, labels, classes):
    """Eq. 8; a class that the labels do not have is represented by its weights."""
    weights = labeler.model.class_weights.detach()
    found = retrieval_naive.prototypes(features, labels.shape, torch.from_numpy(labels), classes)
    return [weights[c] if vector is None else vector for c, vector in zip(classes, found, strict=True)]


@pytest.mark.parametrize("name", ["b", "d", "e"])
@pytest.mark.parametrize("rounds", [1, 2])
def test_a_refinement_is_a_crf_over_the_slow_retrieval(labeler, name, rounds):
    image, boxes, class_ids = photo(name)
    size, classes = image.shape[:2], [0, *sorted(set(class_ids))]
    before, after = (
        with_options(labeler, refinements=number, refinement_scale=7)(image, boxes, class_ids).y_crf
        for number in (rounds - 1, rounds)
    )
    features = low_features(labeler, image)
    prototypes = torch.stack(slow_prototypes(labeler, features, before, classes))
    similar = 7 * upsampled_naive.cosine(features, size, prototypes).relu().numpy()
    for unary, label in zip(similar[1:], classes[1:], strict=True):
        unary[~region(size, [b for b, c in zip(boxes, class_ids, strict=True) if c == label])] = -np.inf
    assert (after == crf_labels(image, boxes, class_ids, similar)).mean() >= 0.999


@pytest.mark.parametrize("name", ["b", "e"])
def test_the_finest_map_takes_part_in_attention_and_retrieval_but_not_in_cams(labeler, name):
    image, boxes, class_ids = photo(name)
    size, classes = image.shape[:2], [0, *sorted(set(class_ids))]
    finer = with_options(labeler, low_level=1.5)
    labels = finer(image, boxes, class_ids)
    with torch.no_grad():
        pixels = network_input(image, labeler.settings.image_side, 32)
        features = concat_low_level(labeler.model(pixels), labeler.model.backbone(pixels)[0], 1.5)[0]
        weights = F.pad(labeler.model.class_weights, (0, len(features) - 16))
        unaries = [unaries_naive.background(background_map(features, size, boxes).tolist(), boxes, 0.99)]
        for label in classes[1:]:
            own = [box for box, class_id in zip(boxes, class_ids, strict=True) if class_id == label]
            cam = upsampled_naive.dot(features, size, weights[label][None]).relu()[0].tolist()
            unaries.append(unaries_naive.of_class(cam, own, per_box=True))
    assert (labels.y_crf == crf_labels(image, boxes, class_ids, unaries)).mean() >= 0.999
    found = retrieval_naive.prototypes(features, size, torch.from_numpy(labels.y_crf), classes)
    prototypes = [weights[c].detach() if vector is None else vector for c, vector in zip(classes, found, strict=True)]
    regions = [
        torch.from_numpy(region(size, [b for b, c in zip(boxes, class_ids, strict=True) if c == label]))
        for label in classes[1:]
    ]
    expected = retrieval_naive.retrieved(features, size, prototypes, classes, regions).numpy()
    assert (labels.y_ret == expected).mean() >= 0.999
    plain = labeler(image, boxes, class_ids)
    assert [each.predicted_class for each in labels.instances] == [each.predicted_class for each in plain.instances]


def test_objects_reach_into_their_boxes(labeler):
    """A box twice as large as its disk: what is raised brings the class to the rows and columns without it."""
    image, boxes, class_ids = photo("a")
    x0, y0, x1, y1 = boxes[0]
    wide = [(x0, y0, min(2 * x1 - x0, image.shape[1]), min(2 * y1 - y0, image.shape[0]))]
    loose, tight = (with_options(labeler, tightness=share)(image, wide, class_ids) for share in (0.0, 1.0))
    place = pixel_slices(wide[0])
    shares = [reached_share(labels.y_crf[place] == class_ids[0]) for labels in (loose, tight)]
    assert shares[1] > shares[0]
    satisfied = with_options(labeler, tightness=shares[0])(image, wide, class_ids)
    np.testing.assert_array_equal(satisfied.y_crf, loose.y_crf)


def test_a_refiner_at_work_needs_no_objects_raised(labeler):
    """The box of the test above; a refiner that is a little for the whole of it leaves the choice to the marginals."""
    image, boxes, class_ids = photo("a")
    x0, y0, x1, y1 = boxes[0]
    wide = [(x0, y0, min(2 * x1 - x0, image.shape[1]), min(2 * y1 - y0, image.shape[0]))]
    other = with_options(labeler, refine=True, labeler_share=0.9)
    other.refiner = lambda image, boxes: [
        GivenProbability(pixel_slices(box), np.full((y1 - y0, x1 - x0), 0.6, np.float32))
        for box in boxes
        for x0, y0, x1, y1 in [box.astype(int)]
    ]
    loose, tight = (
        other.with_settings(other.settings.with_options(tightness=share))(image, wide, class_ids)
        for share in (0.0, 1.0)
    )
    np.testing.assert_array_equal(tight.confidence, loose.confidence)


@pytest.mark.parametrize("name", ["b", "d", "e"])
def test_y_ret_is_the_slow_retrieval_of_y_crf(labeler, name):
    image, boxes, class_ids = photo(name)
    size, labels = image.shape[:2], labeler(image, boxes, class_ids)
    classes = [0, *sorted(set(class_ids))]
    features = low_features(labeler, image)
    vectors = slow_prototypes(labeler, features, labels.y_crf, classes)
    regions = [
        torch.from_numpy(region(size, [b for b, c in zip(boxes, class_ids, strict=True) if c == label]))
        for label in classes[1:]
    ]
    expected = retrieval_naive.retrieved(features, size, vectors, classes, regions).numpy()
    assert (labels.y_ret == expected).mean() >= 0.999


def test_definite_background_is_background_and_certain(labeler):
    for name in IMAGES:
        image, boxes, class_ids = photo(name)
        labels = labeler(image, boxes, class_ids)
        background_mask = ~region(image.shape[:2], boxes)
        assert (labels.y_crf[background_mask] == 0).all()
        assert (labels.y_ret[background_mask] == 0).all()
        assert (labels.confidence[background_mask] == 1).all()
        assert (labels.confidence >= 0).all()
        assert (labels.confidence <= 1).all()
        assert labels.y_crf.dtype == np.uint8


def test_a_class_outside_its_boxes_never_appears(labeler):
    image, boxes, class_ids = photo("d")
    labels = labeler(image, boxes, class_ids)
    for label in (SQUARE, CROSS):
        own = region(image.shape[:2], [box for box, c in zip(boxes, class_ids, strict=True) if c == label])
        for each in (labels.y_crf, labels.y_ret):
            assert not (each == label)[~own].any()


def test_no_boxes_at_all_is_all_background(labeler):
    image, _, _ = photo("a")
    labels = labeler(image, [], [])
    assert not labels.y_crf.any()
    assert not labels.y_ret.any()
    assert (labels.confidence == 1).all()
    assert labels.instances == ()
    assert labels.agreement.all()


def test_a_box_that_covers_everything(labeler):
    image, boxes, class_ids = photo("f")
    labels = labeler(image, boxes, class_ids)
    assert labels.y_crf.shape == image.shape[:2]
    assert np.isfinite(labels.confidence).all()
    assert (labels.y_crf == SQUARE).any()
    assert np.isfinite([labels.instances[0].confidence, labels.instances[0].agreement]).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 3), (500, 20)])
def test_images_of_any_size(labeler, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    labels = labeler(image, [(0, 0, max(size[1] / 2, 1), size[0])], [DISK])
    assert labels.y_crf.shape == labels.y_ret.shape == labels.confidence.shape == size
    assert np.isfinite(labels.confidence).all()


def test_a_uniform_image(labeler):
    labels = labeler(np.full((40, 50, 3), 128, np.uint8), [(5, 5, 30, 30)], [DISK])
    assert np.isfinite(labels.confidence).all()


def test_instances_are_the_boxes_in_input_order(labeler):
    image, boxes, class_ids = photo("b")
    order = [boxes[1], boxes[0], boxes[1]]
    labels = labeler(image, order, [class_ids[1], class_ids[0], class_ids[1]])
    assert [tuple(instance.box) for instance in labels.instances] == order
    assert [instance.class_id for instance in labels.instances] == [class_ids[1], class_ids[0], class_ids[1]]
    for instance in labels.instances:
        inside = region(image.shape[:2], [instance.box])
        assert np.array_equal(instance.mask, inside & (labels.y_crf == instance.class_id))
        assert instance.status == ("ok" if instance.mask.any() else "empty")
        assert instance.filling_rate == pytest.approx(instance.mask.sum() / inside.sum())
        assert instance.agreement == pytest.approx((labels.y_crf == labels.y_ret)[inside].mean())
        assert instance.confidence == pytest.approx(labels.confidence[inside].mean(), abs=1e-6)
        assert instance.predicted_class in range(4)


def test_instance_aware_masks_share_no_pixel(labeler):
    image, boxes, _ = photo("b")
    x0, y0, x1, y1 = boxes[0]
    order, class_ids = [boxes[0], boxes[1], (x0 + (x1 - x0) // 3, y0, x1, y1)], [SQUARE, DISK, SQUARE]
    shared, divided = (
        with_options(labeler, tightness=0.7, instance_aware=aware)(image, order, class_ids) for aware in (False, True)
    )
    np.testing.assert_array_equal(divided.y_crf, shared.y_crf)
    whole, other, part = (instance.mask for instance in divided.instances)
    assert (shared.instances[0].mask & shared.instances[2].mask).any()
    assert not (whole & part).any()
    np.testing.assert_array_equal(whole | part, shared.instances[0].mask | shared.instances[2].mask)
    np.testing.assert_array_equal(other, shared.instances[1].mask)
    assert whole.any()
    assert part.any()


def test_crowd_regions_are_rejected_and_ignored(labeler):
    image, boxes, class_ids = photo("b")
    ignored = region(image.shape[:2], [boxes[1]])
    labels = labeler(image, boxes, class_ids, crowd=[False, True], ignored=ignored)
    assert [instance.status == "rejected" for instance in labels.instances] == [False, True]
    assert not labels.instances[1].mask.any()
    assert (labels.y_crf[ignored] == 255).all()
    assert (labels.y_ret[ignored] == 255).all()
    assert not labels.agreement[ignored].any()
    assert (labels.agreed[ignored] == 255).all()
    assert not (labels.y_crf == class_ids[1]).any()


def test_an_object_on_a_crowd_region_is_still_labeled(labeler):
    image, boxes, class_ids = photo("f")
    ignored = np.ones(image.shape[:2], bool)
    labels = labeler(image, boxes, class_ids, crowd=[False], ignored=ignored)
    assert set(np.unique(labels.y_crf)) <= {class_ids[0], 255}
    assert (labels.y_crf == class_ids[0]).any()


def test_boxes_partly_outside_the_image(labeler):
    image, _, _ = photo("a")
    labels = labeler(image, [(-20, -10, 50, 52), (200, 200, 300, 300)], [DISK, SQUARE])
    assert [instance.status for instance in labels.instances] == ["ok", "rejected"]
    assert labels.instances[0].box.tolist() == [-20, -10, 50, 52]
    assert not labels.y_crf[52:].any()
    assert not (labels.y_crf == SQUARE).any()


def test_a_box_around_no_pixel_center_at_the_border(labeler):
    """It once had no pixel, hence a mean of nothing."""
    image, _, _ = photo("a")
    height, width = image.shape[:2]
    (instance,) = labeler(image, [(width - 0.4, height - 0.4, width, height)], [DISK]).instances
    assert instance.status in ("ok", "empty")
    assert np.isfinite([instance.confidence, instance.agreement, instance.filling_rate]).all()


def test_a_class_that_the_crf_loses_is_empty_and_not_an_error(labeler):
    """Two boxes of two classes on the same place: one may vanish, and falls back to its weights."""
    image, boxes, _ = photo("a")
    labels = labeler(image, [boxes[0], boxes[0], boxes[0]], [DISK, SQUARE, CROSS])
    statuses = [instance.status for instance in labels.instances]
    assert set(statuses) <= {"ok", "empty"}
    for instance in labels.instances:
        assert (instance.status == "ok") == instance.mask.any()
    assert np.isfinite(labels.confidence).all()


def test_a_vanished_class_is_retrieved_by_its_weights(labeler, monkeypatch):
    """Y_crf without the class: its weight vector stands in for the prototype (Eq. 9)."""
    image, boxes, class_ids = photo("a")
    size = image.shape[:2]
    features = low_features(labeler, image)
    nothing = torch.stack([torch.ones(size), torch.zeros(size)])
    monkeypatch.setattr(PreparedCRF, "__call__", lambda *_, **__: nothing)
    labels = labeler(image, boxes, class_ids)
    assert not labels.y_crf.any()
    everything = upsampled_naive.masked_mean(features, size, torch.ones(1, *size, dtype=torch.bool))[0]
    weight = labeler.model.class_weights[DISK].detach()
    inside = torch.from_numpy(region(size, boxes))
    expected = retrieval_naive.retrieved(features, size, [everything, weight], [0, DISK], [inside])
    assert (labels.y_ret == expected.numpy()).mean() >= 0.999


def test_a_class_without_weights_is_labeled_through_1_minus_a(labeler):
    image, boxes, _ = photo("a")
    size = image.shape[:2]
    other = labeler.for_classes(["star", "disk"])
    assert other.without_weights() == ("star",)
    labels = other(image, boxes, [1])
    features = low_features(labeler, image)
    attention = background_map(features, size, boxes)
    unaries = [
        unaries_naive.background(attention.tolist(), boxes, 0.99),
        unaries_naive.of_class((1 - attention).tolist(), boxes, True),
    ]
    probabilities = np.array(unaries_naive.probabilities(unaries, boxes), np.float32)
    marginals = DenseCRF(threads=1)(image, probabilities=probabilities, fixed=~region(size, boxes))
    assert (labels.y_crf == marginals.argmax(0)).mean() >= 0.999
    assert labels.instances[0].predicted_class is None  # it has no say


def test_known_names_keep_their_weights_under_other_ids(labeler):
    image, boxes, class_ids = photo("b")
    other = labeler.for_classes(["Cross", "DISK", "Squa-re"])
    assert other.without_weights() == ()
    own, transferred = labeler(image, boxes, class_ids), other(image, boxes, [{1: 2, 2: 3, 3: 1}[c] for c in class_ids])
    renamed = np.array([0, 3, 1, 2])  # ids of the other list as own ones
    assert np.array_equal(own.y_crf, renamed[transferred.y_crf])
    assert np.array_equal(own.y_ret, renamed[transferred.y_ret])


@pytest.mark.parametrize("count", [254, 255, 300])
def test_many_classes(labeler, count):
    image, boxes, _ = photo("a")
    other = labeler.for_classes([f"class {number}" for number in range(count)])
    labels = other(image, boxes, [count])
    assert labels.y_crf.dtype == (np.uint8 if count <= 254 else np.uint16)
    assert labels.ignore_index == (255 if count <= 254 else 65535)
    assert set(np.unique(labels.y_crf)) == {0, count}
    assert labels.agreed.dtype == labels.y_crf.dtype


def test_predicted_classes_are_those_of_background_aware_pooling(labeler):
    """The box pooled by Eq. 4 with one query, each bin scored, and the mean score."""
    image, boxes, class_ids = photo("b")
    features = low_features(labeler, image)
    size = features.shape[1:]
    background_mask = torch.from_numpy(~region(image.shape[:2], boxes))[None, None].float()
    background_mask = F.interpolate(background_mask, size, mode="nearest-exact")[0]
    attention = bap_loops.attention_of_image(features, bap_loops.queries_of_image(features, background_mask, 1))
    scale = np.array([(size[1] - 1) / (image.shape[1] - 1), (size[0] - 1) / (image.shape[0] - 1)] * 2)
    for box, instance in zip(boxes, labeler(image, boxes, class_ids).instances, strict=True):
        on_map = torch.tensor((np.array(box) - 0.5) * scale, dtype=torch.float32)
        pooled = bap_loops.pooled_box(features, attention, on_map, 2).mean((1, 2))
        assert instance.predicted_class == int((labeler.model.class_weights @ pooled).argmax())


def test_u0_cam_is_the_backgrounds_own_activation(labeler):
    image, boxes, class_ids = photo("b")
    size = image.shape[:2]
    features = low_features(labeler, image)
    inside = region(size, boxes)
    cam = upsampled_naive.dot(features, size, labeler.model.class_weights[:1]).relu()[0].detach().numpy()
    seen = unaries_of(with_options(labeler, u0="cam"), image, boxes, class_ids)
    np.testing.assert_allclose(seen[0][inside], (cam / max(cam[inside].max(), 1e-12))[inside], atol=1e-4)
    assert (seen[0][~inside] == 1).all()


def test_attention_threshold_0_keeps_the_attention_as_it_is(labeler):
    image, boxes, class_ids = photo("b")
    inside = region(image.shape[:2], boxes)
    attention = background_map(low_features(labeler, image), image.shape[:2], boxes).numpy()
    seen = unaries_of(with_options(labeler, attention_threshold=0), image, boxes, class_ids)
    np.testing.assert_allclose(seen[0][inside], attention[inside], atol=1e-4)
    cut = unaries_of(labeler, image, boxes, class_ids)
    assert (cut[0][inside] == 0).sum() > (seen[0][inside] == 0).sum()


@pytest.mark.parametrize("name", ["b", "e"])
def test_several_queries_share_the_attention(labeler, name):
    """A is the mean over the cells of a 2 x 2 grid that have background, each with a query of its own (Eq. 1 to 3)."""
    image, boxes, class_ids = photo(name)
    (height, width), features = image.shape[:2], low_features(labeler, image)
    background = torch.from_numpy(~region((height, width), boxes))
    maps = []
    for top in (0, 1):
        for left in (0, 1):
            rows, columns = torch.arange(height) * 2 // height == top, torch.arange(width) * 2 // width == left
            cell = background & rows[:, None] & columns
            if cell.any():
                query = upsampled_naive.masked_mean(features, (height, width), cell[None])
                maps.append(upsampled_naive.cosine(features, (height, width), query)[0].relu())
    expected = torch.stack(maps).mean(0).numpy()
    seen = unaries_of(with_options(labeler, grid_size=2, attention_threshold=0), image, boxes, class_ids)[0]
    inside = ~background.numpy()
    np.testing.assert_allclose(seen[inside], expected[inside], atol=1e-4)
    assert len(maps) > 1


def test_without_background_the_attention_of_any_grid_is_0(labeler):
    image, _, _ = photo("b")
    boxes = [(0, 0, image.shape[1], image.shape[0])]
    seen = unaries_of(with_options(labeler, grid_size=3, attention_threshold=0), image, boxes, [1])[0]
    assert not seen.any()


def test_cam_norm_class_divides_by_the_maximum_of_the_image(labeler):
    image, boxes, class_ids = photo("e")  # two boxes of one class
    size = image.shape[:2]
    cam = upsampled_naive.dot(low_features(labeler, image), size, labeler.model.class_weights[DISK][None]).relu()
    cam = cam[0].detach().numpy()
    by_box = unaries_of(labeler, image, boxes, class_ids)[1]
    by_class = unaries_of(with_options(labeler, cam_norm="class"), image, boxes, class_ids)[1]
    assert [by_box[pixel_slices(box)].max() for box in boxes] == pytest.approx([1, 1])
    inside = region(size, boxes)
    np.testing.assert_allclose(by_class[inside], (cam / cam.max())[inside], atol=1e-4)


def test_similarity_at_feature_upsamples_cosines(labeler):
    image, boxes, class_ids = photo("b")
    size = image.shape[:2]
    features = low_features(labeler, image)
    background_mask = torch.from_numpy(~region(size, boxes))
    query = upsampled_naive.masked_mean(features, size, background_mask[None])
    expected = upsampled_naive.upsampled_cosine(features, size, query)[0].relu().numpy()
    chosen = with_options(labeler, similarity_at="feature", attention_threshold=0)
    inside = ~background_mask.numpy()
    np.testing.assert_allclose(unaries_of(chosen, image, boxes, class_ids)[0][inside], expected[inside], atol=1e-4)


def unaries_of(labeler, image, boxes, class_ids):
    """The unaries (V, H, W) that the labeler hands to the CRF, up to their softmax."""
    seen = []
    original = labeler._unaries

    def spy(view):
        seen.append(original(view))
        return seen[-1]

    labeler._unaries = spy
    try:
        labeler(image, boxes, class_ids)
    finally:
        del labeler._unaries
    return seen[0].numpy()


def test_bad_arguments_are_data_errors(labeler):
    image, boxes, _ = photo("a")
    with pytest.raises(DataError, match="class 4; give 1 to 3"):
        labeler(image, boxes, [4])


def test_a_photograph_from_disk(labeler, shapes_voc):
    image = open_image(shapes_voc / "JPEGImages" / "a.jpg")
    labels = labeler(image, [(10, 12, 50, 52)], [DISK])
    assert labels.instances[0].status == "ok"


def test_calling_twice_gives_the_same(labeler):
    image, boxes, class_ids = photo("b")
    first, second = labeler(image, boxes, class_ids), labeler(image, boxes, class_ids)
    assert np.array_equal(first.y_crf, second.y_crf)
    assert np.array_equal(first.confidence, second.confidence)


def test_what_the_crf_refuses_is_an_error_of_bana(labeler, monkeypatch):
    def refuse(*_, **__):
        raise DenseCRFError("image: too large")

    monkeypatch.setattr(labeler._crf, "prepare", refuse)
    with pytest.raises(SettingsError, match="image: too large"):
        labeler(*photo("a"))
