"""Random numbers that depend on what they are for, not on what came before: a resumed run draws the same ones."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_of(*parts: int | str) -> int:
    """A 63-bit seed from the run's seed and the names or numbers of what it is for."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def shuffled(count: int, *parts: int | str) -> list[int]:
    """The numbers 0 to ``count`` - 1 in a random order, from the run's seed and the names or numbers of its purpose."""
    order: list[int] = np.random.default_rng(seed_of(*parts)).permutation(count).tolist()
    return order
