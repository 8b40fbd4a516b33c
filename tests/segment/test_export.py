import json
import sys
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bana import __version__
from bana.errors import BanaError, CheckpointError, OutputError, SettingsError
from bana.nn.network_file import NetworkFacts
from bana.segment import export
from bana.segment.export import ExportReport, PixelProbabilities, export_segmenter
from bana.segment.model import SEGMENTER
from bana.segment.segmenter import PredictSettings, Segmenter
from bana.segment.settings import SegmentSettings

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

CLASSES = ("Katze", "wild dog")
NETWORKS = {"lite0": "fuse", "timm:resnet18": "fuse", "vgg16": "none", "resnet101": "aspp"}
FORMATS = ("onnx", "torchscript")
every_format = pytest.mark.parametrize("to", FORMATS)


def write_run(folder, backbone, head):
    options = {"backbone_weights": "random", "train_backbone": "all", "head_width": 24, "temperature": 15.0}
    settings = SegmentSettings(backbone=backbone, head=head, **options)
    network = SEGMENTER.build(settings, len(CLASSES), seed=1)
    SEGMENTER.save(folder / SEGMENTER.file_name, network, NetworkFacts(CLASSES, settings))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder of a small random network, which exports in half a second."""
    return write_run(tmp_path_factory.mktemp("run"), "timm:mobilenetv3_small_050", "fuse")


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """Its exports and their reports, by format."""
    folder = tmp_path_factory.mktemp("exported")
    return {to: (folder / f"s.{to}", export_segmenter(run, to, folder / f"s.{to}")) for to in FORMATS}


def pixels(number, height, width, seed=0):
    return 255 * torch.rand(number, 3, height, width, generator=torch.Generator().manual_seed(seed))


def run_file(path, to, images):
    """What an exported file makes of images, with nothing of bana's in between."""
    if to == "onnx":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return torch.jit.load(path)(images)


def check_sizes(run, path, to):
    network, facts = SEGMENTER.load(run)
    multiple = network.backbone.info.multiple
    aligned = (1, 2 * multiple + 1, 4 * multiple + 1)
    for number, (images, height, width) in enumerate([aligned, (3, 50, 91), (1, 91, 50), (2, 16, 16), (1, 1, 7)]):
        given = pixels(images, height, width, seed=number)
        with torch.no_grad():
            cosine = F.interpolate(network(given), (height, width), mode="bilinear", align_corners=True)
        found = run_file(path, to, given)
        assert found.dtype == torch.float32
        assert found.shape == (images, len(CLASSES) + 1, height, width)
        torch.testing.assert_close(found, (facts.settings.temperature * cosine).softmax(1), atol=1e-4, rtol=0)
        torch.testing.assert_close(found.sum(1), torch.ones(images, height, width))


@every_format
@pytest.mark.parametrize(
    "backbone", [pytest.param(name, marks=[pytest.mark.slow] if name == "resnet101" else []) for name in NETWORKS]
)
def test_every_network_runs_at_any_size(tmp_path, backbone, to):
    run, out = write_run(tmp_path, backbone, NETWORKS[backbone]), tmp_path / "new" / "file"
    report = export_segmenter(run, to, out)
    assert [each.name for each in out.parent.iterdir()] == ["file"]  # weights inside
    assert report.bytes == out.stat().st_size
    assert report.difference <= 1e-4
    check_sizes(run, out, to)


def test_a_backbone_whose_channels_the_exporter_loses(tmp_path):
    """Behind its reshapes the head's normalization, which has no factors, cannot be written as ONNX as it is."""
    run = write_run(tmp_path, "timm:pvt_v2_b0", "fuse")
    assert export_segmenter(run, "onnx", tmp_path / "file").difference <= 1e-4


@every_format
def test_the_report(exported, to):
    path, report = exported[to]
    assert isinstance(report, ExportReport)
    assert report.as_dict() == {
        "path": str(path),
        "format": to,
        "bytes": path.stat().st_size,
        "difference": report.difference,
        "sizes": [[1, 65, 65], [2, 94, 71]],
        "opset": 17 if to == "onnx" else None,
    }
    assert json.loads(json.dumps(report.as_dict())) == report.as_dict()
    assert 0 <= report.difference < 1e-4


def check_metadata(found):
    assert json.loads(found["classes"]) == list(CLASSES)
    assert json.loads(found["temperature"]) == 15.0
    assert found["multiple"] == "32"
    assert found["magnification"] == "1.0"
    assert found["bana_version"] == __version__
    assert "RGB in 0..255" in found["input"]
    assert "(N, 3, H, W)" in found["output"]
    assert "channel 0 is the background" in found["output"]


def test_onnx_has_the_facts_as_metadata(exported):
    path, _ = exported["onnx"]
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    check_metadata({entry.key: entry.value for entry in model.metadata_props})
    check_metadata(onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 17)]
    session = onnxruntime.InferenceSession(path)
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape, given.type) == ("images", ["N", 3, "H", "W"], "tensor(float)")
    assert (made.name, made.shape, made.type) == ("probabilities", ["N", 3, "H", "W"], "tensor(float)")


@pytest.mark.filterwarnings("ignore")
def test_torchscript_has_the_facts_in_an_extra_file(exported):
    extra = {"bana.json": ""}
    module = torch.jit.load(exported["torchscript"][0], _extra_files=extra)
    check_metadata(json.loads(extra["bana.json"]))
    assert not any(each.requires_grad for each in module.parameters())
    assert not module(pixels(1, 33, 33)).requires_grad


@every_format
def test_at_an_aligned_size_it_is_the_segmenter_at_one_scale(run, exported, to):
    image = np.random.default_rng(0).integers(0, 256, (65, 97, 3), dtype=np.uint8)
    segmenter = Segmenter.load(run, PredictSettings(scales=(1.0,), flip=False, crf=None))
    given = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    found = run_file(exported[to][0], to, given)[0].numpy()
    np.testing.assert_allclose(found, segmenter(image).probabilities, atol=1e-4)


@every_format
def test_a_file_serves_as_well_as_a_run_and_the_same_file_comes_again(run, exported, tmp_path, to):
    export_segmenter(run / SEGMENTER.file_name, to, tmp_path / exported[to][0].name)
    given = pixels(1, 40, 33)
    assert torch.equal(run_file(tmp_path / exported[to][0].name, to, given), run_file(exported[to][0], to, given))


@every_format
def test_the_caller_sees_nothing_and_keeps_what_is_its(run, tmp_path, capfd, to):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("error")
        export_segmenter(run, to, tmp_path / "file")
        assert torch.is_inference_mode_enabled()
    assert torch.equal(torch.get_rng_state(), before)
    print("after")
    assert tuple(capfd.readouterr()) == ("after\n", "")


def refused(run, to, folder, error=SettingsError):
    """The message of an export that must fail without a trace; an older file of that name stays."""
    out = folder / "file"
    out.write_text("older")
    with pytest.raises(error) as caught:
        export_segmenter(run, to, out)
    assert isinstance(caught.value, BanaError)
    assert "\n" not in str(caught.value)
    assert [each.name for each in folder.iterdir()] == ["file"]
    assert out.read_text() == "older"
    return str(caught.value)


def break_when_traced(monkeypatch, broken):
    """Let the exporter see a module other than the one that it is compared with."""
    whole = PixelProbabilities.forward

    def forward(self, images):
        return broken(self, images) if torch.jit.is_tracing() else whole(self, images)

    monkeypatch.setattr(PixelProbabilities, "forward", forward)
    return whole


@every_format
def test_a_file_that_disagrees_is_refused(run, tmp_path, monkeypatch, to):
    whole = break_when_traced(monkeypatch, lambda self, images: whole(self, images) + 2e-4)
    text = refused(run, to, tmp_path)
    assert text.startswith(f"{run}: the exported {to} differs from the network by 0.0002 in a probability")
    assert ("torchscript" if to == "onnx" else "onnx") in text.partition("try ")[2]


@every_format
def test_a_file_that_gives_no_numbers_is_refused(run, tmp_path, monkeypatch, to):
    whole = break_when_traced(monkeypatch, lambda self, images: whole(self, images) * torch.nan)
    with pytest.raises(BanaError, match="differs from the network by nan"):
        export_segmenter(run, to, tmp_path / "file")
    assert not list(tmp_path.iterdir())


@every_format
@pytest.mark.parametrize("side", [2, 3])
def test_a_file_of_one_size_is_refused(run, tmp_path, monkeypatch, to, side):
    """One side of the example is written down as the result's."""

    def fixed(self, images):
        size = [images.shape[2], images.shape[3]]
        size[side - 2] = int(images.shape[side])
        return self.temperature * export.upsampled(self.network(images), tuple(size)).softmax(1)

    break_when_traced(monkeypatch, fixed)
    assert f"the exported {to} does not run (ValueError: gives torch.float32 (1, 3, " in refused(run, to, tmp_path)


def test_what_onnx_has_no_word_for_is_one_line_and_not_a_graph(run, tmp_path, monkeypatch, capfd):
    whole = break_when_traced(monkeypatch, lambda self, images: torch.special.bessel_j0(whole(self, images)))
    text = refused(run, "onnx", tmp_path)
    assert text.startswith(f"{run}: cannot be exported to onnx (UnsupportedOperatorError: ")
    assert len(text) < len(str(run)) + 400
    assert tuple(capfd.readouterr()) == ("", "")


def test_a_file_that_does_not_load_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "load_model_from_string", lambda _: onnx.ModelProto(graph=_one_output()))
    assert "the exported onnx does not run" in refused(run, "onnx", tmp_path)
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("")))
    assert "does not run (RuntimeError: no reason given)" in refused(run, "torchscript", tmp_path)


def _one_output():
    made = onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["N", "C"])
    return onnx.helper.make_graph([], "empty", [], [made])


def test_more_than_an_onnx_file_holds(run, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "ONNX_LIMIT", 1_000_000)
    assert refused(run, "onnx", tmp_path).startswith("to: one onnx file holds at most 2 GB")
    export_segmenter(run, "torchscript", tmp_path / "file")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_missing_packages_are_named(run, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    text = refused(run, "onnx", tmp_path)
    assert f"needs the package {package}" in text
    assert "pip install '.[onnx]' in bana's folder" in text
    export_segmenter(run, "torchscript", tmp_path / "file")


def test_an_unknown_format(run, tmp_path):
    assert refused(run, "tflite", tmp_path) == "to: 'tflite' is not known; choose onnx or torchscript"


@every_format
def test_a_place_that_cannot_be_written_is_told_before_the_work(run, tmp_path, monkeypatch, to):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(torch.jit, "trace", None)
    monkeypatch.setattr(torch.onnx, "export", None)
    with pytest.raises(OutputError, match="cannot be written"):
        export_segmenter(run, to, tmp_path / "file" / "s")
    with pytest.raises(OutputError, match="is the segmenter itself"):
        export_segmenter(run, to, run / SEGMENTER.file_name)


@every_format
def test_a_folder_in_the_way(run, tmp_path, to):
    (tmp_path / "file").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        export_segmenter(run, to, tmp_path / "file")
    assert [each.name for each in tmp_path.rglob("*")] == ["file"]


@every_format
def test_what_is_no_segmenter(tmp_path, to):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    refused(tmp_path / "in", to, tmp_path / "out", CheckpointError)
    torch.save({}, tmp_path / "in" / SEGMENTER.file_name)
    refused(tmp_path / "in", to, tmp_path / "out", CheckpointError)


def test_a_service_without_standard_output(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    report = export_segmenter(run, "torchscript", tmp_path / "file")
    assert report.path.stat().st_size == report.bytes
