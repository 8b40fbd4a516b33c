"""``python -m bana.crf photo.jpg --boxes "x0,y0,x1,y1[;...]"``: a picture of what the CRF makes of boxes.

Each box is a class, likely in its middle and less so towards its corners; outside all boxes is background, and fixed.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from bana.crf.arguments import BoolArray
from bana.crf.compiled import FloatArray
from bana.crf.dense import DenseCRF
from bana.crf.numbers import number
from bana.data.images import open_image
from bana.data.records import pixel_slices
from bana.errors import BanaError, SettingsError
from bana.io.files import write_bytes

PANEL = 640
"""The longer side of a panel in pixels."""

MARGIN, GUTTER, HEADER, FOOTER = 24, 16, 60, 50
"""Around the three panels, between them, and above and below them for text."""

Picture = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]

_COLOURS: tuple[Colour, ...] = ((255, 122, 102), (46, 204, 190), (255, 200, 61), (176, 148, 255), (84, 184, 255))
_PAPER, _INK, _FAINT = (255, 255, 255), (22, 24, 29), (105, 110, 120)
_LEAST, _MORE = 0.3, 0.6  # probability of a box's class far from its middle, and how much more in the middle

app = typer.Typer(pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})


def main() -> None:
    """Run the command line; a BanaError becomes one line and exit status 2."""
    try:
        app(prog_name="python -m bana.crf")
    except BanaError as error:
        print(f"bana.crf: error: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None


@app.command()
def draw(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Image file; EXIF orientation is applied.")],
    boxes: Annotated[str, typer.Option(help='"x0,y0,x1,y1[;...]" in pixels of the upright photo, one class each.')],
    out: Annotated[Path | None, typer.Option(help="PNG file; PHOTO's stem and -crf.png if left out.")] = None,
    gaussian_weight: Annotated[float, typer.Option(help="Weight of the spatial kernel; 0: off.")] = 3,
    gaussian_sxy: Annotated[float, typer.Option(help="Its standard deviation in pixels.")] = 3,
    bilateral_weight: Annotated[float, typer.Option(help="Weight of the colour-sensitive kernel; 0: off.")] = 4,
    bilateral_sxy: Annotated[float, typer.Option(help="Its standard deviation in pixels.")] = 55,
    bilateral_srgb: Annotated[float, typer.Option(help="Its standard deviation in colour values, 0..255.")] = 3,
    iterations: Annotated[int, typer.Option(help="Mean-field updates.")] = 10,
    threads: Annotated[int | None, typer.Option(help="All cores if left out.")] = None,
) -> None:
    """Draw a photo with boxes, the unary that they make, and what the fully connected CRF makes of it."""
    crf = DenseCRF(
        gaussian_weight, gaussian_sxy, bilateral_weight, bilateral_sxy, bilateral_srgb, iterations, threads=threads
    )
    image = open_image(photo)
    places = parse_boxes(boxes, image.shape[1], image.shape[0])
    probabilities, fixed = probabilities_of(places, image.shape[:2])
    corner, some = image[:2, :2], np.eye(2, dtype=np.bool_)
    some = some[: corner.shape[0], : corner.shape[1]]
    crf(corner, probabilities=probabilities[:, :2, :2], fixed=some)  # loads compiled code, which is not to be timed
    start = time.perf_counter()
    marginals = crf(image, probabilities=probabilities, fixed=fixed)
    seconds = time.perf_counter() - start
    kernels = [
        f"Gaussian {gaussian_weight:g} ({gaussian_sxy:g} px)" if gaussian_weight else "",
        f"bilateral {bilateral_weight:g} ({bilateral_sxy:g} px, {bilateral_srgb:g} rgb)" if bilateral_weight else "",
    ]
    facts = f"{', '.join(filter(None, kernels)) or 'no kernels'}; {iterations} iterations"
    content = io.BytesIO()
    comparison(image, places, probabilities, marginals, facts).save(content, "PNG")
    out = out or Path(f"{photo.stem}-crf.png")
    write_bytes(out, content.getvalue())
    shares = np.bincount(marginals.argmax(0).ravel(), minlength=len(marginals)) / fixed.size
    classes = ", ".join(f"{_name(index)} {share:.1%}" for index, share in enumerate(shares))
    print(f"{out}: {image.shape[1]}x{image.shape[0]}, {len(shares)} classes ({classes}), CRF {seconds:.2f} s")


def parse_boxes(text: str, width: int, height: int) -> list[Box]:
    """Boxes xyxy in pixel-edge coordinates from "x0,y0,x1,y1[;...]".

    Raises:
        SettingsError: If one is not four numbers, is empty, or is not inside the image.
    """
    boxes = []
    for item in filter(str.strip, text.split(";")):
        numbers = [number("--boxes", part) for part in item.split(",")]
        allowed = f"give x0,y0,x1,y1 with 0 <= x0 < x1 <= {width} and 0 <= y0 < y1 <= {height}"
        if len(numbers) != 4:
            raise SettingsError(f"--boxes: {item.strip()!r} has {len(numbers)} numbers; {allowed}")
        x0, y0, x1, y1 = numbers
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise SettingsError(f"--boxes: {item.strip()!r} is not allowed; {allowed}")
        boxes.append((x0, y0, x1, y1))
    if not boxes:
        raise SettingsError(f'--boxes: {text!r} has no box; give "x0,y0,x1,y1[;...]"')
    return boxes


def probabilities_of(boxes: Sequence[Box], grid: tuple[int, int]) -> tuple[FloatArray, BoolArray]:
    """Probabilities of background and of each box's class, and which pixels are background for certain.

    In a box alone, its class has 0.3 + 0.6 exp(-u^2 - v^2), u and v from -1 to 1 across the box: 0.9 in the middle, and
    about even at the middle of an edge. Smaller boxes are in front: what they leave is for the larger ones.

    Args:
        boxes: K boxes xyxy.
        grid: Height and width.

    Returns:
        float32 (K+1, H, W), sums to 1; bool (H, W), True outside all boxes.
    """
    probabilities = np.zeros((len(boxes) + 1, *grid), dtype=np.float32)
    left, outside = probabilities[0], np.ones(grid, dtype=np.bool_)
    left[:] = 1
    for index in sorted(range(len(boxes)), key=lambda index: _area(boxes[index])):
        place = rows, columns = pixel_slices(boxes[index])
        v, u = (np.linspace(-1, 1, 2 * (part.stop - part.start) + 1)[1::2] for part in (rows, columns))
        probabilities[index + 1, *place] = left[place] * (_LEAST + _MORE * np.exp(-(v[:, None] ** 2) - u**2))
        left[place] -= probabilities[index + 1, *place]
        outside[place] = False
    return probabilities, outside


def comparison(
    image: Picture, boxes: Sequence[Box], probabilities: FloatArray, marginals: FloatArray, facts: str
) -> Image.Image:
    """Three panels side by side: the photo with its boxes, the probabilities before the CRF, the labels after it.

    Args:
        image: uint8 (H, W, 3).
        boxes: K boxes xyxy.
        probabilities: float32 (K+1, H, W), before.
        marginals: float32 (K+1, H, W), after.
        facts: A line about the CRF.
    """
    scale = PANEL / max(image.shape[:2])
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    photo = Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
    before, after = _resized(probabilities, width, height), _resized(marginals, width, height)
    panels = [
        ("Photo and boxes", "what is given", photo),
        ("Unary from the boxes", "probability of each class", _tinted(photo, before)),
        ("After the CRF", "most likely class", _outlined(photo, after.argmax(axis=0))),
    ]
    size = 2 * MARGIN + 3 * width + 2 * GUTTER, HEADER + height + FOOTER
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, (title, subtitle, panel) in enumerate(panels):
        left = MARGIN + column * (width + GUTTER)
        if column < 2:
            _draw_boxes(panel, boxes, width / image.shape[1], height / image.shape[0])
        sheet.paste(panel, (left, HEADER))
        pen.text((left, 30), _fitted(title, 20, width), _INK, _font(20), anchor="ls")
        pen.text((left, 49), _fitted(subtitle, 14, width), _FAINT, _font(14), anchor="ls")
    _draw_legend(pen, len(boxes), facts, HEADER + height + 31, size[0])
    return sheet


def _resized(values: FloatArray, width: int, height: int) -> FloatArray:
    planes = [Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR) for plane in values]
    return np.stack([np.asarray(plane, dtype=np.float32) for plane in planes])


def _pale(photo: Image.Image) -> FloatArray:
    """The photo in light gray, on which colours stand out: (H, W, 3)."""
    gray = np.asarray(photo.convert("L"), dtype=np.float32)[..., None]
    return np.repeat(np.float32(90) + np.float32(0.6) * gray, 3, axis=-1)


def _tinted(photo: Image.Image, probabilities: FloatArray) -> Image.Image:
    """The pale photo under each class's colour, as opaque as the class is probable."""
    picture = _pale(photo)
    cover = 1 - probabilities[0]
    colours = np.array([_colour(index) for index in range(1, len(probabilities))], dtype=np.float32)
    mixed = np.tensordot(probabilities[1:], colours, axes=(0, 0)) / np.maximum(cover, np.float32(1e-6))[..., None]
    share = np.float32(0.9) * cover[..., None]
    return Image.fromarray((picture * (1 - share) + mixed * share).round().astype(np.uint8))


def _outlined(photo: Image.Image, labels: npt.NDArray[np.intp]) -> Image.Image:
    """The photo, pale where there is background, and every class with a tint and an outline of its colour."""
    colour, picture = np.asarray(photo, dtype=np.float32), _pale(photo)
    for index in range(1, int(labels.max()) + 1):
        mask = labels == index
        tint = np.array(_colour(index), dtype=np.float32)
        picture[mask] = 0.7 * colour[mask] + 0.3 * tint
        shape = Image.fromarray(mask.astype(np.uint8))
        picture[np.asarray(shape.filter(ImageFilter.MaxFilter(3)), dtype=bool) & ~mask] = _INK
        picture[mask & ~np.asarray(shape.filter(ImageFilter.MinFilter(5)), dtype=bool)] = tint
    return Image.fromarray(picture.round().astype(np.uint8))


def _draw_boxes(panel: Image.Image, boxes: Sequence[Box], across: float, down: float) -> None:
    pen = ImageDraw.Draw(panel)
    for index, (x0, y0, x1, y1) in enumerate(boxes, start=1):
        left, top = round(x0 * across), round(y0 * down)
        right, bottom = max(left, round(x1 * across) - 1), max(top, round(y1 * down) - 1)
        pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_INK)
        pen.rectangle((left, top, right, bottom), outline=_colour(index), width=3)


def _draw_legend(pen: ImageDraw.ImageDraw, count: int, facts: str, base: int, width: int) -> None:
    """Colours of the classes from the left, as many as there is room for, and the facts at the right."""
    facts = _fitted(facts, 14, width - 2 * MARGIN)
    room = width - MARGIN - _font(14).getlength(facts) - GUTTER
    pen.text((width - MARGIN, base), facts, _FAINT, _font(14), anchor="rs")
    left = float(MARGIN)
    for index in range(1, count + 1):
        name = _name(index)
        if left + 20 + _font(14).getlength(name) > room:
            return
        pen.rounded_rectangle((left, base - 12, left + 13, base + 1), 3, _colour(index))
        pen.text((left + 20, base), name, _INK, _font(14), anchor="ls")
        left += 20 + _font(14).getlength(name) + GUTTER


def _fitted(text: str, size: int, width: int) -> str:
    """The text, cut where it is wider than ``width``."""
    while text and _font(size).getlength(text) > width:
        text = text[:-1]
    return text


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _colour(index: int) -> Colour:
    return _COLOURS[(index - 1) % len(_COLOURS)]


def _name(index: int) -> str:
    return f"box {index}" if index else "background"


if __name__ == "__main__":
    main()
