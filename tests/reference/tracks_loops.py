"""Boxes of a track on every frame, from its key frames, frame by frame."""


def slow_boxes(keys, frames):
    """``keys``: (frame, is outside, corners); ``frames``: those that there are. The corners by frame."""
    found = {}
    for frame in range(max(key for key, _, _ in keys) + 1):
        exact = [(is_outside, corners) for key, is_outside, corners in keys if key == frame]
        if exact:
            is_outside, corners = exact[0]
            if not is_outside:
                found[frame] = corners
            continue
        if frame not in frames or frame < min(key for key, _, _ in keys):
            continue
        before = max((key for key in keys if key[0] < frame), key=lambda key: key[0])
        after = min((key for key in keys if key[0] > frame), key=lambda key: key[0])
        if before[1]:
            continue
        share = (frame - before[0]) / (after[0] - before[0])
        found[frame] = tuple(a + (b - a) * share for a, b in zip(before[2], after[2], strict=True))
    return found
