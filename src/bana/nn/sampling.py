"""Which images an epoch takes, where rare classes shall be seen more often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bana.data.records import ImageRecord
from bana.engine.plan import SampleKey, Samples
from bana.engine.seeds import seed_of


class BalancedSamples:
    """Samples of the same number an epoch, in which images of rare classes come more often.

    An image's share is 1 / sqrt(f), f being the share of images with its rarest class (repeat-factor sampling: Gupta et
    al., "LVIS: a dataset for large vocabulary instance segmentation", 2019, with a threshold of 1). In an epoch it
    comes as often as its share says, rounded down or up. Each time it is another random sample of the image.

    Args:
        samples: The samples, one an image.
        records: The images.
        seed: Random seed of the run.
    """

    def __init__(self, samples: Samples, records: Sequence[ImageRecord], seed: int) -> None:
        self._samples = samples
        self._seed = seed
        factors = repeat_factors([np.unique(record.class_ids) for record in records])
        self._ends = np.cumsum(factors / factors.mean()) if len(factors) else factors

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, key: SampleKey) -> Any:
        epoch, place = key
        offset = np.random.default_rng(seed_of(self._seed, "balance", epoch)).random()
        last = len(self._ends) - 1
        index = min(int(np.searchsorted(self._ends, place + offset, side="right")), last)
        before = self._ends[index - 1] if index else 0.0
        repetition = place - max(int(np.ceil(before - offset)), 0)
        return self._samples[(seed_of(epoch, "repetition", repetition) if repetition else epoch, index)]


def repeat_factors(classes: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.float64]:
    """How often to take each image, relative to one whose classes are all in every image: float64 (N,), at least 1.

    Args:
        classes: The different classes of each image.
    """
    every, counts = np.unique(np.concatenate([*classes, np.empty(0, np.int64)]), return_counts=True)
    rarity = dict(zip(every.tolist(), np.sqrt(len(classes) / counts).tolist(), strict=True))
    return np.array([max((rarity[each] for each in image.tolist()), default=1.0) for image in classes])
