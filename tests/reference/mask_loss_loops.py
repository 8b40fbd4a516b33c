"""The mask losses of a Mask R-CNN, one pixel after the other."""

import math


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def mask_loss(logits, masks, weights):
    """Weighted mean of -log p of the true value over all pixels of all objects; 0 without weight."""
    total, weight = 0.0, 0.0
    for number, rows in enumerate(weights):
        for y, row in enumerate(rows):
            for x, each in enumerate(row):
                probability, inside = sigmoid(logits[number][y][x]), masks[number][y][x]
                total -= each * (inside * math.log(probability) + (1 - inside) * math.log(1 - probability))
                weight += each
    return total / weight if weight else 0.0


def confidence(cosine, is_object, gamma):
    """Eq. 11 and 12 for the two classes of a sigmoid, whose weights are opposite."""
    distances = {True: 1 + cosine, False: 1 - cosine}
    return (distances[is_object] / max(distances.values())) ** gamma


def projection_loss(probabilities, inside):
    """Mean over objects of the dice losses of the greatest probability in every row and in every column."""
    total = 0.0
    for values, box in zip(probabilities, inside, strict=True):
        for turn in (lambda rows: rows, lambda rows: list(zip(*rows, strict=True))):
            found = [max(row) for row in turn(values)]
            wanted = [float(max(row)) for row in turn(box)]
            shared = 2 * sum(p * t for p, t in zip(found, wanted, strict=True))
            total += 1 - shared / (sum(p * p for p in found) + sum(t * t for t in wanted))
    return total / len(inside)


def pairwise_loss(logits, colors, inside):
    """Mean of -log P(both or neither) over pairs of neighbors of one color of which one is in the box, each once."""
    total, count = 0.0, 0
    for values, (first, second, third), box in zip(logits, colors, inside, strict=True):
        side = len(values)
        cells = [(y, x) for y in range(side) for x in range(side)]
        for y, x in cells:
            for v, u in cells:
                if (v, u) <= (y, x) or max(abs(v - y), abs(u - x)) > 1 or not (box[y][x] or box[v][u]):
                    continue
                distance = math.dist(*[(first[i][j], second[i][j], third[i][j]) for i, j in ((y, x), (v, u))])
                if math.exp(-distance / 2) < 0.3:
                    continue
                p, q = sigmoid(values[y][x]), sigmoid(values[v][u])
                total -= math.log(p * q + (1 - p) * (1 - q))
                count += 1
    return total / count if count else 0.0


def share_inside(box, other):
    """The share of a box's area that lies in another."""
    width = max(min(box[2], other[2]) - max(box[0], other[0]), 0)
    height = max(min(box[3], other[3]) - max(box[1], other[1]), 0)
    return width * height / ((box[2] - box[0]) * (box[3] - box[1]))
