"""The unaries of the CRF (Eq. 5 to 7) pixel by pixel, on nested lists of numbers."""

import math


def in_box(box, y, x):
    """Whether the center of a pixel lies in a box xyxy in pixel-edge coordinates."""
    return box[0] <= x + 0.5 < box[2] and box[1] <= y + 0.5 < box[3]


def background(attention, boxes, threshold):
    """u_0 (Eq. 7)."""
    greatest = max(max(row) for row in attention)
    unary = []
    for y, row in enumerate(attention):
        unary.append([])
        for x, value in enumerate(row):
            if not any(in_box(box, y, x) for box in boxes):
                unary[-1].append(1.0)
            else:
                unary[-1].append(value if value >= threshold * greatest else 0.0)
    return unary


def of_class(activation, boxes, per_box):
    """u_c (Eq. 5) of a class with these boxes, from its CAM; where boxes overlap, the larger quotient."""
    height, width = len(activation), len(activation[0])
    pixels = [(y, x) for y in range(height) for x in range(width)]
    unary = [[0.0] * width for _ in range(height)]
    for box in boxes:
        inside = [(y, x) for y, x in pixels if in_box(box, y, x)]
        greatest = max(activation[y][x] for y, x in (inside if per_box else pixels))
        for y, x in inside:
            if greatest > 0:
                unary[y][x] = max(unary[y][x], activation[y][x] / greatest)
    return unary


def probabilities(unaries, boxes):
    """Softmax of V unaries inside the boxes, one-hot background outside: V maps."""
    height, width = len(unaries[0]), len(unaries[0][0])
    result = [[[0.0] * width for _ in range(height)] for _ in unaries]
    for y in range(height):
        for x in range(width):
            if any(in_box(box, y, x) for box in boxes):
                exponentials = [math.exp(unary[y][x]) for unary in unaries]
            else:
                exponentials = [1.0] + [0.0] * (len(unaries) - 1)
            for label, value in enumerate(exponentials):
                result[label][y][x] = value / sum(exponentials)
    return result
