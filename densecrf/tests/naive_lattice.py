"""The permutohedral lattice filter of Adams, Baek and Davis (2010) with a dictionary of vertices, in float64."""

import itertools
from collections import defaultdict

import numpy as np


def lattice_filter_matrix(features):
    """D^-1/2 K D^-1/2 as the lattice approximates it; features (N, d), already divided by their sigmas."""
    count, d = features.shape
    around = [enclosing_simplex(feature) for feature in features]
    splat = defaultdict(lambda: np.zeros(count))
    for point, simplex in enumerate(around):
        for vertex, weight in simplex.items():
            splat[vertex][point] += weight
    values = dict(splat)
    for direction in range(d + 1):
        step = np.ones(d + 1, dtype=int)
        step[direction] = -d
        values = {
            vertex: value
            + 0.5 * values.get(tuple(np.add(vertex, step)), 0)
            + 0.5 * values.get(tuple(np.subtract(vertex, step)), 0)
            for vertex, value in values.items()
        }
    kernel = np.array([sum(weight * values[vertex] for vertex, weight in simplex.items()) for simplex in around])
    kernel /= 1 + 2.0**-d
    norm = 1 / np.sqrt(kernel.sum(axis=1))
    return norm[:, None] * kernel * norm[None, :]


def enclosing_simplex(feature):
    """The vertices around a feature, as tuples of d+1 integers, with their barycentric weights."""
    d = len(feature)
    axes = np.arange(1, d + 1)
    scaled = feature * np.sqrt(2 / 3) * (d + 1) / np.sqrt(axes * (axes + 1))
    lifted = np.array([scaled[i:].sum() - (i * scaled[i - 1] if i else 0) for i in range(d + 1)])
    base = nearest_vertex_of_remainder_0(lifted, d)
    order = np.argsort(-np.round(lifted - base, 9), kind="stable")
    differences = (lifted - base)[order] / (d + 1)
    simplex = {}
    for k in range(d + 1):
        vertex = base + k
        vertex[order[d + 1 - k :]] -= d + 1
        weight = differences[d - k] - differences[d + 1 - k] if k else 1 + differences[d] - differences[0]
        simplex[tuple(int(coordinate) for coordinate in vertex)] = weight
    return simplex


def nearest_vertex_of_remainder_0(lifted, d):
    """The nearest point whose coordinates are multiples of d+1 and sum to 0, found among the roundings up and down.

    Of equally near ones that which rounds the earlier coordinates up: it decides which vertices of weight 0 exist, and
    those pass values on in the blur.
    """
    floor = np.floor(lifted / (d + 1))
    candidates = (floor + np.array(up) for up in itertools.product((1, 0), repeat=d + 1))
    balanced = [(d + 1) * candidate for candidate in candidates if candidate.sum() == 0]
    return min(balanced, key=lambda candidate: round(((candidate - lifted) ** 2).sum(), 9)).astype(int)
