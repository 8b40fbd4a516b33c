"""Background-aware pooling (Eq. 1 to 4) as it is written: loops over images, grid cells, positions and boxes."""

import torch
from torchvision.ops import roi_align


def padded_sides(length, grid_size):
    """Zeros before and after: an even number is split, an odd one goes to the end."""
    missing = 0
    while (length + missing) % grid_size:
        missing += 1
    return (missing // 2, missing // 2) if missing % 2 == 0 else (0, missing)


def queries_of_image(features, background, grid_size):
    """Eq. 1 for one image: a list of G*G queries (C,), None where a cell has no background."""
    height, width = features.shape[1:]
    top, bottom = padded_sides(height, grid_size)
    left, right = padded_sides(width, grid_size)
    rows, columns = (top + height + bottom) // grid_size, (left + width + right) // grid_size
    queries = []
    for cell_row in range(grid_size):
        for cell_column in range(grid_size):
            total, count = torch.zeros_like(features[:, 0, 0]), 0
            for y in range(cell_row * rows - top, (cell_row + 1) * rows - top):
                for x in range(cell_column * columns - left, (cell_column + 1) * columns - left):
                    if 0 <= y < height and 0 <= x < width and background[0, y, x] == 1:
                        total, count = total + features[:, y, x], count + 1
            queries.append(total / count if count else None)
    return queries


def cosine(first, second):
    """Cosine of two vectors; 0 where either is zero."""
    lengths = first.norm() * second.norm()
    return (first @ second) / lengths if lengths > 0 else lengths * 0


def attention_of_image(features, queries):
    """Eq. 2 and 3 for one image: (1, h, w), zero without queries."""
    present = [query for query in queries if query is not None]
    rows = []
    for y in range(features.shape[1]):
        row = []
        for x in range(features.shape[2]):
            similar = [cosine(features[:, y, x], query).relu() for query in present]
            row.append(sum(similar) / len(similar) if similar else features.new_zeros(()))
        rows.append(torch.stack(row))
    return torch.stack(rows)[None]


def pooled_box(features, attention, box, output_size):
    """Eq. 4 for one box (4,) of one image: (C, R, R)."""
    weight = 1 - attention
    alone = [box[None]]
    numerator = roi_align((features * weight)[None], alone, output_size)[0]
    return numerator / roi_align(weight[None], alone, output_size)[0]


def pooled_boxes(features, background, boxes, grid_size, output_size):
    """Eq. 1 to 4 for a batch: features (N, C, h, w), background (N, 1, h, w), boxes (K, 5) to (K, C, R, R)."""
    attentions = [
        attention_of_image(image, queries_of_image(image, outside, grid_size))
        for image, outside in zip(features, background, strict=True)
    ]
    return torch.stack(
        [pooled_box(features[int(box[0])], attentions[int(box[0])], box[1:], output_size) for box in boxes]
    )
