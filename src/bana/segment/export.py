"""Export a segmenter to a file that runs without bana: ONNX or TorchScript, checked before it is written."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from bana._version import __version__
from bana.errors import BanaError, OutputError, SettingsError
from bana.extras import needed
from bana.io.files import atomic_file
from bana.nn.network_file import NetworkFacts
from bana.segment.model import SEGMENTER, SegmentationNetwork, upsampled
from bana.segment.settings import SegmentSettings

Format = Literal["onnx", "torchscript"]
"""The export formats."""

INPUT_NAME = "images"
OUTPUT_NAME = "probabilities"
EXTRA_FILE = "bana.json"
"""The file in a TorchScript archive with the facts that ONNX keeps as metadata."""

TOLERANCE = 1e-4
"""Greatest difference of a probability between the exported file and the network that is accepted."""

OPSET = 17
"""The ONNX opset. It is not the newest, so that older runtimes read the file; the networks need no newer one."""

ONNX_LIMIT = 2**31 - 2**20
"""Most bytes of weights in one ONNX file, which protobuf limits to 2 GB with the graph."""

_Run = Callable[[Tensor], Tensor]
"""A loaded file: takes images, returns probabilities."""


@dataclass(frozen=True)
class ExportReport:
    """The result of an export.

    Attributes:
        path: The file.
        format: ``onnx`` or ``torchscript``.
        bytes: The file's size.
        difference: Greatest absolute difference of a probability between the file and the network, over all ``sizes``.
        sizes: The (N, H, W) at which both were run.
        opset: The ONNX opset; None for TorchScript.
    """

    path: Path
    format: Format
    bytes: int
    difference: float
    sizes: tuple[tuple[int, int, int], ...]
    opset: int | None

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values for JSON."""
        return {**vars(self), "path": str(self.path), "sizes": [list(size) for size in self.sizes]}


class PixelProbabilities(nn.Module):
    """The exported module: a segmentation network up to the probabilities of every pixel.

    Args:
        network: The trained network; it is switched to inference and no longer gets gradients.
        temperature: Factor on its cosines.
    """

    def __init__(self, network: SegmentationNetwork, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities (N, L + 1, H, W) of images (N, 3, H, W) of RGB in 0..255, the background's first."""
        cosine = upsampled(self.network(images), (images.shape[2], images.shape[3]))
        return (self.temperature * cosine).softmax(1)


def export_segmenter(file_or_run: Path, to: Format, out: Path) -> ExportReport:
    """Write a segmenter as one file that runs without bana.

    The file takes ``images``, float32 (N, 3, H, W) of RGB in 0..255, which it normalizes itself. It returns
    ``probabilities``, float32 (N, L + 1, H, W), which sum to 1 at every pixel; a channel's number is the class id, 0
    the background. It runs the network at one scale, without flips and without the CRF. N, H and W are free, as far as
    the backbone takes the size (bana's own take every size, some of timm's have a minimum). Features line up best with
    the image's corners where H - 1 and W - 1 are multiples of ``backbone.info.multiple`` (``multiple`` in the facts
    below); ``Segmenter`` scales every image to such a size, after it has enlarged it by ``magnification``.

    The facts (``classes`` and ``temperature`` as JSON, ``multiple``, ``magnification``, ``input``, ``output``,
    ``bana_version``) are in the ``metadata_props`` of ONNX, or in the extra file ``bana.json`` of TorchScript.

    Before the file gets its name it is loaded and run on several sizes. None of its probabilities may differ from the
    network's by more than TOLERANCE. If anything fails, an older file at ``out`` stays.

    Args:
        file_or_run: A ``segmenter.safetensors``, or the folder that holds it.
        to: ``onnx`` (needs the packages onnx and onnxruntime) or ``torchscript``.
        out: The file to write. Its folder is created.

    Raises:
        CheckpointError: If there is no segmenter, or it is damaged or of another kind.
        SettingsError: If ``to`` is not known, its packages are not installed, it cannot hold this network, or the
            exported file does not do what the network does.
        OutputError: If the file cannot be written, or ``out`` is the segmenter itself.
    """
    if to not in _EXPORTERS:
        raise SettingsError(f"to: {to!r} is not known; choose {' or '.join(get_args(Format))}")
    exporter = _EXPORTERS[to]
    for package in exporter.packages:
        needed(package, "onnx", f"to: {to}")
    if out.resolve() == SEGMENTER.path(file_or_run).resolve():
        raise OutputError(f"{out}: is the segmenter itself; choose another --out")
    network, facts = SEGMENTER.load(file_or_run)
    module = PixelProbabilities(network, facts.settings.temperature)
    multiple = network.backbone.info.multiple
    # The sizes of the check share no side with the example: a side taken for a constant would go unseen.
    example = torch.zeros(2, 3, 3 * multiple + 1, 4 * multiple + 1)
    sizes = ((1, 2 * multiple + 1, 2 * multiple + 1), (2, 3 * multiple - 2, 2 * multiple + 7))
    # The file is opened before the work, so that a place that cannot be written to is reported at once.
    with atomic_file(out) as file, torch.inference_mode(False), torch.no_grad(), _quiet():
        with _one_line(f"{file_or_run}: cannot be exported to {to}"):
            content = exporter.make(module, example, _metadata(facts, multiple))
        with _one_line(f"{file_or_run}: the exported {to} does not run"):
            difference = _difference(module, exporter.load(content), sizes)
        if not difference <= TOLERANCE:  # NaN is refused too
            raise SettingsError(
                f"{file_or_run}: the exported {to} differs from the network by {difference:.2g} in a probability, more "
                f"than {TOLERANCE:g}; try {_other(to)}, or train with another backbone"
            )
        file.write(content)
    return ExportReport(out, to, len(content), difference, sizes, exporter.opset)


def _metadata(facts: NetworkFacts[SegmentSettings], multiple: int) -> dict[str, str]:
    """The facts that users of the file need, by name."""
    return {
        "classes": json.dumps(facts.classes),
        "temperature": json.dumps(facts.settings.temperature),
        "multiple": str(multiple),
        "magnification": str(facts.settings.magnified),
        "input": f"{INPUT_NAME}: float32 (N, 3, H, W) of RGB in 0..255, normalized inside; any size, best where H - 1 "
        f"and W - 1 are multiples of {multiple}",
        "output": f"{OUTPUT_NAME}: float32 (N, {len(facts.classes) + 1}, H, W) that sum to 1 at every pixel; channel 0 "
        "is the background, channel i + 1 is classes[i]",
        "bana_version": __version__,
    }


def _difference(module: nn.Module, run: _Run, sizes: Sequence[tuple[int, int, int]]) -> float:
    """Greatest absolute difference between a loaded file and the module, on random images of sizes (N, H, W)."""
    generator = torch.Generator().manual_seed(0)
    differences = []
    for number, height, width in sizes:
        images = 255 * torch.rand(number, 3, height, width, generator=generator)
        expected, found = module(images), run(images)
        if found.shape != expected.shape or found.dtype != expected.dtype:
            raise ValueError(f"gives {found.dtype} {tuple(found.shape)} for images {tuple(images.shape)}")
        differences.append((found - expected).abs().max())
    return float(torch.stack(differences).max())


def _onnx(module: PixelProbabilities, example: Tensor, metadata: dict[str, str]) -> bytes:
    if sum(each.numel() * each.element_size() for each in module.state_dict().values()) > ONNX_LIMIT:
        raise SettingsError("to: one onnx file holds at most 2 GB of weights, and these are more; choose torchscript")
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.weight is None:
            # The exporter writes factors of 1 itself, but only where it could follow the number of channels so far.
            layer.weight = nn.Parameter(torch.ones(layer.num_features), requires_grad=False)
            layer.bias = nn.Parameter(torch.zeros(layer.num_features), requires_grad=False)
    onnx = needed("onnx", "onnx", "to: onnx")
    buffer = BytesIO()
    free = {0: "N", 2: "H", 3: "W"}
    # torch.export (dynamo=True) derives every map's size as a formula in H and W. With these networks' paddings and
    # strides that takes half a minute (vgg16) or over four (lite0; torch 2.14). Tracing takes one to three seconds and
    # leaves the sizes as free.
    torch.onnx.export(
        module,
        (example,),
        buffer,  # type: ignore[arg-type]  # a file object is taken where dynamo is off
        input_names=[INPUT_NAME],
        output_names=[OUTPUT_NAME],
        dynamic_axes={INPUT_NAME: free, OUTPUT_NAME: free},
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load_model_from_string(buffer.getvalue())
    onnx.helper.set_model_props(model, metadata)
    channels = module.network.class_weights.shape[0]
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = channels  # the exporter leaves a made-up name
    content: bytes = model.SerializeToString()
    return content


def _load_onnx(content: bytes) -> _Run:
    onnxruntime = needed("onnxruntime", "onnx", "to: onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run([OUTPUT_NAME], {INPUT_NAME: images.numpy()})[0])


def _torchscript(module: PixelProbabilities, example: Tensor, metadata: dict[str, str]) -> bytes:
    # Traced, not scripted: timm's networks do not all script, and the sizes stay free.
    traced = torch.jit.trace(module, (example,), check_trace=False)  # type: ignore[no-untyped-call]
    buffer = BytesIO()
    torch.jit.save(traced, buffer, _extra_files={EXTRA_FILE: json.dumps(metadata)})
    return buffer.getvalue()


def _load_torchscript(content: bytes) -> _Run:
    run: _Run = torch.jit.load(BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
    return run


class _Exporter(NamedTuple):
    """Makes a format from a module, example images and metadata, and loads it; the packages and the opset it needs."""

    make: Callable[[PixelProbabilities, Tensor, dict[str, str]], bytes]
    load: Callable[[bytes], _Run]
    packages: tuple[str, ...] = ()
    opset: int | None = None


_EXPORTERS: dict[str, _Exporter] = {
    "onnx": _Exporter(_onnx, _load_onnx, ("onnx", "onnxruntime"), OPSET),
    "torchscript": _Exporter(_torchscript, _load_torchscript),
}


def _other(to: str) -> str:
    return next(name for name in _EXPORTERS if name != to)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the user what torch says on the exporter.

    It warns that TorchScript is deprecated, and that tracing takes branches as it finds them (whether they fit other
    sizes is what the check finds out). Where ONNX has no such operation, it prints the whole graph, thousands of lines,
    from C++ to standard output, where our commands promise JSON and nothing else; that cannot be switched off.
    """
    try:
        sys.stdout.flush()
        stdout = os.dup(1)
    except (OSError, AttributeError):  # there is none, as in a service
        stdout = None
    try:
        if stdout is not None:
            with Path(os.devnull).open("wb") as nothing:
                os.dup2(nothing.fileno(), 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if stdout is not None:
            os.dup2(stdout, 1)
            os.close(stdout)


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Shorten whatever the exporter or the runtime raises, often pages long, to one line."""
    try:
        yield
    except BanaError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"
        raise SettingsError(f"{what} ({reason[:200]}); try another format, or train with another backbone") from error
