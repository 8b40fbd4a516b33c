"""Random numbers that depend on what they are for, not on what came before: a resumed run draws the same ones."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt


def seed_of(*parts: int | str) -> int:
    """A 63-bit seed from the run's seed and the names or numbers of what it is for."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def epoch_order(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The order in which an epoch visits ``count`` samples."""
    return np.random.default_rng(seed_of(seed, "order", epoch)).permutation(count)
