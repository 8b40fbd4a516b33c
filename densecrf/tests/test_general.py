"""What the CRF can do beyond two kernels on an RGB image, against the formula over all pairs."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densecrf import DenseCRF, Kernel
from densecrf.errors import DenseCRFError
from naive_lattice import lattice_filter_matrix
from naive_mean_field import mean_field, softmax


def places(grid):
    """Columns first, as the kernels have them: (N, axes)."""
    return np.stack([axis.ravel() for axis in reversed(np.meshgrid(*map(np.arange, grid), indexing="ij"))], axis=1)


def random_problem(grid, classes, seed, channels=(3,)):
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 60, (*grid, *channels), dtype=np.uint8)
    return image, generator.normal(size=(classes, *grid)).astype(np.float32) * 2


def features(image, grid, sxy, srgb):
    return np.concatenate([places(grid) / sxy, image.reshape(len(places(grid)), -1) / srgb], axis=1)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.integers(1, 7),
    st.integers(1, 7),
    st.integers(2, 6),
    st.floats(0.5, 20),
    st.floats(2, 40),
    st.floats(0, 0.9),
    st.integers(0, 2**31),
)
def test_equals_the_mean_field_of_the_lattices_as_matrices(height, width, classes, sxy, srgb, share, seed):
    grid = height, width
    image, unary = random_problem(grid, classes, seed)
    fixed = np.random.default_rng(seed).random(grid) < share
    sxy, srgb = np.float32(sxy), np.float32(srgb)
    kernel = 2 * lattice_filter_matrix(places(grid) / 1.7) + 3 * lattice_filter_matrix(features(image, grid, sxy, srgb))
    crf = DenseCRF(2, 1.7, 3, sxy, srgb, iterations=4)
    np.testing.assert_allclose(crf(image, unary, fixed=fixed), mean_field(unary, kernel, fixed, 4), atol=2e-4)


@pytest.mark.parametrize(
    ("grid", "channels"), [((40,), (2,)), ((40,), ()), ((9, 8), (5,)), ((9, 8), ()), ((4, 5, 6), (1,))]
)
def test_any_grid_and_any_channels(grid, channels):
    image, unary = random_problem(grid, 3, 1, channels)
    kernel = lattice_filter_matrix(features(image, grid, 3, 20))
    crf = DenseCRF(kernels=[Kernel(1.5, 3, 20)], iterations=3)
    expected = mean_field(unary.reshape(3, -1), 1.5 * kernel, None, 3).reshape(unary.shape)
    np.testing.assert_allclose(crf(image, unary), expected, atol=1e-4)


def test_a_sigma_for_every_axis_and_channel():
    grid = 9, 8
    image, unary = random_problem(grid, 2, 2)
    scaled = np.concatenate([places(grid) / [5, 2], image.reshape(-1, 3) / [10, 20, 30]], axis=1)
    crf = DenseCRF(kernels=[Kernel(2, (2, 5), (10, 20, 30))], iterations=3)
    np.testing.assert_allclose(
        crf(image, unary), mean_field(unary, 2 * lattice_filter_matrix(scaled), None, 3), atol=1e-4
    )


@pytest.mark.parametrize("weight", [1, 3])
def test_a_compatibility_says_what_pairs_of_labels_cost(weight):
    grid, classes = (7, 8), 3
    image, unary = random_problem(grid, classes, 3)
    matrix = np.array([[0, 1, 2], [1, 0, 0.5], [2, 0.5, 0]])
    filters = lattice_filter_matrix(features(image, grid, 4, 20)), lattice_filter_matrix(places(grid) / 2)
    costs, marginals = unary.reshape(classes, -1), softmax(-unary.reshape(classes, -1))
    for _ in range(3):
        marginals = softmax(-costs - weight * matrix @ marginals @ filters[0].T + 2 * marginals @ filters[1].T)
    crf = DenseCRF(kernels=[Kernel(weight, 4, 20, compatibility=matrix), Kernel(2, 2)], iterations=3)
    np.testing.assert_allclose(crf(image, unary).reshape(classes, -1), marginals, atol=1e-4)


def test_potts_as_a_matrix_or_a_diagonal_is_potts():
    image, unary = random_problem((9, 8), 4, 4)
    potts = DenseCRF(kernels=[Kernel(4, 5, 20)])(image, unary)
    for compatibility in (1 - np.eye(4), -np.eye(4), np.ones(4)):
        crf = DenseCRF(kernels=[Kernel(4, 5, 20, compatibility=compatibility)])
        np.testing.assert_allclose(crf(image, unary), potts, atol=1e-4)


def test_ignored_pixels_take_no_part():
    grid = 9, 8
    image, unary = random_problem(grid, 3, 5)
    ignore = np.random.default_rng(5).random(grid) < 0.4
    fixed = np.random.default_rng(6).random(grid) < 0.3
    seen = ~ignore.ravel()
    kernel = lattice_filter_matrix(features(image, grid, 4, 20)[seen])
    expected = softmax(-unary.reshape(3, -1).astype(np.float64))
    inside = mean_field(unary.reshape(3, -1)[:, seen], 3 * kernel, fixed.ravel()[seen], 4)
    expected[:, seen] = inside
    found = DenseCRF(kernels=[Kernel(3, 4, 20)], iterations=4)(image, unary, fixed=fixed, ignore=ignore)
    np.testing.assert_allclose(found.reshape(3, -1), expected, atol=1e-4)


def test_the_cost_of_every_update():
    grid, classes = (7, 8), 3
    image, unary = random_problem(grid, classes, 7)
    kernel = 2 * lattice_filter_matrix(features(image, grid, 4, 20))
    result = DenseCRF(kernels=[Kernel(2, 4, 20)], iterations=5).infer(image, unary)
    assert result.updates == 5
    for updates in (0, 3, 5):
        q = mean_field(unary, kernel, None, updates).reshape(classes, -1)
        pairs = 0.5 * (kernel.sum() - np.einsum("ci,ij,cj", q, kernel, q))
        assert result.unary_energy[updates] == pytest.approx((q * unary.reshape(classes, -1)).sum(), abs=1e-2)
        assert result.pairwise_energy[updates] == pytest.approx(pairs, rel=1e-3)
        assert result.entropy[updates] == pytest.approx(-(q * np.log(q)).sum(), rel=1e-3)
    assert result.kl[-1] < result.kl[0]
    np.testing.assert_allclose(
        result.marginals, DenseCRF(kernels=[Kernel(2, 4, 20)], iterations=5)(image, unary), atol=1e-5
    )


def test_updates_end_when_nothing_changes_by_more_than_the_tolerance():
    image, unary = random_problem((12, 10), 3, 8)
    every = [DenseCRF(iterations=n)(image, unary) for n in range(41)]
    contrasts = [marginals - marginals[0] for marginals in every]
    changes = [np.abs(new - old).max() for old, new in itertools.pairwise(contrasts)]
    last = next(n for n, change in enumerate(changes, start=1) if change < 1e-3)
    assert 2 < last < 40
    for threads in (1, 3):
        early = DenseCRF(iterations=40, tolerance=1e-3, threads=threads)(image, unary)
        np.testing.assert_array_equal(early, every[last])


def test_tensors_in_tensors_out():
    torch = pytest.importorskip("torch")
    image, unary = random_problem((9, 8), 3, 9)
    fixed = np.random.default_rng(0).random((9, 8)) < 0.5
    expected = DenseCRF()(image, unary, fixed=fixed)
    tensors = torch.from_numpy(image), torch.from_numpy(unary).requires_grad_()
    found = DenseCRF()(*tensors, fixed=torch.from_numpy(fixed))
    assert isinstance(found, torch.Tensor)
    np.testing.assert_array_equal(found.numpy(), expected)


def test_a_prepared_image_gives_the_same_bits_for_every_unary():
    image, unary = random_problem((9, 8), 3, 10)
    fixed = np.random.default_rng(0).random((9, 8)) < 0.5
    crf = DenseCRF(threads=2)
    prepared = crf.prepare(image, fixed)
    with crf.prepare(image, fixed) as other:
        for costs in (unary, unary[:2], np.concatenate([unary] * 3)):
            expected = crf(image, costs, fixed=fixed)
            np.testing.assert_array_equal(other(costs), expected)
            np.testing.assert_array_equal(prepared(costs), expected)
    with pytest.raises(DenseCRFError, match="inside its with block"):
        other(unary)
    with pytest.raises(DenseCRFError, match=r"unary: \(9, 7\) is not allowed"):
        prepared(unary[:, :, :7])


@pytest.mark.parametrize("compatibility", [None, [[0, 1, 2], [1, 0, 1], [2, 1, 0]]])
def test_a_call_of_a_prepared_image_may_have_its_own_number_of_updates(compatibility):
    image, unary = random_problem((9, 8), 3, 10)
    kernels = [Kernel(3, 3, compatibility=compatibility), Kernel(4, 55, 3)]
    prepared = DenseCRF(kernels=kernels, iterations=4).prepare(image)
    for updates in (0, 1, 7):
        expected = DenseCRF(kernels=kernels, iterations=updates)(image, unary)
        np.testing.assert_array_equal(prepared(unary, iterations=updates), expected)
    np.testing.assert_array_equal(prepared(unary), DenseCRF(kernels=kernels, iterations=4)(image, unary))
    with pytest.raises(DenseCRFError, match="iterations"):
        prepared(unary, iterations=-1)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_batch_is_every_image_in_order(threads):
    problems = [random_problem((5 + n, 9), 2 + n % 3, n) for n in range(7)]
    images, unaries = zip(*problems, strict=True)
    fixed = [None if n % 2 else np.arange(9 * (5 + n)).reshape(5 + n, 9) % 3 == 0 for n in range(7)]
    found = DenseCRF(threads=threads).batch(images, unaries, fixed=fixed)
    for marginals, image, unary, mask in zip(found, images, unaries, fixed, strict=True):
        np.testing.assert_array_equal(marginals, DenseCRF()(image, unary, fixed=mask))
    stacked = np.stack([unaries[0]] * 2)  # arrays, which have no truth value
    for marginals in DenseCRF(threads=threads).batch(np.stack([images[0]] * 2), stacked):
        np.testing.assert_array_equal(marginals, DenseCRF()(images[0], unaries[0]))
    with pytest.raises(DenseCRFError, match="unaries: 6 for 7 images"):
        DenseCRF().batch(images, unaries[:6])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"weight": -1}, "weight: -1 is not allowed"),
        ({"sxy": 0}, "sxy: 0 is not allowed"),
        ({"sxy": (3, 0)}, "sxy.1.: 0 is not allowed"),
        ({"sxy": None}, "sxy: None is not a number"),
        ({"srgb": float("nan")}, "srgb: nan is not finite"),
        ({"compatibility": "potts"}, "compatibility: 'potts' is not a matrix"),
        ({"compatibility": np.ones((2, 3))}, "compatibility: shape .2, 3."),
        ({"compatibility": [[0, 1], [2, 0]]}, "give a symmetric matrix"),
        ({"compatibility": [[0, np.nan], [np.nan, 0]]}, "give a symmetric matrix"),
        ({"normalization": "row"}, "normalization: 'row' is not allowed; give one of symmetric, before, after, none"),
    ],
)
def test_bad_kernels_are_named(arguments, named):
    with pytest.raises(DenseCRFError, match=named):
        Kernel(**{"weight": 1, "sxy": 3, **arguments})


def test_kernels_that_do_not_fit_the_image_are_named():
    image, unary = random_problem((4, 5), 2, 0)
    for kernel, named in (
        (Kernel(1, (3, 3, 3)), "sxy: .3.0, 3.0, 3.0. is not allowed; give one number or 2"),
        (Kernel(1, 3, (3, 3)), "srgb: .3.0, 3.0. is not allowed; give one number or 3"),
        (Kernel(1, 3, compatibility=np.eye(3)), "compatibility: of 3 classes; the unary has 2"),
    ):
        with pytest.raises(DenseCRFError, match=named):
            DenseCRF(kernels=[kernel])(image, unary)
    with pytest.raises(DenseCRFError, match="kernels: 3 is not allowed"):
        DenseCRF(kernels=[3])
