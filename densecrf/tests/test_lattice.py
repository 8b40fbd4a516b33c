import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densecrf.embedding import key_space
from densecrf.errors import DenseCRFError
from densecrf.lattice import Term, build_filter, build_lattice
from densecrf.subset import lattice_of_points
from densecrf.workspace import Arrays, Workspace
from naive_lattice import lattice_filter_matrix
from naive_mean_field import kernel_matrix


def filter_matrix(features, threads=1, lanes=(0,) * 4, points=None):
    """The lattice's filter as a matrix: its answer to every unit vector, as many at a time as there are lanes."""
    with Workspace(threads) as work:
        lattice = build_lattice([Term(1, "symmetric", np.ascontiguousarray(features.T, dtype=np.float32))], work)
        if points is not None:
            lattice = lattice_of_points(lattice, np.array(points, dtype=np.uint32), work)
        count = len(lattice.vertex)
        units = np.eye(count, count + -count % len(lanes), dtype=np.float32)
        blocks = units.reshape(count, -1, len(lanes)).transpose(1, 0, 2).reshape(-1, count * len(lanes))
        answer = lattice.filter(np.ascontiguousarray(blocks), lanes, work)
        return answer.reshape(len(blocks), count, len(lanes)).transpose(1, 0, 2).reshape(count, -1)[:, :count].copy()


def random_features(count, reach, seed):
    generator = np.random.default_rng(seed)
    return generator.uniform(0, reach, size=(count, len(reach))).astype(np.float32)


@pytest.mark.parametrize(
    "reach",
    [(4,), (3, 2), (0.01, 0.01), (8, 6, 5), (2, 1.5, 3, 3, 3), (4000, 3000, 1700, 1700, 1700)],
    ids=lambda reach: "x".join(map(str, reach)),
)
def test_filter_equals_the_dictionary_lattice(reach):
    features = random_features(90, reach, seed=len(reach))
    features[45:] = features[:45] + np.float32(0.3)  # neighbors at every reach
    expected = lattice_filter_matrix(features.astype(np.float64))
    np.testing.assert_allclose(filter_matrix(features), expected, atol=1e-5 + 1e-6 * max(reach))


@pytest.mark.parametrize("sxy", [3, 1, 0.15, 2.9])
def test_filter_of_a_pixel_grid_equals_the_dictionary_lattice(sxy):
    """Grid points lie on the borders of simplices: ties decide which vertices exist."""
    rows, columns = np.mgrid[:9, :11]
    features = (np.stack([columns.ravel(), rows.ravel()], axis=1) / sxy).astype(np.float32)
    np.testing.assert_allclose(filter_matrix(features), lattice_filter_matrix(features.astype(np.float64)), atol=1e-5)


def test_wide_features_use_64_bit_keys_and_usual_ones_32():
    usual = np.array([[0, 0, 0, 0, 0], [500 / 55, 375 / 55, 85, 85, 85]], dtype=np.float32)
    assert key_space(usual.T).dtype is np.uint32
    assert key_space(20 * usual.T).dtype is np.uint64


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 30), st.integers(1, 5), st.floats(0.01, 30), st.integers(0, 2**31))
def test_filter_of_any_features_equals_the_dictionary_lattice(count, dimensions, reach, seed):
    features = random_features(count, (reach,) * dimensions, seed)
    matrix = filter_matrix(features)
    assert (np.diag(matrix) > 0).all()
    assert matrix.min() > -1e-5
    np.testing.assert_allclose(matrix, lattice_filter_matrix(features.astype(np.float64)), atol=1e-4)


def test_filter_is_near_the_exact_gaussian():
    rows, columns = np.mgrid[:20, :20]
    features = np.stack([columns.ravel(), rows.ravel()], axis=1) / 3
    exact = kernel_matrix(features)
    smooth = np.sin(np.arange(400) / 15)
    approximate = filter_matrix(features)
    # Measured: 0.02 and 21 % of the kernel's peak, at the corners.
    assert np.abs(approximate @ smooth - exact @ smooth).max() < 0.03
    assert np.abs(approximate - exact).max() < 0.25 * exact.max()


@pytest.mark.parametrize("lanes", [1, 8])
def test_any_number_of_lanes_gives_the_same_bits(lanes):
    features = random_features(50, (2, 1.5, 3), seed=1)
    np.testing.assert_array_equal(filter_matrix(features, lanes=(0,) * lanes), filter_matrix(features))


def test_filter_between_some_points_is_that_part_of_the_whole():
    features = random_features(60, (2, 1.5, 3), seed=2)
    points = [3, 4, 5, 8, 20, 21, 40, 59]
    whole = filter_matrix(features)[np.ix_(points, points)]
    np.testing.assert_allclose(filter_matrix(features, points=points), whole, atol=1e-7)


@pytest.mark.parametrize("normalization", ["before", "after", "none"])
def test_normalizations(normalization):
    features = random_features(40, (2, 1.5), seed=4)
    columns = np.ascontiguousarray(features.T)
    with Workspace(1) as work:
        plain = build_filter(columns, work, Arrays())
        sums = plain.row_sums.copy()
        lattice = build_lattice([Term(2, normalization, columns)], work)
        ones = lattice.filter(np.ones((1, 40), dtype=np.float32), (0,), work)[0].copy()
        scaled = lattice.filter(sums[None], (0,), work)[0].copy()
    if normalization == "none":
        np.testing.assert_allclose(ones, 2 * sums / (1 + 2.0**-2), rtol=1e-5)
    elif normalization == "before":
        np.testing.assert_allclose(scaled, 2 * sums, rtol=1e-5)  # K D^-1 (D 1)
    else:
        np.testing.assert_allclose(ones, 2, rtol=1e-5)  # D^-1 K 1


def test_same_bits_for_any_thread_count():
    features = random_features(301, (6, 5, 8, 8, 8), seed=3)
    one = filter_matrix(features)
    for threads in (2, 3, 7):
        np.testing.assert_array_equal(filter_matrix(features, threads), one)


def test_more_threads_than_points():
    features = random_features(2, (1, 1), seed=0)
    np.testing.assert_array_equal(filter_matrix(features, threads=5), filter_matrix(features))


def test_features_beyond_float32_are_refused():
    with Workspace(1) as work, pytest.raises(DenseCRFError, match="enlarge sxy or srgb"):
        build_filter(np.array([[0, 1e6], [0, 0]], dtype=np.float32), work, Arrays())


def test_features_beyond_64_bit_keys_are_refused():
    with Workspace(1) as work, pytest.raises(DenseCRFError, match="63 are allowed"):
        build_filter(np.repeat(np.array([[0, 5e4]], dtype=np.float32), 5, axis=0), work, Arrays())


def test_too_many_entries_are_refused_before_any_work():
    endless = np.broadcast_to(np.float32(0), (5, 2**31 // 6 + 1))
    with Workspace(1) as work, pytest.raises(DenseCRFError, match="lattice entries"):
        build_lattice([Term(1, "symmetric", endless)], work)
