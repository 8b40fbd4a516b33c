"""The options that name a way to label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bana.label.methods.choose import MethodChoice

METHODS = "labeler, bap, bap-cam, ret, bap+ret, gap, cam, box, grabcut, wssl, mcg, sdi, sam"
"""The names in help texts; the list itself is not read for them, since it brings torch with it."""

LABELER_HELP = "Run of bana classify, or labeler file; bana's own if left out. METHOD=RUN: for that method alone."


def chosen_method(
    name: str,
    labelers: Sequence[str] | None,
    encoder: Path | None,
    decoder: Path | None,
    options: Mapping[str, Any],
    device: str = "cpu",
) -> MethodChoice:
    """What the options choose.

    Args:
        name: Of the method.
        labelers: ``RUN``, or ``METHOD=RUN`` for one method.
        encoder: ONNX file.
        decoder: ONNX file.
        options: Changes to a labeler's settings; None leaves one as it is.
        device: Where a labeler's network computes.
    """
    from bana.label.methods.choose import NAMES, MethodChoice

    runs = {}
    for text in labelers or []:
        method, sign, run = text.partition("=")
        if sign and method in NAMES:
            runs[method] = Path(run)
        else:
            runs[""] = Path(text)
    changes = {option: value for option, value in options.items() if value is not None}
    return MethodChoice(name, runs, encoder, decoder, changes, device)
