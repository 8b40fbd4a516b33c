"""Small videos and tracks that tests write to disk."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_samples import SIZE, write_photo
from shapes_data import CLASSES, draw

SEQINFO = f"[Sequence]\nname=street\nimDir=img1\nframeRate=25\nseqLength=3\nimWidth={SIZE[0]}\nimHeight={SIZE[1]}\n"
"""The description of a sequence of MOT Challenge."""


def write_video(path, frames=3, codec="mpeg4", size=(64, 48), matrix=None):
    """Frame i is of gray 40 * i, with a white top left corner."""
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=5)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if matrix is not None:
            stream.set_display_matrix(matrix)
        for number in range(1, frames + 1):
            pixels = np.full((size[1], size[0], 3), 40 * number, dtype=np.uint8)
            pixels[:16, :16] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def track_box(frame: object, corners: tuple = (10, 5, 30, 25), more: str = "") -> str:
    """A box of a track in CVAT's XML."""
    places = " ".join(f'{key}="{value}"' for key, value in zip(("xtl", "ytl", "xbr", "ybr"), corners, strict=True))
    return f'<box frame="{frame}" keyframe="1" outside="0" occluded="0" {places} {more}></box>'


def outside(frame: int, corners: tuple = (10, 5, 30, 25)) -> str:
    """Where a track ends."""
    return track_box(frame, corners).replace('outside="0"', 'outside="1"')


def track(track_id: object, label: str, *shapes: str) -> str:
    return f'<track id="{track_id}" label="{label}" source="manual">{"".join(shapes)}</track>'


def write_cvat_video(folder: Path, *tracks: str, frames: int = 5, meta: str = "") -> Path:
    """A task of CVAT for video with its frames as images; without any where ``frames`` is 0."""
    for number in range(frames):
        write_photo(folder / "images" / f"frame_{number:06d}.jpg")
    folder.mkdir(parents=True, exist_ok=True)
    labels = "<labels><label><name>dog</name></label><label><name>cat</name></label></labels>"
    content = f"<annotations><meta><task>{labels}{meta}</task></meta>{''.join(tracks)}</annotations>"
    (folder / "annotations.xml").write_text(f'<?xml version="1.0" encoding="utf-8"?>{content}')
    return folder


def write_mot(folder: Path, *lines: str, kind: str = "gt", frames: int = 3, info: str | None = SEQINFO) -> Path:
    """A sequence of MOT Challenge."""
    for number in range(1, frames + 1):
        write_photo(folder / "img1" / f"{number:06d}.jpg")
    (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / kind / f"{kind}.txt").write_text("".join(f"{line}\n" for line in lines))
    if info is not None:
        (folder / "seqinfo.ini").write_text(info)
    return folder


MOVING_SIZE = (96, 72)


def moving_shapes(number: int) -> list[tuple[str, tuple[int, int, int, int]]]:
    """The shapes of a frame: a disk that moves to the right, and a square that stays."""
    return [("disk", (8 + 3 * number, 12, 40 + 3 * number, 44)), ("square", (60, 40, 88, 66))]


def write_moving(folder: Path, frames: int = 4) -> Path:
    """A sequence of MOT Challenge of the shapes that ``shapes_data`` draws: track 7 is the disk, 9 the square."""
    lines = []
    for number in range(frames):
        shapes = moving_shapes(number)
        (folder / "img1").mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(draw(MOVING_SIZE, shapes, seed=number))
        picture.save(folder / "img1" / f"{number + 1:06d}.png")
        for track_id, (name, (x0, y0, x1, y1)) in zip((7, 9), shapes, strict=True):
            class_number = CLASSES.index(name) + 1
            lines.append(f"{number + 1},{track_id},{x0},{y0},{x1 - x0},{y1 - y0},1,{class_number},1")
    write_mot(folder, *lines, frames=0, info=None)
    (folder / "gt/labels.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    return folder
