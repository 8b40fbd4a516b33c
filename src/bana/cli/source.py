"""The options that name a way to label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bana.label.sources.choose import SourceChoice

SOURCES = "labeler, bap, bap-cam, ret, bap+ret, gap, cam, box, grabcut, wssl, mcg, sdi, sam"
"""The names in help texts; the list itself is not read for them, since it brings torch with it."""

LABELER_HELP = "Run of bana classify, or labeler file; bana's own if left out. SOURCE=RUN: for that source alone."


def chosen_source(
    name: str,
    labelers: Sequence[str] | None,
    encoder: Path | None,
    decoder: Path | None,
    options: Mapping[str, Any],
    device: str = "cpu",
) -> SourceChoice:
    """What the options choose.

    Args:
        name: Of the source.
        labelers: ``RUN``, or ``SOURCE=RUN`` for one source.
        encoder: ONNX file.
        decoder: ONNX file.
        options: Changes to a labeler's settings; None leaves one as it is.
        device: Where a labeler's network computes.
    """
    from bana.label.sources.choose import NAMES, SourceChoice

    runs = {}
    for text in labelers or []:
        source, sign, run = text.partition("=")
        if sign and source in NAMES:
            runs[source] = Path(run)
        else:
            runs[""] = Path(text)
    changes = {option: value for option, value in options.items() if value is not None}
    return SourceChoice(name, runs, encoder, decoder, changes, device)
