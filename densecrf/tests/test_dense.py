import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from densecrf import DenseCRF
from densecrf.arguments import PROBABILITY_FLOOR
from densecrf.compiled import compiled
from naive_lattice import lattice_filter_matrix
from naive_mean_field import dense_crf, kernel_matrix, mean_field, pixel_features, softmax

PHOTOGRAPH = Path(__file__).with_name("photograph.jpg")
HEIGHT, WIDTH = 24, 32


def scene(seed, height=HEIGHT, width=WIDTH):
    """A noisy photograph-like image: a disk on a sloping background; and which pixels are the disk."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    image = np.empty((height, width, 3))
    image[:] = generator.integers(40, 200, 3)
    image += (rows * generator.uniform(-2, 2) + columns * generator.uniform(-2, 2))[:, :, None]
    disk = np.hypot(rows - height * 0.5, columns - width * 0.4) < 0.3 * min(height, width)
    image[disk] = generator.integers(0, 255, 3)
    image += generator.normal(size=image.shape) * 4
    return np.clip(image, 0, 255).astype(np.uint8), disk


def blocky_unary(classes, seed, height=HEIGHT, width=WIDTH):
    generator = np.random.default_rng(seed)
    coarse = generator.normal(size=(classes, -(-height // 4), -(-width // 4)))
    return np.kron(coarse, np.ones((1, 4, 4)))[:, :height, :width].astype(np.float32)


@pytest.mark.parametrize("classes", [2, 3, 5, 6])
@pytest.mark.parametrize("share_fixed", [0.0, 0.4])
def test_equals_mean_field_with_the_dictionary_lattices(classes, share_fixed):
    height, width = 11, 14
    image, _ = scene(classes, height, width)
    unary = blocky_unary(classes, 1, height, width)
    fixed = np.random.default_rng(0).random((height, width)) < share_fixed
    kernel = 3 * lattice_filter_matrix(pixel_features(image, 3)) + 4 * lattice_filter_matrix(
        pixel_features(image, 20, 9)
    )
    expected = mean_field(unary, kernel, fixed, iterations=5)
    crf = DenseCRF(bilateral_sxy=20, bilateral_srgb=9, iterations=5)
    np.testing.assert_allclose(crf(image, unary, fixed=fixed), expected, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("settings_", "mean_error", "agreement"),
    # Measured over these seeds: the lattice's own error, to which float32 adds nothing visible.
    [({"bilateral_weight": 0}, 0.02, 0.97), ({}, 0.06, 0.93), ({"bilateral_sxy": 121, "bilateral_srgb": 5}, 0.08, 0.9)],
)
@pytest.mark.parametrize("with_fixed", [False, True])
def test_near_the_exact_dense_sum(seed, settings_, mean_error, agreement, with_fixed):
    image, disk = scene(seed)
    unary = blocky_unary(2 + seed, seed)
    unary[1] -= disk
    fixed = np.zeros(disk.shape, dtype=bool)
    fixed[:, :8] = with_fixed
    exact = dense_crf(image, unary, fixed, **settings_)
    ours = DenseCRF(**settings_)(image, unary, fixed=fixed)
    assert np.abs(ours - exact).mean() < mean_error
    assert (ours.argmax(0) == exact.argmax(0)).mean() > agreement


def test_exact_kernel_rows_are_normalized_symmetrically():
    kernel = kernel_matrix(pixel_features(scene(0, 5, 6)[0], 3))
    np.testing.assert_allclose(kernel, kernel.T)
    assert np.linalg.eigvalsh(kernel).max() == pytest.approx(1)


def test_cleans_up_a_noisy_unary():
    image, disk = scene(5, 60, 80)
    noise = np.random.default_rng(0).normal(size=disk.shape) * 2
    foreground = np.where(disk, 0.5, -0.5) + noise
    unary = np.stack([foreground, -foreground])
    before = (unary.argmin(0) == disk).mean()
    after = (DenseCRF()(image, unary).argmax(0) == disk).mean()
    assert before < 0.65
    assert after > 0.9


def test_marginals_are_distributions_of_float32():
    marginals = DenseCRF()(scene(0)[0], blocky_unary(5, 0))
    assert marginals.dtype == np.float32
    assert marginals.shape == (5, HEIGHT, WIDTH)
    assert marginals.min() >= 0
    np.testing.assert_allclose(marginals.sum(0), 1, atol=1e-6)


@pytest.mark.parametrize("crf", [DenseCRF(iterations=0), DenseCRF(gaussian_weight=0, bilateral_weight=0)])
def test_without_iterations_or_kernels_it_is_a_softmax(crf):
    unary = blocky_unary(4, 0) * 10
    np.testing.assert_allclose(crf(scene(0)[0], unary), softmax(-unary.astype(np.float64)), atol=1e-6)


def test_permuting_the_classes_permutes_the_marginals():
    image, _ = scene(1)
    unary = blocky_unary(5, 1)
    order = [3, 0, 4, 1, 2]
    np.testing.assert_allclose(DenseCRF()(image, unary[order]), DenseCRF()(image, unary)[order], atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1])
def test_flipping_the_image_flips_the_marginals_within_lattice_error(axis):
    image, disk = scene(2)
    unary = blocky_unary(3, 2)
    unary[1] -= 2 * disk
    plain = DenseCRF()(image, unary)
    flipped = np.flip(DenseCRF()(np.flip(image, axis), np.flip(unary, axis + 1)), axis + 1)
    assert np.abs(plain - flipped).mean() < 0.05  # measured: 0.034, and 94.4 % of the labels
    assert (plain.argmax(0) == flipped.argmax(0)).mean() > 0.93


def test_a_constant_shift_of_the_unary_changes_nothing():
    image, _ = scene(3)
    unary = blocky_unary(4, 3)
    np.testing.assert_allclose(DenseCRF()(image, unary + 7), DenseCRF()(image, unary), atol=1e-4)


def test_a_constant_image_with_a_constant_unary_stays_constant_inside():
    unary = np.broadcast_to(np.float32([0.5, 0.7, 0.9])[:, None, None], (3, HEIGHT, WIDTH))
    marginals = DenseCRF()(np.full((HEIGHT, WIDTH, 3), 128, np.uint8), unary)
    assert (marginals.argmax(0) == 0).all()
    assert np.ptp(marginals[0]) < 0.01


def test_impossible_classes_keep_the_others_apart():
    """A huge cost of class 0 must not swallow the float32 digits of the other classes' costs."""
    image, _ = scene(0)
    unary = blocky_unary(3, 0)
    unary[0] = 1e9
    pair = DenseCRF()(image, unary[1:])
    np.testing.assert_allclose(DenseCRF()(image, unary)[1:], pair, atol=1e-4)


def test_fixed_pixels_keep_exactly_their_distribution():
    image, _ = scene(4)
    unary = blocky_unary(4, 4)
    fixed = np.random.default_rng(4).random((HEIGHT, WIDTH)) < 0.5
    start = DenseCRF(iterations=0)(image, unary)
    end = DenseCRF()(image, unary, fixed=fixed)
    np.testing.assert_array_equal(end[:, fixed], start[:, fixed])
    assert np.abs(end - start)[:, ~fixed].max() > 0.1
    np.testing.assert_array_equal(DenseCRF()(image, unary, fixed=np.ones_like(fixed)), start)
    np.testing.assert_array_equal(DenseCRF()(image, unary, fixed=np.zeros_like(fixed)), DenseCRF()(image, unary))


def test_probabilities_are_the_unary_of_their_logarithm():
    image, _ = scene(6)
    probabilities = softmax(blocky_unary(3, 6)).astype(np.float32)
    probabilities[:, 2, 3] = [1, 0, 0]
    unary = -np.log(np.maximum(probabilities, np.float32(PROBABILITY_FLOOR)))
    np.testing.assert_array_equal(DenseCRF()(image, probabilities=probabilities), DenseCRF()(image, unary))


def test_same_bits_for_any_thread_count_and_run():
    image, _ = scene(7, 61, 83)
    unary = blocky_unary(5, 7, 61, 83)
    expected = DenseCRF(threads=1)(image, unary)
    for threads in (1, 2, 3, 8):
        np.testing.assert_array_equal(DenseCRF(threads=threads)(image, unary), expected)


def test_the_environment_sets_the_thread_count_and_torch_is_not_loaded():
    program = (
        "import sys; from densecrf import DenseCRF; from densecrf.workspace import default_thread_count;"
        "print(default_thread_count(), 'torch' in sys.modules)"
    )
    environment = {**os.environ, "NUMBA_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]


def test_one_instance_serves_many_threads():
    crf = DenseCRF(threads=2)
    problems = [(scene(i, 20 + i, 30)[0], blocky_unary(2 + i % 4, i, 20 + i, 30)) for i in range(12)]
    expected = [crf(*problem) for problem in problems]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(expected, pool.map(lambda problem: crf(*problem), problems * 2), strict=False):
            np.testing.assert_array_equal(one, other)


def test_inputs_are_neither_changed_nor_needed_contiguous_or_writable():
    image, _ = scene(8, 48, 64)
    unary = blocky_unary(3, 8, 48, 64).astype(np.float64)
    image, unary = image[::2, ::2], unary[:, ::2, ::2]
    copies = image.copy(), unary.copy()
    image.flags.writeable = unary.flags.writeable = False
    marginals = DenseCRF()(image, unary)
    np.testing.assert_array_equal(image, copies[0])
    np.testing.assert_array_equal(unary, copies[1])
    np.testing.assert_array_equal(marginals, DenseCRF()(copies[0], copies[1].astype(np.float32)))


def test_an_instance_survives_pickling():
    image, _ = scene(9)
    unary = blocky_unary(2, 9)
    crf = DenseCRF(bilateral_srgb=7, iterations=3)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(crf))(image, unary), crf(image, unary))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 7),
    st.sampled_from([1e-300, 0.01, 0.3, 3, 55, 1e6, 3e38]),
    st.sampled_from([1e-300, 0.01, 0.3, 3, 55, 1e6, 3e38]),
    st.integers(0, 2**31),
)
def test_tiny_images_give_distributions(height, width, classes, sxy, srgb, seed):
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    unary = generator.normal(size=(classes, height, width)) * 10.0 ** generator.integers(-2, 6)
    fixed = generator.random((height, width)) < 0.3
    marginals = DenseCRF(gaussian_sxy=sxy, bilateral_sxy=sxy, bilateral_srgb=srgb, iterations=3)(
        image, unary, fixed=fixed
    )
    assert marginals.min() >= 0
    np.testing.assert_allclose(marginals.sum(0), 1, atol=1e-6)


def test_tiny_sigmas_leave_only_the_own_term():
    """With K the identity a pixel sees but itself: the mean field of every pixel alone."""
    image, _ = scene(10)
    unary = blocky_unary(3, 10)
    expected = mean_field(unary, 7 * np.eye(HEIGHT * WIDTH), np.zeros((HEIGHT, WIDTH), bool), iterations=10)
    crf = DenseCRF(gaussian_sxy=0.01, bilateral_sxy=0.01, bilateral_srgb=0.01)
    np.testing.assert_allclose(crf(image, unary), expected, atol=1e-4)


def test_kernels_compile_where_no_cache_can_be_written(monkeypatch):
    njit = numba.njit

    def without_folder(**options):
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", without_folder)

    @compiled
    def double(x):
        return 2 * x

    assert double(21) == 42


def test_labels_of_a_real_photograph_follow_its_edges():
    with Image.open(PHOTOGRAPH) as photograph:
        image = np.array(photograph.resize((48, 36)))
    unary = blocky_unary(3, 0, 36, 48)
    exact = dense_crf(image, unary)
    ours = DenseCRF()(image, unary)
    assert np.abs(ours - exact).mean() < 0.06
    assert (ours.argmax(0) == exact.argmax(0)).mean() > 0.9
