"""The mask loss of a Mask R-CNN over reliable pixels, one pixel after the other."""

import math


def reliable_mask_loss(logits, labels, masks, reliable):
    """Mean of -log p of the true value over all reliable pixels of all objects; 0 without any."""
    total, count = 0.0, 0
    for number, label in enumerate(labels):
        for y, row in enumerate(masks[number]):
            for x, inside in enumerate(row):
                if reliable[number][y][x] < 0.5:
                    continue
                probability = 1 / (1 + math.exp(-logits[number][label][y][x]))
                total -= inside * math.log(probability) + (1 - inside) * math.log(1 - probability)
                count += 1
    return total / count if count else 0.0


def share_inside(box, other):
    """The share of a box's area that lies in another."""
    width = max(min(box[2], other[2]) - max(box[0], other[0]), 0)
    height = max(min(box[3], other[3]) - max(box[1], other[1]), 0)
    return width * height / ((box[2] - box[0]) * (box[3] - box[1]))
