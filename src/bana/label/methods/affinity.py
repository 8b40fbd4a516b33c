"""``affinity``: class activation maps, spread by a random walk with learned affinities, without boxes.

AffinityNet (Ahn and Kwak, CVPR 2018; Table 1), written from its description. Image-level labels give CAMs. Where these
are reliable, they teach an affinity network. A random walk then carries the CAMs to where the network sees the same
thing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bana.affinity.model import AffinityNetwork
from bana.affinity.settings import AffinitySettings
from bana.affinity.walk import random_walk, transition
from bana.classify.model import BoxClassifier
from bana.label.boxes import BoxedImage, Image
from bana.label.instances import assemble
from bana.label.methods.cam import ImageLevel, image_level_scores, normalized, present_classes, with_background
from bana.label.pseudo_labels import PseudoLabels
from bana.label.settings import LabelSettings
from bana.nn.crf_settings import crf_errors
from bana.nn.network import network_input

AMPLIFIED, WEAKENED = 4.0, 24.0
"""alpha, the power of the background's score (Sec. 3.2.1): it is greater with the first, smaller with the second."""

ALPHA = 16.0
"""alpha of the background's score that walks."""

BETA = 8.0
"""The power of affinities in the walk (Sec. 3.3)."""

STEPS = 256
"""t, the steps of the walk."""


class ReliableLabels(ImageLevel):
    """``cam-reliable``: what an affinity network learns from (Sec. 3.2.1), as two opinions.

    Y_crf is what the CRF makes of the CAMs with a strong background, so its objects are sure. Y_ret is the same with a
    weak background, so its background is sure. Where they differ, a pixel is neutral.
    """

    @torch.inference_mode()
    @crf_errors()
    def label_boxed(self, image: Image, boxed: BoxedImage) -> PseudoLabels:
        """Label one image; the confidence is the CRF's marginal of Y_crf."""
        present = present_classes(boxed)
        activations = self._activations(image, boxed.size, present)
        scores = [image_level_scores(activations, alpha).numpy() for alpha in (AMPLIFIED, WEAKENED)]
        with self._crf.prepare(image) as crf:
            (objects, confidence), (background, _) = (self._decide(crf(probabilities=each), present) for each in scores)
        return assemble(boxed, self.class_table, objects, background, confidence)


class RandomWalk(ImageLevel):
    """``affinity``: the CRF starts from CAMs and a background's score that a random walk has spread (Sec. 3.3).

    Args:
        network: The affinity network.
        affinity: Its settings; affinities are computed at its ``image_side``.
        model: As of ImageLevel, as the following ones.
        known: The names of the model's classes.
        classes: The L names that class ids refer to.
        settings: Image size of the CAMs, and CRF.
        threads: CRF threads (default: all cores).

    Raises:
        SettingsError: If the model does not know a class.
    """

    def __init__(
        self,
        network: AffinityNetwork,
        affinity: AffinitySettings,
        model: BoxClassifier,
        known: Sequence[str],
        classes: Sequence[str],
        settings: LabelSettings,
        threads: int | None,
    ) -> None:
        super().__init__(model, known, classes, settings, threads)
        self._network, self._affinity = network, affinity

    def _scores(self, image: Image, size: tuple[int, int], present: Sequence[int]) -> Tensor:
        """As of ImageLevel, after the walk."""
        pixels = network_input(image, self._affinity.image_side, self._network.backbone.info.multiple)
        features = self._network(pixels)[0]
        maps = with_background(normalized(self._activations(image, features.shape[1:], present)), ALPHA)
        spread = random_walk(transition(features, self._affinity.radius, BETA), maps, STEPS)
        scores = F.interpolate(spread[None], size, mode="bilinear", align_corners=True)[0]
        return scores / scores.sum(0)
