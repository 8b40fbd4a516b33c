"""Joining a refiner or an affinity network to a labeler, so that one file is all that labeling needs."""

from __future__ import annotations

from pathlib import Path

from bana.affinity.model import AFFINITY
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


def join_affinity(affinity: Path, labeler: Path, out: Path) -> Path:
    """Write a labeler file that has an affinity network, which the method ``affinity`` labels with.

    Args:
        affinity: An affinity network's file.
        labeler: The labeler file or run folder whose CAMs it was taught by; its own affinity network is replaced.
        out: The new file's folder; it may be the affinity network's.

    Returns:
        The new file.

    Raises:
        CheckpointError: If a file is missing, damaged or of another kind.
        OutputError: If the file cannot be written.
    """
    joined = out / LABELER.file_name
    join_networks(LABELER.path(labeler), affinity, AFFINITY, joined)
    return joined
