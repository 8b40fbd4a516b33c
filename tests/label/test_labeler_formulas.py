"""How the labeler joins its formulas, with features and marginals that are given: no network is trained."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bana import Labeler
from bana.classify.model import BoxClassifier
from bana.label import labeler as labeler_module
from bana.label import view as view_module
from bana.label.boxes import BoxedImage
from bana.label.settings import LabelSettings
from bana.nn.backbones import Backbone, BackboneInfo
from densecrf import DenseCRF, PreparedCRF
from reference import bap_loops, retrieval_naive, unaries_naive, upsampled_naive

SIZE = (34, 45)
BOXES = ((3, 4, 25, 22), (18, 12, 41, 31), (30, 1, 44, 9))
CLASS_IDS = (2, 1, 2)
PRESENT = (0, 1, 2)


def make_labeler(roi_bins=2, **options):
    torch.manual_seed(0)
    info = BackboneInfo((6,), (8,), (0.0,) * 3, (1.0,) * 3, "none", "none")
    model = BoxClassifier(Backbone(nn.Identity(), info), 3, None)
    nn.init.normal_(model.classifier.weight)
    settings = LabelSettings(precision="float32", **options)
    return Labeler(model, ("one", "two", "three"), settings, roi_bins, threads=1)


@pytest.fixture
def features():
    """(1, 6, 5, 6), half of them negative, as where a backbone's finest map takes part."""
    return torch.randn(1, 6, 5, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def boxed_image(image):
    return BoxedImage(image, BOXES, CLASS_IDS, None, None, 3)


def own_boxes(class_id):
    return [box for box, number in zip(BOXES, CLASS_IDS, strict=True) if number == class_id]


def region(boxes):
    inside = torch.zeros(SIZE, dtype=torch.bool)
    for x0, y0, x1, y1 in boxes:
        inside[y0:y1, x0:x1] = True
    return inside


def regions():
    """Where each label may be: bool (V, H, W)."""
    return torch.stack([torch.ones(SIZE, dtype=torch.bool), *(region(own_boxes(label)) for label in PRESENT[1:])])


def attention_of(features):
    """A from one query of the definite background, at image resolution."""
    query = upsampled_naive.masked_mean(features[0], SIZE, ~region(BOXES)[None])
    return upsampled_naive.cosine(features[0], SIZE, query)[0].relu()


def cam_of(labeler, features, label):
    """w_c . f before the ReLU."""
    return upsampled_naive.dot(features[0], SIZE, labeler.model.class_weights[label][None].detach())[0]


@pytest.fixture
def seen_unaries(monkeypatch):
    """The unaries (V, H, W) of every run of the CRF."""
    seen, original = [], view_module.label_probabilities

    def spy(unaries, background_mask):
        seen.append(unaries.clone())
        return original(unaries, background_mask)

    monkeypatch.setattr(view_module, "label_probabilities", spy)
    return seen


@pytest.fixture
def given_marginals(monkeypatch):
    """Lets the CRF answer with marginals that are given, whatever it is asked."""

    def give(marginals):
        monkeypatch.setattr(PreparedCRF, "__call__", lambda *_, **__: marginals.clone())

    return give


def random_marginals(seed=2):
    return torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(seed)).softmax(0)


@pytest.mark.parametrize(
    "options", [{}, {"attention_threshold": 0.5}, {"cam_norm": "class"}, {"attention_threshold": 0.0}]
)
def test_unaries_are_those_of_the_slow_formulas(features, image, seen_unaries, options):
    """CAMs are negative in places; there u_c is 0."""
    labeler = make_labeler(**options)
    labeler.from_features(features, image, boxed_image(image))
    threshold, per_box = options.get("attention_threshold", 0.99), options.get("cam_norm") != "class"
    cams = {label: cam_of(labeler, features, label) for label in PRESENT[1:]}
    assert all((cam[region(own_boxes(label))] < 0).any() for label, cam in cams.items())
    expected = [unaries_naive.background(attention_of(features).tolist(), BOXES, threshold)]
    for label, cam in cams.items():
        expected.append(unaries_naive.of_class(cam.relu().tolist(), own_boxes(label), per_box))
    torch.testing.assert_close(seen_unaries[0], torch.tensor(expected), atol=1e-4, rtol=1e-4)


def test_u0_by_the_backgrounds_cam_is_cut_at_0_too(features, image, seen_unaries):
    labeler = make_labeler(u0="cam")
    labeler.from_features(features, image, boxed_image(image))
    cam, inside = cam_of(labeler, features, 0), region(BOXES)
    assert (cam[inside] < 0).any()
    expected = torch.where(inside, cam.relu() / cam[inside].max(), 1.0)
    torch.testing.assert_close(seen_unaries[0][0], expected, atol=1e-4, rtol=1e-4)


def test_a_class_without_weights_is_1_minus_an_attention_that_is_never_negative(features, image, seen_unaries):
    """Where a pixel is the opposite of the background, A is 0 and not less."""
    labeler = make_labeler().for_classes(["one", "star", "three"])
    labeler.from_features(features, image, boxed_image(image))
    attention = attention_of(features)
    assert (attention == 0)[region(own_boxes(2))].any()
    expected = unaries_naive.of_class((1 - attention).tolist(), own_boxes(2), True)
    torch.testing.assert_close(seen_unaries[0][2], torch.tensor(expected), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("u0", ["attention", "cam"])
def test_activations_of_object_unaries_are_never_negative(features, image, monkeypatch, u0):
    """Eq. 6 has a ReLU, and ``object_unary`` counts on it: CAMs, the background's too, come without negative values."""
    given, original = [], labeler_module.object_unary

    def spy(activation, places, per_box):
        given.append(activation.clone())
        return original(activation, places, per_box)

    monkeypatch.setattr(labeler_module, "object_unary", spy)
    labeler = make_labeler(u0=u0)
    labeler.from_features(features, image, boxed_image(image))
    inside = region(BOXES)
    background = [cam_of(labeler, features, 0) * inside] if u0 == "cam" else []
    cams = background + [cam_of(labeler, features, label) for label in PRESENT[1:]]
    assert all((cam < 0).any() for cam in cams)
    for found, cam in zip(given, cams, strict=True):
        torch.testing.assert_close(found, cam.relu(), atol=1e-4, rtol=1e-4)


def test_y_crf_has_no_class_outside_its_own_boxes(features, image, given_marginals):
    """The CRF spreads classes wherever it likes; what it says outside a class's boxes does not count."""
    marginals = random_marginals()
    marginals[2] += 1
    given_marginals(marginals)
    labels = make_labeler().from_features(features, image, boxed_image(image))
    expected = (marginals * regions()).argmax(0)
    assert (marginals.argmax(0) != expected).float().mean() > 0.3
    np.testing.assert_array_equal(labels.y_crf, expected)
    assert (labels.y_crf == 2).any()
    assert not (labels.y_crf == 2)[~region(own_boxes(2)).numpy()].any()


def test_confidence_is_the_marginal_of_the_label_and_1_on_definite_background(features, image, given_marginals):
    marginals = random_marginals()
    marginals[2] += 1  # the greatest, but not allowed everywhere
    given_marginals(marginals)
    labels = make_labeler().from_features(features, image, boxed_image(image))
    chosen = marginals.gather(0, torch.from_numpy(labels.y_crf.astype("int64"))[None])[0]
    np.testing.assert_allclose(labels.confidence, torch.where(region(BOXES), chosen, 1.0), atol=1e-6)


def test_y_ret_has_no_class_outside_its_own_boxes(features, image, given_marginals):
    """By the slow retrieval from prototypes of Y_crf; without the boxes it would be another."""
    given_marginals(random_marginals())
    labels = make_labeler().from_features(features, image, boxed_image(image))
    y_crf = torch.from_numpy(labels.y_crf.astype("int64"))
    vectors = retrieval_naive.prototypes(features[0], SIZE, y_crf, PRESENT)
    expected = retrieval_naive.retrieved(features[0], SIZE, vectors, PRESENT, list(regions()[1:]))
    anywhere = retrieval_naive.retrieved(features[0], SIZE, vectors, PRESENT, [region(BOXES)] * 2)
    assert (expected != anywhere).float().mean() > 0.05
    assert (labels.y_ret == expected.numpy()).mean() > 0.999


def test_a_class_that_vanished_is_retrieved_by_its_own_weights(features, image, given_marginals):
    marginals = random_marginals()
    marginals[1] = 0
    given_marginals(marginals)
    labeler = make_labeler()
    labels = labeler.from_features(features, image, boxed_image(image))
    assert not (labels.y_crf == 1).any()
    vectors = retrieval_naive.prototypes(features[0], SIZE, torch.from_numpy(labels.y_crf.astype("int64")), PRESENT)
    vectors[1] = labeler.model.class_weights[1].detach()
    expected = retrieval_naive.retrieved(features[0], SIZE, vectors, PRESENT, list(regions()[1:]))
    assert (expected == 1).any()
    assert (labels.y_ret == expected.numpy()).mean() > 0.999


def test_a_class_without_weights_that_vanished_is_retrieved_by_its_boxes_weighted_by_1_minus_a(
    features, image, given_marginals
):
    marginals = random_marginals()
    marginals[2] = 0
    given_marginals(marginals)
    labeler = make_labeler().for_classes(["one", "star", "three"])
    labels = labeler.from_features(features, image, boxed_image(image))
    vectors = retrieval_naive.prototypes(features[0], SIZE, torch.from_numpy(labels.y_crf.astype("int64")), PRESENT)
    weight = (1 - attention_of(features)) * region(own_boxes(2))
    vectors[2] = (upsampled_naive.upsample(features[0], SIZE) * weight).sum((1, 2)) / weight.sum()
    expected = retrieval_naive.retrieved(features[0], SIZE, vectors, PRESENT, list(regions()[1:]))
    assert (expected == 2).any()
    assert (labels.y_ret == expected.numpy()).mean() > 0.999


def test_the_crf_keeps_definite_background_as_it_is(features, image, monkeypatch):
    asked, original = [], DenseCRF.prepare

    def spy(self, image, fixed=None, **options):
        asked.append(fixed)
        return original(self, image, fixed, **options)

    monkeypatch.setattr(DenseCRF, "prepare", spy)
    make_labeler().from_features(features, image, boxed_image(image))
    np.testing.assert_array_equal(asked[0], ~region(BOXES))


def test_what_is_raised_in_empty_rows_and_columns_adds_up(features, image, seen_unaries, given_marginals):
    """An object that the CRF loses again and again is raised by 2 in each of two further runs, then it stays."""
    nothing = torch.zeros(3, *SIZE)
    nothing[0] = 1
    given_marginals(nothing)
    make_labeler(tightness=0.5).from_features(features, image, boxed_image(image))
    first, second, third = seen_unaries
    for label in PRESENT[1:]:
        torch.testing.assert_close(second[label] - first[label], 2.0 * region(own_boxes(label)))
        torch.testing.assert_close(third[label] - second[label], 2.0 * region(own_boxes(label)))
    assert torch.equal(third[0], first[0])


def test_a_refinement_has_the_scaled_similarity_to_prototypes_as_unaries(
    features, image, seen_unaries, given_marginals
):
    """No class outside its boxes: minus infinity there."""
    given_marginals(random_marginals())
    labels = make_labeler(refinements=1, refinement_scale=7).from_features(features, image, boxed_image(image))
    y_crf = torch.from_numpy(labels.y_crf.astype("int64"))  # the same at every run of this CRF
    prototypes = torch.stack(retrieval_naive.prototypes(features[0], SIZE, y_crf, PRESENT))
    expected = 7 * upsampled_naive.cosine(features[0], SIZE, prototypes).relu()
    expected[~regions()] = -torch.inf
    torch.testing.assert_close(seen_unaries[1], expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("roi_bins", [1, 2])
def test_predicted_classes_are_those_of_the_pooling_loops(features, image, given_marginals, roi_bins):
    """Eq. 4 with one query; without the attention some box would get another class."""
    given_marginals(random_marginals())
    labeler = make_labeler(roi_bins=roi_bins)
    labels = labeler.from_features(features, image, boxed_image(image))
    outside = F.interpolate((~region(BOXES))[None, None].float(), (5, 6), mode="nearest-exact")[0]
    attention = bap_loops.attention_of_image(features[0], bap_loops.queries_of_image(features[0], outside, 1))
    scale = np.array([5 / (SIZE[1] - 1), 4 / (SIZE[0] - 1)] * 2)
    expected, plain = [], []
    for box in BOXES:
        on_map = torch.tensor((np.array(box) - 0.5) * scale, dtype=torch.float32)
        for found, weight in ((expected, attention), (plain, 0 * attention)):
            pooled = bap_loops.pooled_box(features[0], weight, on_map, roi_bins).mean((1, 2))
            found.append(int((labeler.model.class_weights @ pooled).argmax()))
    assert expected != plain
    assert [instance.predicted_class for instance in labels.instances] == expected
