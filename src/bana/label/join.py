"""Joining a refiner to a labeler, so that one file is all that labeling needs."""

from __future__ import annotations

from pathlib import Path

from bana.classify.model import LABELER
from bana.nn.initialization import pretrained_path
from bana.nn.network_file import join_networks
from bana.refine.model import REFINER


def join_refiner(refiner: Path, labeler: Path | None, out: Path) -> Path:
    """Write a labeler file that has a refiner and labels with it.

    Args:
        refiner: A refiner's file.
        labeler: A labeler file or run folder (default: bana's own); its own refiner, if any, is replaced.
        out: The new file's folder; it may be the refiner's.

    Returns:
        The new file.

    Raises:
        CheckpointError: If a file is missing, damaged or of another kind.
        OutputError: If the file cannot be written.
    """
    whole = LABELER.path(labeler or pretrained_path())
    settings = LABELER.load_facts(whole).label | {"refine": True}
    joined = out / LABELER.file_name
    join_networks(whole, refiner, REFINER, joined, label=settings)
    return joined
