"""Correction of a box's mask at points, pixel by pixel and point by point."""

import math

import numpy as np


def corrected(probability, image, points, reach, color_reach, known, noise, limit):
    """The corrected probability (h, w) of a box that is the whole image; points (x, y, is_object) at pixel centers."""

    def odds(value):
        value = min(max(float(value), limit), 1 - limit)
        return math.log(value / (1 - value))

    def color(x, y):
        row, column = int(y), int(x)
        patch = image[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].reshape(-1, 3)
        return patch.mean(0)

    def kernel(first, second):
        (x0, y0, color0), (x1, y1, color1) = first, second
        space = ((x0 - x1) ** 2 + (y0 - y1) ** 2) / reach**2
        hue = sum((a - b) ** 2 for a, b in zip(color0, color1, strict=True)) / color_reach**2
        return math.exp(-(space + hue) / 2)

    seen = [(x, y, color(x, y)) for x, y, _ in points]
    missing = []
    for x, y, is_object in points:
        before = odds(probability[int(y), int(x)])
        missing.append(max(known - before, 0) if is_object else min(-known - before, 0))
    gram = np.array([[kernel(a, b) + noise * (i == j) for j, b in enumerate(seen)] for i, a in enumerate(seen)])
    weights = np.linalg.inv(gram) @ missing
    found = np.empty(probability.shape)
    for row in range(probability.shape[0]):
        for column in range(probability.shape[1]):
            here = (column + 0.5, row + 0.5, image[row, column].astype(float))
            raised = odds(probability[row, column])
            raised += sum(weight * kernel(here, each) for weight, each in zip(weights, seen, strict=True))
            found[row, column] = 1 / (1 + math.exp(-raised))
    return found
