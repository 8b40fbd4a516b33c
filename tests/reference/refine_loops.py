"""The refiner's losses, targets, windows and boxes' claims, one cell after the other."""

import math

from bana.data.records import pixel_slices


def log_sigmoid(value):
    return -math.log1p(math.exp(-value)) if value > 0 else value - math.log1p(math.exp(value))


def cells_of(values):
    """Row and column of every cell of a nested list."""
    return [(y, x) for y in range(len(values)) for x in range(len(values[0]))]


def weighted_cross_entropy(logits, targets, weights):
    """The sum of -log p of the true value over all cells of all windows, each times its weight."""
    total = 0.0
    for number, values in enumerate(logits):
        for y, x in cells_of(values):
            share = targets[number][y][x]
            surprise = -share * log_sigmoid(values[y][x]) - (1 - share) * log_sigmoid(-values[y][x])
            total += weights[number][y][x] * surprise
    return total


def reach_loss(logits, boxes, outside=-30.0):
    """The sum over windows of the mean of -log p of the best cell in each row and column, rows and columns alike."""
    total = 0.0
    for values, (x0, y0, x1, y1) in zip(logits, boxes, strict=True):
        rows = [y for y in range(len(values)) if y0 <= y <= y1]
        columns = [x for x in range(len(values[0])) if x0 <= x <= x1]
        if not rows or not columns:
            continue
        in_rows = [-log_sigmoid(max((values[y][x] for x in columns), default=outside)) for y in rows]
        in_columns = [-log_sigmoid(max((values[y][x] for y in rows), default=outside)) for x in columns]
        total += sum(sum(lines) / len(lines) for lines in (in_rows, in_columns) if lines) / 2
    return total


def pairwise_loss(logits, colors, boxes, threshold=0.7):
    """The sum over windows of the mean of -log P(both or neither) over pairs of like cells that are two apart."""
    total = 0.0
    for values, (red, green, blue), (x0, y0, x1, y1) in zip(logits, colors, boxes, strict=True):
        losses = []
        for y, x in cells_of(values):
            for v, u in cells_of(values):
                is_pair = (v, u) > (y, x) and {abs(v - y), abs(u - x)} <= {0, 2}
                if not is_pair or not any(y0 <= row <= y1 and x0 <= column <= x1 for row, column in ((y, x), (v, u))):
                    continue
                distance = math.dist(*[(red[i][j], green[i][j], blue[i][j]) for i, j in ((y, x), (v, u))])
                if math.exp(-4 * distance) <= threshold:
                    continue
                p, q = math.exp(log_sigmoid(values[y][x])), math.exp(log_sigmoid(values[v][u]))
                losses.append(-math.log(p * q + (1 - p) * (1 - q)))
        total += sum(losses) / len(losses) if losses else 0.0
    return total


def box_target(mask, agreed, box, class_id, ignore_index):
    """Target and weight (H, W) as nested lists: 255 for object and for sure, 128 for another of the same class."""
    rows, columns = (range(part.start, part.stop) for part in pixel_slices(box))
    target = [[255 if value else 0 for value in row] for row in mask]
    weight = [[255] * len(row) for row in mask]
    for y in rows:
        for x in columns:
            if agreed[y][x] == ignore_index:
                weight[y][x] = 0
            elif agreed[y][x] == class_id and not mask[y][x]:
                weight[y][x] = 128
    return target, weight


def bilinear(values, y, x):
    """A map between its cells; beyond its border the nearest cell's value."""
    last = len(values) - 1
    y, x = min(max(y, 0.0), last), min(max(x, 0.0), last)
    top, left = min(int(y), last - 1), min(int(x), last - 1)
    above = values[top][left] * (left + 1 - x) + values[top][left + 1] * (x - left)
    below = values[top + 1][left] * (left + 1 - x) + values[top + 1][left + 1] * (x - left)
    return above * (top + 1 - y) + below * (y - top)


def paste_map(values, window, side, place, points=4):
    """The map at each pixel of ``place``, or its mean over 4x4 points of the pixel where the map is finer."""
    x0, y0, x1, y1 = window
    if min(x1 - x0, y1 - y0) >= len(values):
        points = 1
    cells_per_pixel = (len(values) - 1) / (side - 1)

    def cell(position, low, high):
        in_window = (position - low) / (high - low) * side
        return (in_window - 0.5) * cells_per_pixel

    pasted = []
    for row in range(place[0].start, place[0].stop):
        pasted.append([])
        for column in range(place[1].start, place[1].stop):
            offsets = [(index + 0.5) / points for index in range(points)]
            sampled = [
                bilinear(values, cell(row + down, y0, y1), cell(column + across, x0, x1))
                for down in offsets
                for across in offsets
            ]
            pasted[-1].append(sum(sampled) / len(sampled))
    return pasted


def owners(boxes, size, claimed=0.5, least=0.1):
    """The owner (H, W) of every pixel, -1 for none, and how sure that is; boxes are (place, probabilities)."""
    owner = [[-1] * size[1] for _ in range(size[0])]
    sure = [[1.0] * size[1] for _ in range(size[0])]
    claims = [{} for _ in boxes]
    for number, ((rows, columns), probabilities) in enumerate(boxes):
        for y in range(rows.start, rows.stop):
            for x in range(columns.start, columns.stop):
                claims[number][(y, x)] = probabilities[y - rows.start][x - columns.start]
    for y in range(size[0]):
        for x in range(size[1]):
            found = [(claim[(y, x)], -number) for number, claim in enumerate(claims) if (y, x) in claim]
            if found:
                greatest, number = max(found)
                owner[y][x] = -number if greatest > claimed else -1
                sure[y][x] = greatest if greatest > claimed else 1 - greatest
    for number in sorted(range(len(boxes)), key=lambda number: (-len(claims[number]), number)):
        wanted = [place for place, value in claims[number].items() if value > claimed]
        kept = [(y, x) for y, x in claims[number] if owner[y][x] == number]
        if len(kept) < least * len(wanted):
            for y, x in wanted:
                owner[y][x], sure[y][x] = number, claims[number][(y, x)]
    return owner, sure


def expected_iou(probabilities, mask):
    """Expected pixels of the mask that are object, over the mask and what else is expected to be object."""
    shared, union = 0.0, 0.0
    for y, x in cells_of(mask):
        shared += probabilities[y][x] if mask[y][x] else 0.0
        union += 1.0 if mask[y][x] else probabilities[y][x]
    return shared / union if union else 0.0
