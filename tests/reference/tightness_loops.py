"""What unaries are raised by in a box that its object does not reach into, pixel by pixel."""

from bana.data.records import pixel_slices


def lines_reached(labels, box, index):
    """Whether each row, and each column, of the box has a pixel of the class."""
    rows, columns = (range(part.start, part.stop) for part in pixel_slices(box))
    return (
        {y: any(labels[y][x] == index for x in columns) for y in rows},
        {x: any(labels[y][x] == index for y in rows) for x in columns},
    )


def raised(labels, boxes, classes, count, least, step):
    """(V, H, W) as nested lists."""
    result = [[[0.0] * len(labels[0]) for _ in labels] for _ in range(count)]
    for box, index in zip(boxes, classes, strict=True):
        rows, columns = lines_reached(labels, box, index)
        reached = [*rows.values(), *columns.values()]
        if sum(reached) / len(reached) >= least:
            continue
        for y, row in rows.items():
            for x, column in columns.items():
                value = step * ((not row) + (not column))
                result[index][y][x] = max(result[index][y][x], value)
    return result
