import numpy as np
import pytest

import densecrf.compat as dcrf
from densecrf import DenseCRF, Kernel
from densecrf.compat import utils
from densecrf.errors import DenseCRFError
from naive_lattice import enclosing_simplex, lattice_filter_matrix
from naive_mean_field import mean_field, pixel_features, softmax

HEIGHT, WIDTH, LABELS = 8, 10, 3
POINTS = HEIGHT * WIDTH


@pytest.fixture
def unary():
    return np.random.default_rng(0).normal(size=(LABELS, POINTS)).astype(np.float32)


@pytest.fixture
def image():
    generator = np.random.default_rng(1)
    patches = np.kron(generator.integers(0, 200, (2, 2, 3)), np.ones((4, 5, 1)))
    return (patches + generator.integers(0, 20, (HEIGHT, WIDTH, 3))).astype(np.uint8)


def crf_of(unary, module=dcrf):
    crf = module.DenseCRF2D(WIDTH, HEIGHT, LABELS)
    crf.setUnaryEnergy(unary)
    return crf


def updates(unary, pairs, iterations):
    """Marginals of updates with costs of pairs, given as (matrix of labels, kernel matrix)."""
    marginals = softmax(-unary.astype(np.float64))
    for _ in range(iterations):
        marginals = softmax(-unary - sum(costs @ marginals @ kernel.T for costs, kernel in pairs))
    return marginals


def anisotropic_features(image, sxy, srgb=None):
    """Places along x and y divided by their own sigmas; then colors."""
    features = pixel_features(image, 1, 1 if srgb else None)
    return features / np.array([*sxy, *(srgb or ())])


def test_equals_the_mean_field_of_the_formula(image, unary):
    crf = crf_of(unary)
    crf.addPairwiseGaussian(sxy=(2, 3), compat=3)
    crf.addPairwiseBilateral(sxy=(6, 4), srgb=(20, 30, 40), rgbim=image, compat=4)
    kernel = 3 * lattice_filter_matrix(anisotropic_features(image, (2, 3)))
    kernel += 4 * lattice_filter_matrix(anisotropic_features(image, (6, 4), (20, 30, 40)))
    expected = mean_field(unary.reshape(LABELS, HEIGHT, WIDTH), kernel, None, 4).reshape(LABELS, -1)
    result = np.array(crf.inference(4))
    assert (result.shape, result.dtype) == ((LABELS, POINTS), np.float32)
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_equals_the_native_crf(image, unary):
    crf = crf_of(unary)
    crf.addPairwiseGaussian(3, 3, dcrf.FULL_KERNEL, dcrf.NORMALIZE_SYMMETRIC)
    crf.addPairwiseBilateral(55, 9, image, 4)
    native = DenseCRF(bilateral_srgb=9, iterations=5)(image, unary.reshape(LABELS, HEIGHT, WIDTH))
    np.testing.assert_allclose(crf.inference(5), native.reshape(LABELS, -1), atol=1e-5)


def test_free_features_are_the_built_in_ones(image, unary):
    built_in, free, helper = crf_of(unary), crf_of(unary), dcrf.DenseCRF(POINTS, LABELS)
    helper.setUnary(dcrf.ConstUnary(unary))
    built_in.addPairwiseBilateral(5, 20, image, 4)
    free.addPairwiseEnergy(anisotropic_features(image, (5, 5), (20, 20, 20)).T, 4)
    features = utils.create_pairwise_bilateral((5, 5), (20, 20, 20), image, chdim=2)
    helper.addPairwiseEnergy(features[[1, 0, 2, 3, 4]], compat=4)
    for crf in (free, helper):
        np.testing.assert_allclose(crf.inference(3), built_in.inference(3), atol=1e-5)


@pytest.mark.parametrize(
    ("compat", "costs"),
    [
        (2, -2 * np.eye(LABELS)),
        (-1.5, 1.5 * np.eye(LABELS)),
        ([1, -2, 0.5], np.diag([1, -2, 0.5])),
        (np.arange(9.0).reshape(3, 3), np.array([[0, 2, 4], [2, 4, 6], [4, 6, 8]])),
    ],
)
def test_compat_is_a_gain_or_costs(image, unary, compat, costs):
    crf = crf_of(unary)
    crf.addPairwiseGaussian((2, 3), compat)
    crf.addPairwiseGaussian(4, 1.0)
    kernels = (lattice_filter_matrix(anisotropic_features(image, sxy)) for sxy in ((2, 3), (4, 4)))
    expected = updates(unary, list(zip((costs, -np.eye(LABELS)), kernels, strict=True)), 3)
    np.testing.assert_allclose(crf.inference(3), expected, atol=1e-4)


@pytest.mark.parametrize("side", ["BEFORE", "AFTER"])
def test_normalization(image, unary, side):
    crf = crf_of(unary)
    crf.addPairwiseGaussian((2, 3), 2, normalization=getattr(dcrf, f"NORMALIZE_{side}"))
    symmetric = lattice_filter_matrix(anisotropic_features(image, (2, 3)))
    values, vectors = np.linalg.eig(symmetric)
    root = np.abs(vectors[:, np.abs(values - 1).argmin()].real)  # of the row sums: D^-1/2 K D^-1/2 keeps it
    kernel = symmetric * root / root[:, None] if side == "AFTER" else symmetric * root[:, None] / root
    expected, other = (updates(unary, [(-2 * np.eye(LABELS), matrix)], 3) for matrix in (kernel, symmetric))
    np.testing.assert_allclose(crf.inference(3), expected, atol=1e-4)
    assert abs(expected - other).max() > 1e-3


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_no_normalization_leaves_the_kernel_alone(dimensions):
    features = np.random.default_rng(dimensions).normal(size=(dimensions, 1))
    simplex = enclosing_simplex(features[:, 0])
    values = dict(simplex)
    for direction in range(dimensions + 1):
        step = np.where(np.arange(dimensions + 1) == direction, -dimensions, 1)
        ends = ((vertex, [tuple(int(x) for x in np.add(vertex, side * step)) for side in (1, -1)]) for vertex in values)
        values = {vertex: values[vertex] + sum(values.get(end, 0) for end in pair) / 2 for vertex, pair in ends}
    kernel = sum(share * values[vertex] for vertex, share in simplex.items()) / (1 + 2.0**-dimensions)
    crf = dcrf.DenseCRF(1, 2)
    unary = np.array([[0.0], [1.0]])
    crf.setUnaryEnergy(unary)
    crf.addPairwiseEnergy(features, 0.5, normalization=dcrf.NO_NORMALIZATION)
    expected = updates(unary, [(-0.5 * np.eye(2), np.array([[kernel]]))], 3)
    np.testing.assert_allclose(crf.inference(3), expected, atol=1e-6)


def test_steps_are_inference_and_change_the_array(image, unary):
    crf = crf_of(unary)
    crf.addPairwiseBilateral(5, 20, image, 4)
    marginals, first, second = crf.startInference()
    np.testing.assert_allclose(marginals, softmax(-unary), atol=1e-6)
    for _ in range(3):
        crf.stepInference(marginals, first, second)
    np.testing.assert_allclose(marginals, crf.inference(3), atol=1e-5)


def test_kl_divergence_counts_a_pair_twice(image, unary):
    crf = crf_of(unary)
    crf.addPairwiseBilateral(5, 20, image, 4)
    native = DenseCRF(kernels=[Kernel(4, 5, 20, compatibility=-np.eye(LABELS))], iterations=2)
    result = native.infer(image, unary.reshape(LABELS, HEIGHT, WIDTH))
    expected = result.unary_energy[-1] + 2 * result.pairwise_energy[-1] - result.entropy[-1]
    assert crf.klDivergence(crf.inference(2)) == pytest.approx(expected, rel=1e-4)


def test_unaries(unary):
    left, right = np.random.default_rng(0).normal(size=(2, 4, 4))
    crf = dcrf.DenseCRF(4, 4)
    crf.setUnary(dcrf.LogisticUnary(left, right))
    np.testing.assert_allclose(crf.inference(0), softmax(-left @ right), atol=1e-6)
    crf.setUnaryEnergy(left, right)
    np.testing.assert_allclose(crf.inference(0), softmax(-left @ right), atol=1e-6)
    crf.setUnaryEnergy(np.where(np.eye(4), np.inf, 0))
    np.testing.assert_allclose(crf.inference(1), (1 - np.eye(4)) / 3, atol=1e-6)
    one = dcrf.DenseCRF(4, 1)
    one.setUnaryEnergy(left[:1])
    one.addPairwiseEnergy(right, 1)
    np.testing.assert_array_equal(one.inference(2), np.ones((1, 4)))


def test_arrays_may_have_any_order_and_type_and_are_copied(image, unary):
    results = []
    for order, dtype in (("C", np.float32), ("F", np.float64)):
        given_unary, given_image = unary.astype(dtype, order=order), image.copy(order=order)
        crf = crf_of(given_unary)
        features = anisotropic_features(image, (3, 3)).T.astype(np.float32, order="C")
        crf.addPairwiseEnergy(features, 1)
        crf.addPairwiseBilateral(5, 20, given_image, 4)
        for array in (given_unary, given_image, features):
            array[:] = 0
        results.append(crf.inference(3))
    np.testing.assert_array_equal(*results)


FEATURES = np.zeros((2, POINTS))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda crf, image: dcrf.DenseCRF2D(0, 5, 2),
        lambda crf, image: dcrf.DenseCRF(5.5, 2),
        lambda crf, image: dcrf.DenseCRF(5, None),
        lambda crf, image: crf.setUnaryEnergy(np.zeros((LABELS, HEIGHT, WIDTH))),
        lambda crf, image: crf.setUnaryEnergy(np.zeros((POINTS, LABELS))),
        lambda crf, image: crf.setUnaryEnergy(np.full((LABELS, POINTS), np.nan)),
        lambda crf, image: crf.setUnaryEnergy(np.full((LABELS, POINTS), "a")),
        lambda crf, image: crf.setUnaryEnergy(None),
        lambda crf, image: crf.setUnary(np.zeros((LABELS, POINTS))),
        lambda crf, image: crf.setUnary(dcrf.Unary()),
        lambda crf, image: dcrf.LogisticUnary(np.ones((3, 2)), np.ones((3, 2))),
        lambda crf, image: dcrf.LogisticUnary(np.full((3, 2), 1e300), np.ones((2, 4))),
        lambda crf, image: crf.addPairwiseGaussian(0, 1),
        lambda crf, image: crf.addPairwiseGaussian((3, -3), 1),
        lambda crf, image: crf.addPairwiseGaussian((3, 3, 3), 1),
        lambda crf, image: crf.addPairwiseGaussian("wide", 1),
        lambda crf, image: crf.addPairwiseGaussian(3, [1, 2]),
        lambda crf, image: crf.addPairwiseGaussian(3, np.ones((2, 3))),
        lambda crf, image: crf.addPairwiseGaussian(3, np.nan),
        lambda crf, image: crf.addPairwiseGaussian(3, None),
        lambda crf, image: crf.addPairwiseGaussian(3, "much"),
        lambda crf, image: crf.addPairwiseGaussian(3, 1, kernel=7),
        lambda crf, image: crf.addPairwiseGaussian(3, 1, normalization="none"),
        lambda crf, image: crf.addPairwiseBilateral(3, (1, 2), image, 1),
        lambda crf, image: crf.addPairwiseBilateral(3, 0, image, 1),
        lambda crf, image: crf.addPairwiseBilateral(3, 3, image.transpose(1, 0, 2), 1),
        lambda crf, image: crf.addPairwiseBilateral(3, 3, image[:, :, 0], 1),
        lambda crf, image: crf.addPairwiseBilateral(3, 3, image / 255, 1),
        lambda crf, image: crf.addPairwiseEnergy(FEATURES.T, 1),
        lambda crf, image: crf.addPairwiseEnergy(FEATURES[0], 1),
        lambda crf, image: crf.addPairwiseEnergy(FEATURES + np.inf, 1),
        lambda crf, image: crf.addPairwiseEnergy(FEATURES + 1e300, 1),
        lambda crf, image: crf.addPairwiseEnergy(FEATURES + 1e30, 1),
        lambda crf, image: crf.inference(-1),
        lambda crf, image: crf.inference(5),
        lambda crf, image: crf.startInference(),
        lambda crf, image: crf.klDivergence(np.zeros((LABELS, POINTS))),
        lambda crf, image: utils.unary_from_labels([0, 1], 2, 1.0),
        lambda crf, image: utils.unary_from_labels([0, 1], 1, 0.5),
        lambda crf, image: utils.unary_from_labels([0, 2], 2, 0.5, zero_unsure=False),
        lambda crf, image: utils.unary_from_labels([0.5], 2, 0.5),
        lambda crf, image: utils.unary_from_softmax([[0.5], [0.5]], scale=0),
        lambda crf, image: utils.unary_from_softmax([[np.nan], [0.5]]),
        lambda crf, image: utils.unary_from_softmax([[-0.1], [0.5]], clip=None),
        lambda crf, image: utils.create_pairwise_gaussian((1, 2), (3,)),
        lambda crf, image: utils.create_pairwise_gaussian((0,), (3,)),
        lambda crf, image: utils.create_pairwise_bilateral((1, 1), (1, 2), image, 2),
        lambda crf, image: utils.create_pairwise_bilateral((1, 1), 1, image, 3),
        lambda crf, image: utils.create_pairwise_bilateral((1,), 1, [[np.inf]]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(image, wrong):
    with pytest.raises(DenseCRFError) as caught:
        wrong(dcrf.DenseCRF2D(WIDTH, HEIGHT, LABELS), image)
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value) or "is not a number" in str(caught.value)


@pytest.mark.parametrize("marginals", [np.zeros((LABELS, 5), np.float32), np.zeros((LABELS, POINTS)), [[1.0]]])
def test_steps_need_the_array_of_start(unary, marginals):
    with pytest.raises(DenseCRFError, match="Q: "):
        crf_of(unary).stepInference(marginals, None, None)


def test_one_import_has_the_names_of_both_modules():
    """Those of pydensecrf.densecrf 1.1 and of pydensecrf.utils."""
    kernels = ["CONST_KERNEL", "DIAG_KERNEL", "FULL_KERNEL", "KernelType"]
    normalizations = ["NO_NORMALIZATION", "NORMALIZE_BEFORE", "NORMALIZE_AFTER", "NORMALIZE_SYMMETRIC"]
    classes = ["DenseCRF", "DenseCRF2D", "Unary", "ConstUnary", "LogisticUnary", "NormalizationType"]
    assert {*kernels, *normalizations, *classes} <= set(dir(dcrf))
    helpers = ["unary_from_labels", "unary_from_softmax", "compute_unary", "softmax_to_unary"]
    for name in [*helpers, "create_pairwise_gaussian", "create_pairwise_bilateral"]:
        assert getattr(dcrf, name) is getattr(utils, name)


def test_eigen_is_not_offered():
    with pytest.raises(NotImplementedError, match="give and take numpy arrays"):
        _ = dcrf.eigen
    with pytest.raises(AttributeError):
        _ = dcrf.nothing


@pytest.mark.parametrize("normalization", range(4))
@pytest.mark.parametrize(
    "compat", [0.1, -0.1, np.float32([0.1, -0.2, 0.3]), np.float32(np.arange(9).reshape(3, 3)) / 20]
)
def test_equals_the_original(image, unary, normalization, compat):
    original = pytest.importorskip("pydensecrf.densecrf")
    results = []
    for module in (dcrf, original):
        crf = crf_of(unary, module)
        crf.addPairwiseGaussian((2, 3), compat, module.DIAG_KERNEL, normalization)
        crf.addPairwiseBilateral((5, 4), (20, 30, 40), image, compat, module.FULL_KERNEL, normalization)
        marginals, *rest = crf.startInference()
        crf.stepInference(marginals, *rest)
        results.append((np.array(crf.inference(4)), np.array(marginals), crf.klDivergence(marginals)))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
