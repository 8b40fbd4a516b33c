"""The parts of a page, and the file that they make."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

_HEAD = 2000
"""Bytes of a page in which its generator is named."""

LAYERS = {
    "photo": "photo",
    "y_crf": "Y_crf, the labels",
    "y_ret": "Y_ret",
    "unreliable": "agreement: striped where Y_crf and Y_ret differ",
    "confidence": "confidence of Y_crf",
    "sigma": "sigma, the network's confidence in Y_crf",
    "network": "network, without boxes",
    "truth": "truth",
}
"""The layers of a photograph, and what the page calls them."""


GENERATOR = "bana report"
"""What a page names as its generator."""


def is_page(file: Path) -> bool:
    """Whether a file is a page of this kind. Raises OSError if it cannot be read."""
    with file.open("rb") as content:
        return f'name="generator" content="{GENERATOR}"'.encode() in content.read(_HEAD)


@dataclass(frozen=True)
class Card:
    """A number to see first: what it is, the number, and a few words on it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table: its title, headings, rows of as many cells, and words under it. The first column names the row."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """An SVG element, its title and words under it."""

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix: names of C classes, and C rows of shares 0..1 of the true class's pixels."""

    title: str
    names: Sequence[str]
    shares: Sequence[Sequence[float]]
    note: str = ""


@dataclass(frozen=True)
class GalleryImage:
    """One image of the gallery.

    Attributes:
        facts: Plain values: ``id``, ``width``, ``height``, ``uncertainty`` (0..1), ``score`` (0..100 or None),
            ``boxes`` (xyxy, class id, status, confidence, filling rate, predicted class id), and ``files`` (addresses
            by name).
        layers: Picture files by the names of LAYERS.
    """

    facts: Mapping[str, Any]
    layers: Mapping[str, bytes]


@dataclass(frozen=True)
class Page:
    """The content of a page; it leaves out empty parts.

    Attributes:
        title: The large line at the top.
        subtitle: A line under it.
        cards: The numbers of the summary.
        tables: Tables by section.
        charts: Charts by section.
        confusions: Confusion of the labels and of the network.
        details: Long texts, such as settings, by their titles.
        images: The gallery.
        classes: Names by class id.
        colors: ``#rrggbb`` by class id.
        gallery_note: Which images are in the gallery.
    """

    title: str
    subtitle: str
    cards: Sequence[Card]
    tables: Mapping[str, Sequence[Table]]
    charts: Mapping[str, Sequence[Chart]]
    confusions: Sequence[Confusion]
    details: Mapping[str, str]
    images: Sequence[GalleryImage]
    classes: Mapping[int, str]
    colors: Mapping[int, str]
    gallery_note: str

    def html(self) -> str:
        """The page as one HTML file. All text is escaped, except for what this package made."""
        return (
            _environment()
            .get_template("page.html")
            .render(
                page=self,
                generator=GENERATOR,
                sections=list(dict.fromkeys([*self.tables, *self.charts])),
                gallery=self._gallery(),
                layers=[_encoded(image.layers) for image in self.images],
                style=_part("page.css"),
                script=_part("page.js"),
            )
        )

    def _gallery(self) -> dict[str, Any]:
        shown = {name for image in self.images for name in image.layers}
        return {
            "classes": dict(self.classes),
            "colors": dict(self.colors),
            "layers": {name: title for name, title in LAYERS.items() if name in shown},
            "images": [dict(image.facts) for image in self.images],
        }


def _encoded(layers: Mapping[str, bytes]) -> Markup:
    """Picture files as addresses that hold them, a JSON object; none of its letters means anything to HTML."""
    kinds = {b"RIFF": "webp", b"\x89PNG": "png"}
    addresses = {
        name: f"data:image/{kinds[content[:4]]};base64,{base64.b64encode(content).decode()}"
        for name, content in layers.items()
    }
    return Markup(json.dumps(addresses))


@cache
def _environment() -> Environment:
    loader = PackageLoader("bana.report.page", "")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {}  # in the order in which they come, not sorted
    return environment


def _part(name: str) -> Markup:
    return Markup(files("bana.report.page").joinpath(name).read_text(encoding="utf-8"))
