"""Probabilities of a box's pixels that are given, not computed."""

from dataclasses import dataclass

import numpy as np


@dataclass
class GivenProbability:
    """An array as the probability of a box's pixels.

    ``asked`` are the places that were asked for.
    """

    place: tuple[slice, slice]
    probability: np.ndarray

    def __post_init__(self):
        self.asked = []

    def at(self, place):
        self.asked.append(place)
        return self.probability[
            tuple(
                slice(part.start - whole.start, part.stop - whole.start)
                for part, whole in zip(place, self.place, strict=True)
            )
        ]
