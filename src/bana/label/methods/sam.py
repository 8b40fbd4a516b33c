"""``sam``: a promptable segmenter with every box as a prompt: SAM, SAM 2, MobileSAM, EdgeSAM, ... as two ONNX files.

Exports differ. The inputs and outputs that the files declare say how:

- *Encoder*: one image input. ``(1, 3, S, S)`` gets the scaled image less ImageNet's mean, divided by its standard
  deviation, and zeros right and below; ``(height, width, 3)`` gets pixels 0..255, since such exports do that inside.
- *Scaling*: the longer side to S, which is 1024 where the file does not say. Both sides to S for decoders that want
  ``high_res_feats`` (SAM 2).
- *Decoder*: gets embeddings by the names of the encoder's outputs, a single one whatever its name; in ``*coord*`` and
  ``*label*`` the box's two corners with labels 2 and 3; zeros in ``mask_input`` and ``has_mask_input``; in
  ``orig_im_size`` the image's size. A decoder of a fixed number of points gets padding points, (0, 0) with label -1, up
  to that number; one of a free number gets none, since with a box there is nothing to pad.
- *Masks*: an output ``*mask*`` of logits at the image's size, or smaller and scaled here; where there are several of a
  box, that of the greatest ``*iou*`` or ``*score*``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from bana.data.records import BoolArray, FloatArray
from bana.errors import CheckpointError
from bana.extras import needed
from bana.label.boxes import BoxedImage, Image

MEAN = (123.675, 116.28, 103.53)
"""ImageNet's mean of RGB in 0..255, which SAM's encoders were trained with."""

DEVIATION = (58.395, 57.12, 57.375)
"""ImageNet's standard deviation of RGB in 0..255."""

_SIDE = 1024
"""Side of an encoder's square input, in pixels, if the file does not state it."""

_DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
}

Feed = dict[str, npt.NDArray[Any]]


class PromptableSegmenter:
    """Runs an encoder once per image and a decoder once per box.

    Args:
        encoder: ONNX file.
        decoder: ONNX file.
        threads: Threads of the runtime (default: all cores).

    Raises:
        CheckpointError: If a file is missing or damaged, or has an unknown input.
        SettingsError: If onnxruntime is not installed.
    """

    def __init__(self, encoder: Path, decoder: Path, threads: int | None) -> None:
        runtime = needed("onnxruntime", "sam", "method sam")
        self._encoder, self._decoder = (_session(runtime, file, threads) for file in (encoder, decoder))
        self._wanted = {each.name: each for each in self._decoder.get_inputs()}
        pictures = self._encoder.get_inputs()
        if len(pictures) != 1:
            raise CheckpointError(
                f"{encoder}: has {len(pictures)} inputs; give the encoder of a SAM, which has one image"
            )
        if not all(any(part in name for name in self._wanted) for part in ("coord", "label")):
            raise CheckpointError(f"{decoder}: has no inputs for points and their labels; give the decoder of a SAM")
        self._picture = pictures[0]
        sides = [each for each in self._picture.shape[-2:] if isinstance(each, int)]
        self._raw = len(self._picture.shape) == 3
        self._side = sides[0] if sides and not self._raw else _SIDE
        self._squashed = any("high_res" in name for name in self._wanted)
        self._names = self._embedding_names(encoder, decoder)

    def _embedding_names(self, encoder: Path, decoder: Path) -> dict[str, str]:
        """The encoder output for each decoder input that is an embedding."""
        given = [each.name for each in self._encoder.get_outputs()]
        taken = [name for name in self._wanted if not _is_prompt(name)]
        if len(given) == len(taken) == 1:
            return {taken[0]: given[0]}
        missing = [name for name in taken if name not in given]
        if missing or not taken:
            raise CheckpointError(
                f"{decoder}: wants {', '.join(missing) or 'no embedding'} but {encoder} gives {', '.join(given)}; give "
                "an encoder and a decoder of one export"
            )
        return {name: name for name in taken}

    def __call__(self, image: Image, boxed: BoxedImage) -> tuple[list[BoolArray], FloatArray]:
        """The masks of all boxes, each bool (h, w) of the box's pixels, and the confidence of every label (H, W)."""
        parts = boxed.empty_parts()
        uncertainty = np.zeros(boxed.size, dtype=np.float32)
        usable = np.flatnonzero(boxed.usable)
        embeddings = self._embeddings(image) if len(usable) else {}
        for number in usable:
            place = boxed.places[number]
            object_probability = self._probability(embeddings, boxed.boxes[number], boxed.size)[place]
            parts[number] = object_probability > 0.5
            uncertainty[place] = np.maximum(uncertainty[place], np.minimum(object_probability, 1 - object_probability))
        return parts, 1 - uncertainty

    def _embeddings(self, image: Image) -> Feed:
        """The encoder's outputs for an image, by the names of the decoder's inputs."""
        picture = self._prepared(image).astype(_DTYPES[self._picture.type])
        outputs = [each.name for each in self._encoder.get_outputs()]
        values = dict(zip(outputs, self._encoder.run(None, {self._picture.name: picture}), strict=True))
        return {name: values[origin] for name, origin in self._names.items()}

    def _prepared(self, image: Image) -> FloatArray:
        """The encoder's input: float32 (1, 3, S, S), or (height, width, 3)."""
        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
        height, width = self._scaled_size(image.shape[:2])
        pixels = F.interpolate(pixels, (height, width), mode="bilinear", antialias=True, align_corners=False)
        if self._raw:
            scaled: FloatArray = pixels[0].permute(1, 2, 0).numpy()
            return scaled
        pixels = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)
        padded: FloatArray = F.pad(pixels, (0, self._side - width, 0, self._side - height)).numpy()
        return padded

    def _scaled_size(self, size: tuple[int, ...]) -> tuple[int, int]:
        """The (height, width) of an image of this size in the encoder's input."""
        if self._squashed:
            return self._side, self._side
        scale = self._side / max(size)
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def _probability(self, embeddings: Feed, box: FloatArray, size: tuple[int, int]) -> FloatArray:
        """The probability of the box's object at every pixel, float32 (H, W)."""
        outputs = [each.name for each in self._decoder.get_outputs()]
        values = dict(zip(outputs, self._decoder.run(None, embeddings | self._prompt(box, size)), strict=True))
        logits = torch.from_numpy(_named(values, "mask").astype(np.float32)).flatten(0, -3)
        if len(logits) > 1:
            logits = logits[int(_named(values, "iou", "score").reshape(-1).argmax())][None]
        return torch.sigmoid(self._at_image_size(logits[:1], size)).numpy()

    def _prompt(self, box: FloatArray, size: tuple[int, int]) -> Feed:
        """The decoder's inputs except the embeddings."""
        height, width = self._scaled_size(size)
        corners = box.reshape(2, 2) * (width / size[1], height / size[0])
        feed: Feed = {}
        for name, wanted in self._wanted.items():
            if not _is_prompt(name):
                continue
            shape = [each if isinstance(each, int) else 1 for each in wanted.shape]
            if "coord" in name or ("label" in name):
                points = wanted.shape[1] if isinstance(wanted.shape[1], int) else 2
                value = np.zeros((1, points, 2)) if "coord" in name else np.full((1, points), -1.0)
                value[0, :2] = corners if "coord" in name else (2, 3)
            elif "size" in name:
                value = np.array(size)
            else:
                value = np.zeros(shape)
            feed[name] = value.astype(_DTYPES[wanted.type])
        return feed

    def _at_image_size(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Scale logits (1, h, w) of the whole input, or of the image, to the image's size (H, W)."""
        if logits.shape[1:] == size:
            return logits[0]
        height, width = self._scaled_size(size)
        square = F.interpolate(logits[None], (self._side, self._side), mode="bilinear", align_corners=False)
        shown = square[:, :, :height, :width]
        return F.interpolate(shown, size, mode="bilinear", align_corners=False)[0, 0]


def _is_prompt(name: str) -> bool:
    return any(part in name for part in ("coord", "label", "mask_input", "size"))


def _named(values: Feed, *parts: str) -> npt.NDArray[Any]:
    """The value whose name holds one of ``parts``; SAM's ``low_res_masks`` only where there are no others."""
    found = sorted((name for name in values if any(part in name for part in parts)), key=lambda name: "low_res" in name)
    return values[found[0]]


def _session(runtime: Any, file: Path, threads: int | None) -> Any:
    if not file.is_file():
        raise CheckpointError(f"{file}: no such file; name an ONNX file of a SAM with --sam-encoder and --sam-decoder")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's errors have no common base
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{file}: cannot be read as an ONNX network ({reason}); export it again") from error
