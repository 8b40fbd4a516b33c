"""AffinityNet's pairs, loss and walk, one cell after the other, with dense matrices."""

import math


def cells_of(height, width):
    return [(y, x) for y in range(height) for x in range(width)]


def affinity(features, first, second):
    """exp of minus the L1 distance of two cells' features; features are a nested list (C, h, w)."""
    return math.exp(-sum(abs(channel[first[0]][first[1]] - channel[second[0]][second[1]]) for channel in features))


def near(first, second, radius):
    return math.dist(first, second) < radius


def pair_losses(features, labels, radius, unknown=-1):
    """Sums and counts over object pairs, background pairs and pairs of two classes, of one image."""
    sums, counts = [0.0] * 3, [0] * 3
    cells = cells_of(len(labels), len(labels[0]))
    for number, first in enumerate(cells):
        for second in cells[number + 1 :]:
            a, b = labels[first[0]][first[1]], labels[second[0]][second[1]]
            if not near(first, second, radius) or unknown in (a, b):
                continue
            together = affinity(features, first, second)
            kind = 2 if a != b else int(a == 0)
            sums[kind] += -math.log(1 - together) if a != b else -math.log(together)
            counts[kind] += 1
    return sums, counts


def transition_matrix(features, radius, power):
    """(hw, hw) as nested lists."""
    cells = cells_of(len(features[0]), len(features[0][0]))
    weights = [
        [affinity(features, first, second) ** power if near(first, second, radius) else 0.0 for second in cells]
        for first in cells
    ]
    return [[value / sum(row) for value in row] for row in weights]
