"""What the labels of one image are made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from bana.label.boxes import BoxedImage
from bana.label.unaries import label_probabilities
from bana.label.upsampled import UpsampledFeatures


@dataclass(frozen=True)
class View:
    """An image's boxes and features, and what follows from them for the V labels in the image.

    Attributes:
        boxed: The boxes.
        features: The image's features.
        weights: Those of all trained classes, with as many channels as the features: 0 for channels that the classifier
            does not see.
        cosine: Cosines of prototypes with every pixel.
        labels: V class ids, the background's 0 first.
        allowed: bool (V, H, W), where each label may be.
        attention: A: (H, W).
        known: int64 (H, W), what points say, as indices into ``labels``, -1 elsewhere; None without points.
    """

    boxed: BoxedImage
    features: UpsampledFeatures
    weights: Tensor
    cosine: Callable[[Tensor], Tensor]
    labels: list[int]
    allowed: Tensor
    attention: Tensor
    known: Tensor | None

    @property
    def fixed(self) -> Tensor:
        """The pixels whose label is known: background outside all boxes, and what points say; bool (H, W)."""
        background = self.boxed.background_mask
        return background if self.known is None else background | (self.known >= 0)

    def probabilities(self, unaries: Tensor) -> Tensor:
        """Probabilities of the labels, from their unaries (V, H, W), and from what is known: (V, H, W)."""
        probabilities = label_probabilities(unaries, self.boxed.background_mask)
        if self.known is None:
            return probabilities
        at_points = self.known >= 0
        known = F.one_hot(self.known[at_points], len(self.labels))
        probabilities[:, at_points] = known.T.to(probabilities)
        return probabilities

    def chosen(self, marginals: Tensor) -> Tensor:
        """Y_crf as indices into the labels: the most probable one of those whose boxes hold the pixel (H, W)."""
        return greatest(marginals * self.allowed)


def greatest(maps: Tensor) -> Tensor:
    """The number of the greatest of maps (V, H, W) at each pixel, as argmax gives it in seven times the time."""
    return maps.max(0).indices
