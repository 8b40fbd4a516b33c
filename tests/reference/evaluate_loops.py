"""Slow, obvious versions of what bana.evaluate computes."""

import math


def confusion_by_pixel(prediction, truth, num_classes, ignore_index=255):
    """Counts [truth][prediction] and the pixels with a true class but no predicted one, pixel by pixel."""
    counts = [[0] * num_classes for _ in range(num_classes)]
    left_out = 0
    for predicted_row, true_row in zip(prediction, truth, strict=True):
        for predicted, true in zip(predicted_row, true_row, strict=True):
            if true == ignore_index:
                continue
            if predicted == ignore_index:
                left_out += 1
            else:
                counts[true][predicted] += 1
    return counts, left_out


def iou_by_class(counts):
    """100 * true positives / (true positives + false positives + false negatives), None where that is 0 / 0."""
    scores = []
    for c in range(len(counts)):
        hit = counts[c][c]
        union = sum(counts[c]) + sum(row[c] for row in counts) - hit
        scores.append(100 * hit / union if union else None)
    return scores


def boundary_by_erosion(mask):
    """The mask (list of lists of bool) without its erosion by rounds of a 3x3 square, outside the image being False.

    The rounds are 2 % of the diagonal, at least one, as in Cheng et al. 2021.
    """
    height, width = len(mask), len(mask[0])
    eroded = mask
    for _ in range(max(1, round(0.02 * math.sqrt(height**2 + width**2)))):
        eroded = [
            [
                all(
                    0 <= y + dy < height and 0 <= x + dx < width and eroded[y + dy][x + dx]
                    for dy in (-1, 0, 1)
                    for dx in (-1, 0, 1)
                )
                for x in range(width)
            ]
            for y in range(height)
        ]
    return {(y, x) for y in range(height) for x in range(width) if mask[y][x] and not eroded[y][x]}


def boundary_counts(prediction, truth, num_classes, ignore_index=255):
    """Per class (pixels in both bands, pixels in either) of one image; void truth is in no mask."""
    counts = []
    for c in range(num_classes):
        masks = [
            [
                [value == c and true != ignore_index for value, true in zip(row, true_row, strict=True)]
                for row, true_row in zip(labels, truth, strict=True)
            ]
            for labels in (prediction, truth)
        ]
        predicted, true = (boundary_by_erosion(mask) for mask in masks)
        counts.append((len(predicted & true), len(predicted | true)))
    return counts
