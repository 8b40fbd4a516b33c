"""Stage 2 for one image: from its boxes to pixel labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from bana.classify.model import LABELER, BoxClassifier
from bana.classify.pooling import background_attention, background_aware_pool, background_queries, feature_boxes
from bana.data.records import ClassTable
from bana.label.class_transfer import matching_classes
from bana.label.instances import assemble, instance_masks
from bana.label.method import EVERYWHERE, BoxedImage, Image, LabelingMethod
from bana.label.pseudo_labels import PseudoLabels
from bana.label.refined import assemble_refined, combined_boxes
from bana.label.settings import LabelSettings
from bana.label.unaries import ROUNDS, background_unary, label_probabilities, object_unary, raised_unaries
from bana.label.upsampled import UpsampledFeatures, concat_low_level
from bana.nn.crf_settings import crf_errors
from bana.nn.initialization import pretrained_path
from bana.nn.network import network_input, on_device
from bana.presets import parse_settings
from bana.refine.model import REFINER
from bana.refine.refiner import Refiner


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
        self._device = device
        self._weights = model.class_weights.detach().cpu()
        self.settings = settings
        self.class_table = ClassTable(tuple(classes))
        self._trained_classes = tuple(classes)
        self._trained_ids: tuple[int | None, ...] = tuple(range(1, len(classes) + 1))
        self._roi_bins = roi_bins
        self._threads = threads
        self._crf = settings.crf.build(threads)

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
        return cls(model, facts.classes, settings, facts.settings.roi_bins, threads, device, refiner)

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

    def for_classes(self, names: str | Sequence[str]) -> Labeler:
        """The same labeler for other classes.

        Classes whose name the classifier knows (or a synonym of it) are labeled with its weights, all others
        class-agnostically through 1 - A (paper 4.2, VOC-to-COCO).

        Args:
            names: The names of the new classes 1..L; a text is the name of a single class.
        """
        other = self.with_settings(self.settings)
        other.class_table = ClassTable((names,) if isinstance(names, str) else tuple(names))
        other._trained_ids = matching_classes(other.classes, self._trained_classes)
        return other

    def with_settings(self, settings: LabelSettings) -> Labeler:
        """The same labeler, for the same classes, with other settings."""
        other = Labeler(
            self.model, self._trained_classes, settings, self._roi_bins, self._threads, self._device, self.refiner
        )
        other.class_table, other._trained_ids = self.class_table, self._trained_ids
        return other

    def without_weights(self) -> tuple[str, ...]:
        """The classes that the classifier does not know and that are labeled through 1 - A."""
        return tuple(name for name, known in zip(self.classes, self._trained_ids, strict=True) if known is None)

    @property
    def _refiner_at_work(self) -> Refiner | None:
        return self.refiner if self.settings.refine else None

    def label_boxed(self, image: Image, boxed: BoxedImage) -> PseudoLabels:
        """Label one image, uint8 (H, W, 3), whose boxes are checked."""
        return self.from_features(self.features(image), image, boxed)

    @torch.inference_mode()
    def features(self, image: npt.NDArray[np.uint8]) -> Tensor:
        """The network's features of an image, uint8 (H, W, 3): float32 (1, C, h, w), on the CPU.

        They depend on the settings ``image_side`` and ``low_level`` alone.
        """
        pixels = network_input(image, self.settings.image_side, self.model.backbone.info.multiple)
        feature_maps = self.model.feature_maps(pixels.to(self._device))
        return concat_low_level(self.model.fuse(feature_maps), feature_maps[0], self.settings.low_level).cpu()

    @crf_errors()
    @torch.inference_mode()
    def from_features(self, features: Tensor, image: Image, boxed: BoxedImage) -> PseudoLabels:
        """Label one image from its checked boxes and its ``features`` (1, C, h, w)."""
        view = self._view(boxed, UpsampledFeatures(features[0], boxed.size))
        marginals = self._marginals(image, view)
        crf = _labels(marginals, view)
        names = np.array(view.labels, dtype=self.class_table.label_dtype)
        y_crf = names[crf.numpy()]
        predicted = self._box_classes(boxed, features)
        if self._refiner_at_work is not None:
            refined = self._refiner_at_work(image, boxed.inside[boxed.usable])
            boxes = combined_boxes(boxed, refined, marginals.numpy(), view.labels, self.settings.labeler_share)
            return assemble_refined(boxed, self.class_table, boxes, refined, y_crf, predicted)
        y_ret = names[self._retrieve(view, crf).numpy()]
        confidence = torch.where(boxed.background_mask, 1.0, marginals.gather(0, crf[None])[0])
        aware = self.settings.instance_aware
        parts = instance_masks(boxed, y_crf, view.features, image, self._crf) if aware else None
        return assemble(
            boxed, self.class_table, y_crf, y_ret, confidence.numpy(), parts=parts, predicted_classes=predicted
        )

    def _view(self, boxed: BoxedImage, features: UpsampledFeatures) -> _View:
        cosine = features.upsampled_cosine if self.settings.similarity_at == "feature" else features.cosine
        labels = [0, *sorted({int(label) for label in boxed.class_ids[boxed.usable]})]
        everywhere = torch.ones_like(boxed.background_mask)
        weights = self._weights
        return _View(
            boxed=boxed,
            features=features,
            weights=F.pad(weights, (0, len(features.features) - weights.shape[1])),
            cosine=cosine,
            labels=labels,
            allowed=torch.stack([everywhere, *(boxed.class_region(label) for label in labels[1:])]),
            attention=cosine(features.mean(boxed.background_mask[None]))[0].relu(),
        )

    def _unaries(self, view: _View) -> Tensor:
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

    def _activation(self, view: _View, label: int) -> Tensor:
        """The foreground map of a class: its CAM (Eq. 6), or 1 - A where the classifier does not know it."""
        trained = self._trained_ids[label - 1]
        if trained is None:
            return 1.0 - view.attention
        return view.features.dot(view.weights[trained][None])[0].relu()

    def _marginals(self, image: npt.NDArray[np.uint8], view: _View) -> Tensor:
        """The probability of every label at every pixel, from the CRF: (V, H, W)."""
        background_mask = view.boxed.background_mask
        unaries = self._unaries(view)
        with self._crf.prepare(image, fixed=background_mask.numpy()) as crf:
            marginals: Tensor = crf(probabilities=label_probabilities(unaries, background_mask))
            for _ in range(self.settings.refinements):
                unaries = self._correlation(view, _labels(marginals, view)) * self.settings.refinement_scale
                unaries = unaries.masked_fill(~view.allowed, -torch.inf)
                marginals = crf(probabilities=label_probabilities(unaries, background_mask))
            for _ in range(0 if self._refiner_at_work else ROUNDS):
                raised = self._raised(view, _labels(marginals, view))
                if raised is None:
                    break
                unaries = unaries + raised
                marginals = crf(probabilities=label_probabilities(unaries, background_mask))
        return marginals

    def _raised(self, view: _View, labels: Tensor) -> Tensor | None:
        """How much to raise the unaries where objects do not reach into their boxes (V, H, W); None if all do."""
        boxed = view.boxed
        boxes, ids = boxed.inside[boxed.usable], boxed.class_ids[boxed.usable]
        classes = np.searchsorted(view.labels, ids)
        raised = raised_unaries(labels.numpy(), boxes, classes, len(view.labels), self.settings.tightness)
        return None if raised is None else torch.from_numpy(raised)

    def _retrieve(self, view: _View, crf: Tensor) -> Tensor:
        """Y_ret as indices into the labels: the class whose prototype is most similar."""
        best = (self._correlation(view, crf) * view.allowed).argmax(0)
        return torch.where(view.boxed.background_mask, 0, best)

    def _correlation(self, view: _View, crf: Tensor) -> Tensor:
        """Similarity of every pixel to the prototype of every label in Y_crf (Eq. 8, 9), not negative: (V, H, W)."""
        masks = torch.stack([crf == index for index in range(len(view.labels))])
        prototypes = view.features.mean(masks)
        for index, label in enumerate(view.labels):
            if not masks[index].any():
                prototypes[index] = self._stand_in(view, label)
        return view.cosine(prototypes).relu()

    def _stand_in(self, view: _View, label: int) -> Tensor:
        """The prototype of a class that vanished from Y_crf: its weights, or its boxes' features weighted by 1 - A."""
        trained = 0 if label == 0 else self._trained_ids[label - 1]
        if trained is not None:
            return view.weights[trained]
        weight = (1.0 - view.attention) * view.boxed.class_region(label)
        return view.features.sum(weight[None])[0] / weight.sum().clamp(min=1e-12)

    def _box_classes(self, boxed: BoxedImage, features: Tensor) -> list[int | None]:
        """The class of every box by the classifier: 0 background, None if it is not one of ``classes``."""
        if not len(boxed.boxes):
            return []
        features = features[:, : self._weights.shape[1]]  # f alone, as the classifier was trained
        size = (features.shape[2], features.shape[3])
        background_mask = F.interpolate(boxed.background_mask[None, None].float(), size, mode="nearest-exact")
        attention = background_attention(features, *background_queries(features, background_mask, grid_size=1))
        boxes = F.pad(feature_boxes(torch.from_numpy(boxed.boxes), boxed.size, size), (1, 0))
        pooled = background_aware_pool(features, attention, boxes, self._roi_bins).mean((2, 3))
        targets: dict[int, int] = {0: 0}
        for label, trained in enumerate(self._trained_ids, start=1):
            if trained is not None:
                targets.setdefault(trained, label)
        return [targets.get(int(trained)) for trained in F.linear(pooled, self._weights).argmax(1)]


@dataclass(frozen=True)
class _View:
    """What both kinds of label are made from.

    ``labels`` are the labels in the image, background first. ``weights`` are those of all trained classes, with as many
    channels as the features: 0 for channels that the classifier does not see. ``allowed``, bool (V, H, W), is where
    each label may be.
    """

    boxed: BoxedImage
    features: UpsampledFeatures
    weights: Tensor
    cosine: Callable[[Tensor], Tensor]
    labels: list[int]
    allowed: Tensor
    attention: Tensor


def _labels(marginals: Tensor, view: _View) -> Tensor:
    """Y_crf as indices into the labels: the most probable one of those whose boxes hold the pixel (H, W)."""
    return (marginals * view.allowed).argmax(0)
