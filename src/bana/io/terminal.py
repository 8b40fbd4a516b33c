"""Text on a terminal. Names of files and classes come from data: what a terminal would obey is shown instead."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_PICTURES = 0x2400
"""Unicode's pictures of the control characters 0 to 31 begin here."""

_SHOWN = (
    {code: chr(_PICTURES + code) for code in range(0x20) if chr(code) not in "\n\t"}
    | {0x7F: "\u2421"}
    | dict.fromkeys(range(0x80, 0xA0), "\ufffd")
)
"""What is shown in the place of each control character."""

_ESCAPED = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
"""JSON's own escapes leave these out."""


def printable(text: str) -> str:
    """A text with pictures of its control characters in their place; ends of lines and tabs stay."""
    return text.translate(_SHOWN)


class Terminal(Console):
    """A console that shows the control characters of what it prints, and obeys none."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is printed, piece by piece."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)


def escaped_json(content: Any) -> str:
    """Strict JSON on one line, with letters of all languages as they are and control characters escaped."""
    return json.dumps(content, allow_nan=False, ensure_ascii=False).translate(_ESCAPED)


def print_line(text: Any, **where: Any) -> None:
    """Print a value, such as a path, as a line. Takes the arguments of ``print``."""
    print(printable(str(text)), **where)
