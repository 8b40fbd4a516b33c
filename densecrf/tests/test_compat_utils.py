"""The helpers of pydensecrf.utils."""

import numpy as np
import pytest

from densecrf.compat import utils


def test_unaries_from_labels_and_probabilities():
    unsure = utils.unary_from_labels(np.array([[0, 1], [2, 1]]), 2, 0.7)
    np.testing.assert_allclose(np.exp(-unsure), [[0.5, 0.7, 0.3, 0.7], [0.5, 0.3, 0.7, 0.3]], atol=1e-6)
    sure = utils.unary_from_labels([0, 2], 3, 0.6, zero_unsure=False)
    np.testing.assert_allclose(np.exp(-sure), [[0.6, 0.2], [0.2, 0.2], [0.2, 0.6]], atol=1e-6)
    probabilities = np.array([[[0.2, 0.0]], [[0.8, 1.1]]])
    np.testing.assert_allclose(np.exp(-utils.unary_from_softmax(probabilities)), [[0.2, 1e-5], [0.8, 1]], atol=1e-6)
    scaled = utils.unary_from_softmax(probabilities[..., :1], scale=0.5, clip=None)
    np.testing.assert_allclose(np.exp(-scaled), [[0.35], [0.65]], atol=1e-6)
    assert scaled.dtype == np.float32
    with pytest.warns(DeprecationWarning, match="unary_from_labels"):
        np.testing.assert_array_equal(utils.compute_unary([[0, 1], [2, 1]], 2, 0.7), unsure)
    with pytest.warns(DeprecationWarning, match="unary_from_softmax"):
        assert utils.softmax_to_unary(probabilities)[0, 1] == np.inf


def test_features():
    places = utils.create_pairwise_gaussian((2, 4), (3, 5))
    np.testing.assert_array_equal(places, np.mgrid[:3, :5].reshape(2, -1) / np.array([[2], [4]]))
    values = np.arange(30.0).reshape(3, 5, 2)
    both = utils.create_pairwise_bilateral((2, 4), (1, 8), values, chdim=2)
    np.testing.assert_array_equal(both[:2], places)
    np.testing.assert_array_equal(both[2:], values.reshape(-1, 2).T / np.array([[1], [8]]))
    np.testing.assert_array_equal(
        utils.create_pairwise_bilateral((2, 4), 2, values[..., 0]), [*places, values[..., 0].reshape(-1) / 2]
    )
    assert both.dtype == np.float32
