"""Confidence against how often it is right."""

import numpy as np
import pytest

from bana.evaluate.calibration import BINS, Calibration


def slow_bins(confidence, right):
    """One pixel after the other."""
    bins = {}
    for value, good in zip(confidence, right, strict=True):
        place = next(k for k in range(BINS) if value < (k + 1) / BINS or k == BINS - 1)
        bins.setdefault(place, []).append((value, good))
    return [
        (np.mean([v for v, _ in found]), np.mean([g for _, g in found]), len(found) / len(confidence))
        for _, found in sorted(bins.items())
    ]


def test_bins_are_those_of_the_obvious_way():
    chance = np.random.default_rng(0)
    confidence = np.concatenate([chance.uniform(size=997), [0.0, 1.0, 0.999]])
    right = chance.uniform(size=1000) < confidence**2
    calibration = Calibration()
    calibration.update(confidence.reshape(20, 50), right.reshape(20, 50))
    expected = slow_bins(confidence, right)
    found = [(each.confidence, each.right, each.share) for each in calibration.bins()]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    error = sum(share * abs(mean - good) for mean, good, share in expected)
    assert calibration.expected_error() == pytest.approx(error)


def test_parts_add_up():
    chance = np.random.default_rng(1)
    values, right = chance.uniform(size=(2, 300)), chance.uniform(size=(2, 300)) < 0.5
    parts = [Calibration(), Calibration()]
    whole = Calibration()
    for part, value, good in zip(parts, values, right, strict=True):
        part.update(value, good)
        whole.update(value, good)
    assert (parts[0] + parts[1]).bins() == whole.bins()


def test_trustworthy_confidence_has_no_error_and_no_pixel_has_none():
    calibration = Calibration()
    assert calibration.bins() == []
    assert np.isnan(calibration.expected_error())
    calibration.update(np.array([1.0, 1.0, 0.0]), np.array([True, True, False]))
    assert calibration.expected_error() == 0
