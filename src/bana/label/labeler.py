"""Stage 2 for one image: from its boxes to pixel labels."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from bana.classify.model import LABELER, BoxClassifier
from bana.data.class_names import matching_classes
from bana.data.records import ClassTable, overlapping_groups
from bana.data.reduction import block_means
from bana.errors import SettingsError
from bana.label.boxes import EVERYWHERE, BoxedImage, Image
from bana.label.class_transfer import predicted_classes
from bana.label.instances import assemble, instance_masks
from bana.label.method import LabelingMethod
from bana.label.points import corrected_boxes, known_labels
from bana.label.pseudo_labels import PseudoLabels
from bana.label.reduced import ReducedMap, block_side, enlarged, enlarged_parts
from bana.label.refined import assemble_refined, combined_boxes, within_rectangles
from bana.label.settings import LabelSettings
from bana.label.unaries import (
    ROUNDS,
    background_unary,
    image_attention,
    object_unary,
    raised_unaries,
)
from bana.label.upsampled import UpsampledFeatures, concat_low_level
from bana.label.view import View, greatest
from bana.label.warm_start import warm_boxes
from bana.nn.crf_settings import crf_errors
from bana.nn.inference import at_work, computing
from bana.nn.initialization import pretrained_path
from bana.nn.network import network_input, on_device
from bana.presets import parse_settings
from bana.refine.model import REFINER
from bana.refine.refiner import BoxProbability, Refiner
from densecrf import DenseCRF

_SEEDING = 1
"""Updates of the CRF for labels that are only to give prototypes; more did not make the final ones better."""


class Labeler(LabelingMethod):
    """Labels images from their boxes.

    ``Labeler.load(file)`` or ``Labeler.pretrained()`` makes one. Call it with an image, boxes and class ids or names:

        labels = Labeler.pretrained()("photo.jpg", [(48, 240, 195, 371)], ["dog"])

    Args:
        model: The trained box classifier.
        classes: The L names of its classes.
        settings: How images are labeled.
        roi_bins: R, as the classifier was trained.
        threads: CRF threads (default: all cores).
        device: Where the networks compute; everything else runs on the CPU.
        refiner: Gives each box a mask of its own (default: there is none).

    Attributes:
        model: As given.
        refiner: As given.
        settings: As given.
        class_table: The classes that ``class_ids`` refer to.
    """

    def __init__(
        self,
        model: BoxClassifier,
        classes: Sequence[str],
        settings: LabelSettings,
        roi_bins: int,
        threads: int | None = None,
        device: str = "cpu",
        refiner: Refiner | None = None,
    ) -> None:
        self.model = on_device(model.eval(), device)
        self.refiner = refiner
        self._network = at_work(self.model, device)
        self._device = device
        self._weights = model.class_weights.detach().cpu()
        self.settings = settings
        self.class_table = ClassTable(tuple(classes))
        self._trained_classes = tuple(classes)
        self._trained_ids: tuple[int | None, ...] = tuple(range(1, len(classes) + 1))
        self._roi_bins = roi_bins
        self._threads = threads
        self._crf = self._built_crf()

    @classmethod
    def load(
        cls,
        file_or_run: str | PathLike[str],
        settings: LabelSettings | None = None,
        threads: int | None = None,
        device: str = "cpu",
    ) -> Labeler:
        """Load a labeler file, or the one in a run folder of ``bana classify``.

        Args:
            file_or_run: A ``labeler.safetensors``, or the folder that holds it.
            settings: How images are labeled (default: as the file says).
            threads: CRF threads (default: all cores).
            device: Where the network computes: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ...

        Raises:
            CheckpointError: If there is none, or it is damaged or of another kind.
            SettingsError: If the device cannot be had.
        """
        file = LABELER.path(Path(file_or_run))
        model, facts = LABELER.load(file)
        if settings is None:
            settings = parse_settings(facts.label, LabelSettings, str(file))
        refiner = Refiner.load(file, device) if REFINER.is_in(file) else None
        labeler = cls(model, facts.classes, settings, facts.settings.roi_bins, threads, device, refiner)
        labeler.values = facts.values
        return labeler

    @classmethod
    def pretrained(
        cls, settings: LabelSettings | None = None, threads: int | None = None, device: str = "cpu"
    ) -> Labeler:
        """The labeler that comes with bana: VOC's 20 classes, and any other class class-agnostically."""
        return cls.load(pretrained_path(), settings, threads, device)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that ``class_ids`` refer to: ``classes[i]`` is class id i + 1."""
        return self.class_table.names

    def for_classes(self, names: Sequence[str]) -> Labeler:
        """The same labeler for other classes.

        Classes whose name the classifier knows (or a synonym of it) are labeled with its weights, all others
        class-agnostically through 1 - A (paper 4.2, VOC-to-COCO).

        Args:
            names: The names of the new classes 1..L.

        Raises:
            SettingsError: If ``names`` is a text.
        """
        if isinstance(names, str):
            raise SettingsError(
                f"names: is the text {names!r:.200}; give a list of class names, such as [{names!r:.200}]"
            )
        other = self.with_settings(self.settings)
        other.class_table = ClassTable(tuple(names))
        other._trained_ids = matching_classes(other.classes, self._trained_classes)
        return other

    def with_settings(self, settings: LabelSettings) -> Labeler:
        """The same labeler, for the same classes, with other settings."""
        other = copy.copy(self)
        other.settings = settings
        other._crf = other._built_crf()
        return other

    def _built_crf(self) -> DenseCRF:
        changed = {"iterations": self.settings.refined_iterations} if self._refiner_at_work else {}
        return self.settings.crf.model_copy(update=changed).build(self._threads)

    def without_weights(self) -> tuple[str, ...]:
        """The classes that the classifier does not know and that are labeled through 1 - A."""
        return tuple(name for name, known in zip(self.classes, self._trained_ids, strict=True) if known is None)

    @property
    def _refiner_at_work(self) -> Refiner | None:
        return self.refiner if self.settings.refine else None

    @property
    def uses_last(self) -> bool:
        """Whether masks of the last frame make a difference: where the refiner is at work."""
        return self._refiner_at_work is not None

    def label_boxed(self, image: Image, boxed: BoxedImage) -> PseudoLabels:
        """Label one image, RGB uint8 (H, W, 3), whose boxes are checked."""
        return self.from_features(self.features(image), image, boxed)

    @torch.inference_mode()
    def features(self, image: npt.NDArray[np.uint8]) -> Tensor:
        """The network's features of an image, RGB uint8 (H, W, 3): float32 (1, C, h, w), on the CPU.

        They depend on the settings ``image_side``, ``low_level`` and ``precision`` alone. A large image is reduced
        before (``bana.label.reduced``).
        """
        block = block_side((image.shape[0], image.shape[1]))
        pixels = network_input(
            block_means(image, (block, block)), self.settings.image_side, self.model.backbone.info.multiple
        )
        with computing(self.settings.precision, self._device):
            feature_maps = self._network.feature_maps(pixels.to(self._device))
            features = self._network.fuse(feature_maps)
        return concat_low_level(features.float(), feature_maps[0].float(), self.settings.low_level).cpu()

    @crf_errors()
    @torch.inference_mode()
    def from_features(self, features: Tensor, image: Image, boxed: BoxedImage) -> PseudoLabels:
        """Label one image from its checked boxes and its ``features`` (1, C, h, w)."""
        labels = [0, *sorted({int(label) for label in boxed.class_ids[boxed.usable]})]
        block = block_side(boxed.size, self._maps_at_once(boxed, len(labels)))
        reduced = boxed.reduced(block)
        view = self._view(reduced, labels, UpsampledFeatures(features[0], reduced.size))
        seen = block_means(image, (block, block))
        marginals = self._marginals(seen, view)
        crf = view.chosen(marginals)
        names = np.array(labels, dtype=self.class_table.label_dtype)
        y_crf = names[crf.numpy()]
        predicted = predicted_classes(reduced, features, self._weights, self._roi_bins, self._trained_ids)
        if self._refiner_at_work is not None:
            with computing(self.settings.precision, self._device):
                probabilities = self._refiner_at_work(image, boxed.inside[boxed.usable])
            refined: Sequence[BoxProbability] = within_rectangles(boxed, probabilities)
            maps = {label: ReducedMap(each, block) for label, each in zip(labels, marginals.numpy(), strict=True)}
            joined = combined_boxes(boxed, refined, maps, self.settings.labeler_share)
            boxes: Sequence[BoxProbability] = warm_boxes(boxed, joined)
            if any(boxed.points):
                opinions = (corrected_boxes(boxed, image, each) for each in (refined, boxes))
                refined, boxes = (within_rectangles(boxed, each) for each in opinions)
            labeler = enlarged(y_crf, block, boxed.size)
            return assemble_refined(boxed, self.class_table, boxes, refined, labeler, predicted)
        y_ret = names[self._retrieve(view, crf).numpy()]
        confidence = torch.where(reduced.background_mask, 1.0, marginals.gather(0, crf[None])[0]).numpy()
        parts = None
        if self.settings.instance_aware:
            masks = instance_masks(reduced, y_crf, view.features, seen, self._crf)
            parts = enlarged_parts(masks, reduced, boxed, block)
        maps_of_labels = (enlarged(each, block, boxed.size) for each in (y_crf, y_ret, confidence))
        return assemble(boxed, self.class_table, *maps_of_labels, parts=parts, predicted_classes=predicted)

    def _maps_at_once(self, boxed: BoxedImage, labels: int) -> int:
        """How many maps of the image there are at once: of each label, or of the boxes that share a class's pixels."""
        if self._refiner_at_work is not None or not self.settings.instance_aware:
            return labels
        groups = overlapping_groups(boxed.inside[boxed.usable], boxed.class_ids[boxed.usable])
        return max(labels, max(map(len, groups), default=0) // 2)  # they are gone before there are these

    def _view(self, boxed: BoxedImage, labels: list[int], features: UpsampledFeatures) -> View:
        cosine = features.upsampled_cosine if self.settings.similarity_at == "feature" else features.cosine
        everywhere = torch.ones_like(boxed.background_mask)
        weights = self._weights
        return View(
            boxed=boxed,
            features=features,
            weights=F.pad(weights, (0, len(features.features) - weights.shape[1])),
            cosine=cosine,
            labels=labels,
            allowed=torch.stack([everywhere, *(boxed.class_region(label) for label in labels[1:])]),
            attention=image_attention(features, cosine, boxed.background_mask, self.settings.grid_size),
            known=known_labels(boxed, labels),
        )

    def _unaries(self, view: View) -> Tensor:
        """u_0 and u_c for every class in the image (Eq. 5 to 7): (V, H, W)."""
        boxed, settings = view.boxed, self.settings
        if settings.u0 == "attention":
            background = background_unary(view.attention, boxed.background_mask, settings.attention_threshold)
        else:
            activation = view.features.dot(view.weights[:1])[0].relu()
            inside = activation * ~boxed.background_mask
            background = torch.where(boxed.background_mask, 1.0, object_unary(inside, [EVERYWHERE], per_box=True))
        objects = [
            object_unary(self._activation(view, label), boxed.places_of(label), settings.cam_norm == "box")
            for label in view.labels[1:]
        ]
        return torch.stack([background, *objects])

    def _activation(self, view: View, label: int) -> Tensor:
        """The foreground map of a class: its CAM (Eq. 6), or 1 - A where the classifier does not know it."""
        trained = self._trained_ids[label - 1]
        if trained is None:
            return 1.0 - view.attention
        return view.features.dot(view.weights[trained][None])[0].relu()

    def _marginals(self, image: npt.NDArray[np.uint8], view: View) -> Tensor:
        """The probability of every label at every pixel, from the CRF: (V, H, W)."""
        unaries = self._unaries(view)
        with self._crf.prepare(image, fixed=view.fixed.numpy()) as crf:
            seeds = self._refiner_at_work is not None and self.settings.refinements > 0
            marginals: Tensor = crf(probabilities=view.probabilities(unaries), iterations=_SEEDING if seeds else None)
            for _ in range(self.settings.refinements):
                unaries = self._correlation(view, view.chosen(marginals)) * self.settings.refinement_scale
                unaries = unaries.masked_fill(~view.allowed, -torch.inf)
                marginals = crf(probabilities=view.probabilities(unaries))
            for _ in range(0 if self._refiner_at_work else ROUNDS):
                raised = self._raised(view, view.chosen(marginals))
                if raised is None:
                    break
                unaries = unaries + raised
                marginals = crf(probabilities=view.probabilities(unaries))
        return marginals

    def _raised(self, view: View, labels: Tensor) -> Tensor | None:
        """How much to raise the unaries where objects do not reach into their boxes (V, H, W); None if all do."""
        boxed = view.boxed
        boxes, ids = boxed.inside[boxed.usable], boxed.class_ids[boxed.usable]
        classes = np.searchsorted(view.labels, ids)
        raised = raised_unaries(labels.numpy(), boxes, classes, len(view.labels), self.settings.tightness)
        return None if raised is None else torch.from_numpy(raised)

    def _retrieve(self, view: View, crf: Tensor) -> Tensor:
        """Y_ret as indices into the labels: the class whose prototype is most similar."""
        best = greatest(self._correlation(view, crf) * view.allowed)
        return torch.where(view.boxed.background_mask, 0, best)

    def _correlation(self, view: View, crf: Tensor) -> Tensor:
        """Similarity of every pixel to the prototype of every label in Y_crf (Eq. 8, 9), not negative: (V, H, W)."""
        masks = torch.stack([crf == index for index in range(len(view.labels))])
        prototypes = view.features.mean(masks)
        for index, label in enumerate(view.labels):
            if not masks[index].any():
                prototypes[index] = self._stand_in(view, label)
        return view.cosine(prototypes).relu()

    def _stand_in(self, view: View, label: int) -> Tensor:
        """The prototype of a class that vanished from Y_crf: its weights, or its boxes' features weighted by 1 - A."""
        trained = 0 if label == 0 else self._trained_ids[label - 1]
        if trained is not None:
            return view.weights[trained]
        weight = (1.0 - view.attention) * view.boxed.class_region(label)
        return view.features.sum(weight[None])[0] / weight.sum().clamp(min=1e-12)
