"""Labeling methods by name, and what each needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bana.affinity.model import AFFINITY
from bana.classify.model import LABELER
from bana.errors import SettingsError
from bana.io.files import file_digest
from bana.label.labeler import Labeler
from bana.label.method import LabelingMethod
from bana.label.methods.affinity import RandomWalk, ReliableLabels
from bana.label.methods.cam import ImageLevel
from bana.label.methods.fuse import Fusion, Part, Partial
from bana.label.methods.grabcut import GrabCut
from bana.label.methods.masks import MaskMethod, box_masks
from bana.label.methods.mcg import BestSegment
from bana.label.methods.sam import PromptableSegmenter
from bana.label.methods.wssl import BoxSegmentation
from bana.label.settings import LabelSettings
from bana.nn.crf_settings import CRFSettings
from bana.nn.initialization import pretrained_path
from bana.presets import merged, parse_settings

DEFAULT = "labeler"
"""The default method of ``bana label``."""

RELIABLE = "cam-reliable"
"""The method whose labels ``bana affinity`` learns from. It is not among NAMES."""

_FUSE = "fuse:"

_RECIPE = LabelSettings().model_dump(exclude={"precision"})
"""The paper's settings: all but what a processor computes in."""

_WITHOUT_U0 = _RECIPE | {"u0": "cam"}


@dataclass(frozen=True)
class _Classifier:
    """A method that labels with a box classifier.

    Attributes:
        changes: Changes to the labeler's settings.
        poolings: The poolings that its classifier may have been trained with.
    """

    changes: dict[str, Any]
    poolings: tuple[str, ...] = ("bap", "gap")


_CLASSIFIERS = {
    DEFAULT: _Classifier({}),
    "bap": _Classifier(_RECIPE),
    "bap-cam": _Classifier(_WITHOUT_U0),
    "gap": _Classifier(_WITHOUT_U0, ("gap",)),
    "cam": _Classifier({}, ("image",)),
    "affinity": _Classifier({}, ("image",)),
    RELIABLE: _Classifier({}, ("image",)),
}

_IMAGE_LEVEL = ("cam", "affinity", RELIABLE)

_PARTS: dict[str, tuple[str, Part]] = {
    "ret": ("bap", "y_ret"),
    "bap+ret": ("bap", "agreed"),
    "sdi": (f"{_FUSE}mcg,grabcut", "agreed"),
}

_MASKS: dict[str, Callable[[], Any]] = {"box": lambda: box_masks, "grabcut": GrabCut, "mcg": BestSegment}

NAMES = {
    DEFAULT: "BAP as the labeler's own settings say, which may go beyond the paper",
    "bap": "BAP by the paper's recipe (Eq. 5 to 9)",
    "bap-cam": "BAP without u_0: the background's class activation in its place",
    "ret": "Y_ret of bap alone (Eq. 8, 9)",
    "bap+ret": "bap where Y_crf and Y_ret agree, the rest ignored",
    "gap": "a classifier trained with --pooling gap, by class activations and CRF",
    "cam": "a classifier trained with --pooling image: the image's classes and no boxes",
    "affinity": "cam spread by a random walk, with a network of bana affinity (AffinityNet)",
    "box": "the rectangle",
    "grabcut": "GrabCut started from the rectangle",
    "wssl": "a CRF that holds each box's center for the object",
    "mcg": "the best of the segments of hierarchical segmentations",
    "sdi": "mcg and grabcut where they agree, the rest ignored",
    "sam": "a promptable segmenter, from two ONNX files",
}
"""All methods except ``fuse:A,B``, each with a description."""


@dataclass(frozen=True)
class MethodChoice:
    """A labeling method by its name, and what it is made from. It can be sent to other processes.

    Attributes:
        name: One of NAMES, or ``fuse:A,B`` of two of them.
        labelers: Labeler files or run folders by the method that they are for; "" is for all others.
        encoder: ONNX file of a promptable segmenter.
        decoder: ONNX file of its decoder.
        preset: Settings of labelers in the place of their own (default: their own). Those that a method is defined by
            override them.
        options: Changes to the settings of labelers, such as ``{"refinements": 2}``. They override the method's own.
        device: Where a labeler's network computes. It is not among the facts.
        warm_start: Whether a frame of a video starts from the masks of the last one.
    """

    name: str = DEFAULT
    labelers: Mapping[str, Path] = field(default_factory=dict)
    encoder: Path | None = None
    decoder: Path | None = None
    preset: LabelSettings | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    warm_start: bool = False

    @classmethod
    def of_labeler(cls, file_or_run: Path) -> MethodChoice:
        """The method of a labeler with its own settings."""
        return cls(labelers={"": file_or_run})

    def parts(self) -> tuple[MethodChoice, ...]:
        """The methods that this one combines, if any. Raises SettingsError if ``fuse`` does not name two."""
        if self.name in _PARTS:
            return (replace(self, name=_PARTS[self.name][0]),)
        if self.name.startswith(_FUSE):
            names = self.name.removeprefix(_FUSE).split(",")
            if len(names) != 2 or not all(name in NAMES for name in names):
                raise SettingsError(f"method {self.name!r}: fuse:A,B takes two of {', '.join(NAMES)}")
            return tuple(replace(self, name=name) for name in names)
        return ()

    def facts(self) -> dict[str, Any]:
        """Everything that labels depend on except images and classes, as plain values: settings and file digests.

        Raises:
            CheckpointError: If a labeler or network is missing, damaged or of another kind.
            SettingsError: If there is no such method, it needs a file that is not named, or an option has a value that
                is not allowed.
        """
        facts: dict[str, Any] = {"name": self.name} | ({"warm_start": True} if self.warm_start else {})
        if parts := self.parts():
            return facts | {"of": [part.facts() for part in parts]}
        if self.name in _CLASSIFIERS:
            settings = self._label_settings().model_dump(mode="json")
            return facts | {"labeler": file_digest(self._labeler()), "settings": settings}
        if self.name == "sam":
            return facts | {"files": [file_digest(file) for file in self._sam_files()]}
        if self.name not in NAMES:
            raise SettingsError(f"method {self.name!r} is not known; choose one of {', '.join(NAMES)}, or fuse:A,B")
        return facts

    def open(self, classes: Sequence[str], threads: int | None) -> LabelingMethod:
        """Load the method.

        Args:
            classes: The L class names that class ids refer to.
            threads: Threads of the CRF and the ONNX runtime (default: all cores).

        Raises:
            CheckpointError, SettingsError: As ``facts`` does; and if a package is not installed.
        """
        if parts := self.parts():
            first, *second = (part.open(classes, threads) for part in parts)
            return Fusion(first, *second) if second else Partial(first, _PARTS[self.name][1])
        if self.name in _IMAGE_LEVEL:
            return self._open_image_level(classes, threads)
        if self.name in _CLASSIFIERS:
            labeler = Labeler.load(self._labeler(), self._label_settings(), threads, self.device)
            return labeler.for_classes(classes)
        if self.name == "sam":
            return MaskMethod(classes, PromptableSegmenter(*self._sam_files(), threads))
        if self.name == "wssl":
            return BoxSegmentation(classes, CRFSettings(), threads)
        return MaskMethod(classes, _MASKS[self.name]())

    def _open_image_level(self, classes: Sequence[str], threads: int | None) -> LabelingMethod:
        file = self._labeler()
        model, facts = LABELER.load(file)
        common = (model, facts.classes, classes, self._label_settings(), threads)
        if self.name == "affinity":
            network, trained = AFFINITY.load(file)
            return RandomWalk(network, trained.settings, *common)
        return ReliableLabels(*common) if self.name == RELIABLE else ImageLevel(*common)

    def _labeler(self) -> Path:
        """The labeler file of this method (default: the one that comes with bana)."""
        return LABELER.path(self.labelers.get(self.name, self.labelers.get("", pretrained_path())))

    def _label_settings(self) -> LabelSettings:
        file = self._labeler()
        wanted, facts = _CLASSIFIERS[self.name], LABELER.load_facts(file)
        if facts.settings.pooling not in wanted.poolings:
            raise SettingsError(
                f"method {self.name}: needs a classifier that was trained with --pooling {wanted.poolings[0]}; train "
                f"it with bana classify, and name its run: --labeler {self.name}=RUN"
            )
        if self.name == "affinity" and not AFFINITY.is_in(file):
            raise SettingsError(
                f"method affinity: {file} has no affinity network; train one with bana affinity, which joins it to a "
                "labeler, and name its run: --labeler affinity=RUN"
            )
        own = facts.label if self.preset is None else self.preset.model_dump()
        return parse_settings(merged({**own, **wanted.changes}, dict(self.options)), LabelSettings, "options")

    def _sam_files(self) -> tuple[Path, Path]:
        if self.encoder is None or self.decoder is None:
            raise SettingsError("method sam: needs --sam-encoder and --sam-decoder, two ONNX files of one export")
        return self.encoder, self.decoder
