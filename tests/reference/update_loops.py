"""New labels from predictions, pixel by pixel: the rules of Simple Does It, and BoxSup's costs of proposals."""

import math

import numpy as np


def within_boxes(probabilities, regions, class_ids):
    """Probabilities of every class (L + 1, H, W) where a class may only be in its boxes."""
    left = np.zeros_like(probabilities)
    _, height, width = probabilities.shape
    for y in range(height):
        for x in range(width):
            allowed = {0, *(int(c) for c, region in zip(class_ids, regions, strict=True) if region[y, x])}
            for c in allowed:
                left[c, y, x] = probabilities[c, y, x]
            total = left[:, y, x].sum()
            for c in allowed:
                left[c, y, x] = left[c, y, x] / total if total > 0 else 1 / len(allowed)
    return left


def denoised(labels, first, regions, class_ids, order, min_iou=0.5):
    """Labels with those of the first round wherever the front box has too small a segment."""
    small = []
    for region, class_id in zip(regions, class_ids, strict=True):
        segment = region & (labels == class_id)
        small.append((segment & region).sum() / (segment | region).sum() < min_iou)
    found = labels.copy()
    for y, x in np.ndindex(labels.shape):
        covering = [number for number in order if regions[number][y, x]]
        if covering and small[covering[-1]]:
            found[y, x] = first[y, x]
    return found


def proposal_costs(masks, overlaps, of_class, of_background, lam=3.0):
    costs = []
    for mask, overlap in zip(masks, overlaps, strict=True):
        losses = []
        for y, x in np.ndindex(mask.shape):
            losses.append(-math.log(max(of_class[y, x] if mask[y, x] else of_background[y, x], 1e-6)))
        costs.append(1 - overlap + lam * sum(losses) / len(losses))
    return np.array(costs)
