from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bana.data.images import open_record_image
from bana.data.reading import read_dataset
from bana.data.records import ClassTable
from bana.errors import CheckpointError, SettingsError
from bana.nn.crf_settings import CRFSettings
from bana.nn.network import network_input
from bana.presets import parse_settings
from bana.segment import segmenter as segmenter_module
from bana.segment.model import SEGMENTER, SegmentationNetwork
from bana.segment.segmenter import PredictSettings, Segmenter, mean_cosine
from bana.segment.tiles import Released, argmax, blended, release, windows, zeros
from small_networks import small_backbone

SCALE = 1.75
"""At about which the tiny network has learned."""

ONE_PASS = {"scales": (SCALE,), "flip": False, "crf": None}


@pytest.fixture(scope="module")
def record(shapes_voc):
    return next(record for record in read_dataset(shapes_voc) if record.image_id == "b")


@pytest.fixture(scope="module")
def image(record):
    return open_record_image(record)


def load(run, **settings):
    return Segmenter.load(run, PredictSettings(**{"scales": (SCALE,), **settings}), threads=1)


def test_what_a_prediction_is(tiny_segment_run, image, shapes_voc):
    segmenter = load(tiny_segment_run)
    prediction = segmenter(image)
    assert segmenter.class_table == ClassTable(read_dataset(shapes_voc).classes)
    assert prediction.labels.shape == image.shape[:2]
    assert prediction.labels.dtype == np.uint8
    for probabilities in (prediction.probabilities, prediction.plain):
        assert probabilities.shape == (4, *image.shape[:2])
        assert probabilities.dtype == np.float32
        assert np.allclose(probabilities.sum(0), 1, atol=1e-4)
    assert (prediction.labels == prediction.probabilities.argmax(0)).all()
    assert not np.array_equal(prediction.probabilities, prediction.plain)


def test_it_finds_what_it_has_learned(tiny_segment_run, tiny_labels, record, image):
    from bana.data.label_folder import LabelFolder

    labels = LabelFolder(tiny_labels).label_map("y_crf", record)
    predicted = load(tiny_segment_run)(image).labels
    assert (predicted == labels)[labels > 0].mean() > 0.4
    assert (predicted == labels).mean() > 0.8


def test_it_is_deterministic(tiny_segment_run, image):
    first, second = (load(tiny_segment_run)(image).probabilities for _ in range(2))
    assert np.array_equal(first, second)


def test_scales_and_mirror_images_are_averaged(tiny_segment_run, image):
    network = load(tiny_segment_run).network
    each = []
    for scale in (0.75, 1.5):
        for turned in (image, image[:, ::-1]):
            pixels = network_input(np.ascontiguousarray(turned), round(max(image.shape) * scale), 32)
            with torch.inference_mode():
                cosine = torch.nn.functional.interpolate(
                    network(pixels), image.shape[:2], mode="bilinear", align_corners=True
                )
            each.append(cosine if turned is image else cosine.flip(3))
    mean = mean_cosine(network, image, (0.75, 1.5), flip=True)
    assert (mean - torch.stack(each).mean(0)).abs().max() < 1e-4


@pytest.fixture
def untrained():
    """A small network of three classes that answers anything, and a random image."""
    torch.manual_seed(0)
    network = SegmentationNetwork(small_backbone(), None, 6, classes=3).eval()
    return network, np.random.default_rng(0).integers(0, 256, (40, 57, 3), dtype=np.uint8)


@torch.inference_mode()
def cosines_at(network, image, scale):
    """Of one pass, at the image's size, corners on corners."""
    pixels = network_input(np.ascontiguousarray(image), round(57 * scale), 8)
    return torch.nn.functional.interpolate(network(pixels), (40, 57), mode="bilinear", align_corners=True)


def test_cosines_are_the_mean_of_scales_and_mirror_images(untrained):
    network, image = untrained
    each = [cosines_at(network, image, scale) for scale in (0.75, 1.5)]
    turned = [cosines_at(network, image[:, ::-1], scale).flip(3) for scale in (0.75, 1.5)]
    assert (each[0] - each[1]).abs().max() > 0.01
    assert (each[0] - turned[0]).abs().max() > 0.001
    for flip, parts in ((False, each), (True, each + turned)):
        mean = mean_cosine(network, image, (0.75, 1.5), flip=flip)
        torch.testing.assert_close(mean, torch.stack(parts).mean(0), rtol=1e-4, atol=1e-5)


def test_a_network_of_magnified_images_sees_images_magnified(image):
    torch.manual_seed(0)
    twice = SegmentationNetwork(small_backbone(), None, 6, 3, magnification=2.0).eval()
    plain = SegmentationNetwork(small_backbone(), None, 6, 3).eval()
    plain.load_state_dict(twice.state_dict())
    assert torch.equal(mean_cosine(twice, image, [0.5, 1.5]), mean_cosine(plain, image, [1.0, 3.0]))


def test_the_crf_and_tiles_count_in_pixels_of_magnified_images(image, monkeypatch):
    network = SegmentationNetwork(small_backbone(), None, 6, 3, magnification=2.0)
    crf = CRFSettings(gaussian_sxy=3, bilateral_sxy=50)
    settings = PredictSettings(crf=crf, tile=64, overlap=32, scales=(0.5, 1.5))
    seen, built = [], []
    monkeypatch.setattr(CRFSettings, "build", lambda crf, threads: built.append(crf))
    monkeypatch.setattr(segmenter_module, "blended", lambda *given, **sizes: seen.append(sizes))
    segmenter = Segmenter(network, ["a", "b"], 20.0, settings)
    segmenter.probabilities(image)
    assert seen == [{"tile": 21, "overlap": 10}]  # at its greatest scale the network sees 3 times as many pixels a side
    smaller = settings.model_copy(update={"scales": (0.5,)})
    Segmenter(network, ["a", "b"], 20.0, smaller).probabilities(image)
    assert seen[1] == {"tile": 32, "overlap": 16}
    assert (built[-1].gaussian_sxy, built[-1].bilateral_sxy) == (1.5, 25)


@pytest.mark.parametrize("temperature", [20.0, 3.0])
def test_probabilities_are_the_softmax_of_the_cosines_times_the_temperature(untrained, temperature):
    network, image = untrained
    settings = PredictSettings(scales=(1.0,), flip=False, crf=None)
    prediction = Segmenter(network, ("a", "b", "c"), temperature, settings)(image)
    expected = (temperature * cosines_at(network, image, 1.0)).softmax(1)[0].numpy()
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-5)
    np.testing.assert_array_equal(prediction.labels, expected.argmax(0))


def test_a_mirrored_image_gives_the_mirrored_prediction(tiny_segment_run, image):
    segmenter = load(tiny_segment_run, crf=None)
    turned = segmenter(np.ascontiguousarray(image[:, ::-1])).probabilities[:, :, ::-1]
    assert np.allclose(turned, segmenter(image).probabilities, atol=1e-4)


def test_without_a_crf_nothing_is_refined(tiny_segment_run, image):
    prediction = load(tiny_segment_run, crf=None)(image)
    assert prediction.probabilities is prediction.plain


def test_classes_that_are_nowhere_take_no_part_in_the_crf(tiny_segment_run, image):
    segmenter = load(tiny_segment_run)
    prediction = segmenter(image)
    whole = CRFSettings(bilateral_sxy=121, bilateral_srgb=5).build(1)(image, probabilities=prediction.plain)
    assert (whole.argmax(0) == prediction.labels).mean() > 0.999
    absent = prediction.plain.max(axis=(1, 2)) < 0.01
    assert (prediction.probabilities[absent] == 0).all()


def test_the_crf_of_a_large_image_goes_in_tiles(tiny_segment_run, image, monkeypatch):
    segmenter = load(tiny_segment_run)
    whole = segmenter(image)
    small = CRFSettings(bilateral_sxy=8, bilateral_srgb=5).build(1)
    expected = small(image, probabilities=whole.plain)
    monkeypatch.setattr(segmenter, "_crf", SimpleNamespace(tiled=partial(small.tiled, tile=72)))
    assert np.abs(segmenter(image).probabilities - expected).max() < 0.1


def test_of_many_classes_the_best_takes_part_however_unlikely_it_is(tiny_segment_settings, image):
    network = SEGMENTER.build(tiny_segment_settings, classes=150, seed=0)
    segmenter = Segmenter(network, [f"class {number}" for number in range(150)], 0.1, PredictSettings(scales=(1.0,)), 1)
    prediction = segmenter(image)
    assert prediction.plain.max() < 0.01
    assert np.allclose(prediction.probabilities.sum(0), 1, atol=1e-4)


@pytest.mark.parametrize(
    ("length", "tile", "overlap"), [(10, 16, 4), (16, 16, 8), (17, 16, 8), (100, 16, 4), (999, 64, 0), (384, 160, 80)]
)
def test_windows_cover_an_axis_and_sum_to_one(length, tile, overlap):
    total = np.zeros(length)
    found = list(windows(length, tile, overlap))
    for place, weights in found:
        assert place.stop - place.start == len(weights) <= tile
        assert (weights > 0).all()
        total[place] += weights
    assert np.allclose(total, 1)
    for (first, _), (second, _) in pairwise(found):
        assert first.stop - second.start >= overlap
        assert second.start > first.start


def test_more_overlap_than_half_a_tile_is_refused():
    with pytest.raises(SettingsError, match="overlap 9 is more than half of tile 16"):
        list(windows(100, 16, 9))
    with pytest.raises(SettingsError, match="overlap"):
        parse_settings({"tile": 64, "overlap": 33}, PredictSettings, "options")


def test_what_depends_on_pixels_alone_is_the_same_in_tiles():
    image = np.random.default_rng(0).integers(0, 256, (70, 131, 3), dtype=np.uint8)

    def pixelwise(part):
        return part.transpose(2, 0, 1).astype(np.float32) / 255

    assert np.allclose(blended(image, 3, pixelwise, tile=32, overlap=8), pixelwise(image), atol=1e-6)


def test_a_large_map_is_kept_in_a_file(monkeypatch):
    monkeypatch.setattr("bana.segment.tiles._IN_MEMORY", 1000)
    large = zeros((4, 20, 30))
    assert isinstance(large, np.memmap)
    assert large.shape == (4, 20, 30)
    large[1, 2, 3] = 5
    release(large)
    assert large.sum() == 5


def test_a_prediction_is_the_same_in_memory_and_in_files(tiny_segment_run, image, monkeypatch):
    whole = load(tiny_segment_run)(image)
    monkeypatch.setattr("bana.segment.tiles._IN_MEMORY", 1000)
    monkeypatch.setattr("bana.segment.tiles._AT_ONCE", 4 * image.shape[1] * 7)
    kept = load(tiny_segment_run)(image)
    assert isinstance(kept.probabilities, np.memmap)
    np.testing.assert_array_equal(kept.labels, whole.labels)
    np.testing.assert_array_equal(kept.probabilities, whole.probabilities)


def test_what_is_in_a_file_leaves_memory(monkeypatch):
    status = Path("/proc/self/status")
    if not status.is_file():
        pytest.skip("the system does not say what is in memory")

    def mapped():
        line = next(line for line in status.read_text().splitlines() if line.startswith(("RssFile", "RssShmem")))
        return int(line.split()[1]) * 1024

    monkeypatch.setattr("bana.segment.tiles._IN_MEMORY", 1000)
    large = zeros((4, 2000, 2000))
    before = mapped()
    large[:] = 1
    assert mapped() - before > large.nbytes // 2
    release(large)
    assert mapped() - before < large.nbytes // 8
    filled = Released(large)
    filled[1, :1000] = np.full((1000, 2000), 2, np.float32)
    assert mapped() - before < large.nbytes // 8
    assert filled[:][1:3, 999:1001, 5].tolist() == [[2, 1], [1, 1]]
    assert mapped() - before < large.nbytes // 8
    assert argmax(large, np.uint8)[[999, 1000], 5].tolist() == [1, 0]
    assert mapped() - before < large.nbytes // 8


@pytest.fixture(scope="module")
def scene(shapes_voc):
    """Four photographs side by side and twice below each other, 160 x 384."""
    images = [open_record_image(record)[:64, :64] for record in read_dataset(shapes_voc)]
    row = np.concatenate([*images, *images[:2]][:6], axis=1)
    return np.concatenate([row, row[:, ::-1], row[:32]], axis=0)


def steps_at_tiles(probabilities, whole, overlap):
    """How much a difference to the whole prediction jumps where tiles begin or end, by the mean of all jumps."""
    steps = np.abs(np.diff(probabilities - whole, axis=2)).mean(axis=(0, 1))
    width = probabilities.shape[2]
    edges = {edge for place, _ in windows(width, 160, overlap) for edge in (place.start, place.stop)} - {0, width}
    return steps[[edge - 1 for edge in sorted(edges)]] / steps.mean()


def test_a_large_image_is_predicted_in_tiles_without_seams(tiny_segment_run, scene):
    whole = load(tiny_segment_run, **ONE_PASS)(scene).probabilities
    parts = load(tiny_segment_run, **ONE_PASS, tile=round(160 * SCALE), overlap=round(80 * SCALE))(scene).probabilities
    assert np.allclose(parts.sum(0), 1, atol=1e-4)
    assert (parts.argmax(0) == whole.argmax(0)).mean() > 0.9
    assert steps_at_tiles(parts, whole, 80).max() < 2
    hard = load(tiny_segment_run, **ONE_PASS, tile=round(160 * SCALE), overlap=0)(scene).probabilities
    assert steps_at_tiles(hard, whole, 0).max() > 4  # without overlap there are seams, and the check sees them


def test_the_file_may_be_given_itself(tiny_segment_run):
    assert Segmenter.load(tiny_segment_run / "segmenter.safetensors").class_table.names == ("disk", "square", "cross")


def test_a_labeler_is_no_segmenter(tiny_run):
    with pytest.raises(CheckpointError, match="not a segmenter; choose a segmenter"):
        Segmenter.load(tiny_run / "labeler.safetensors")


def test_a_device_that_is_not_there(tiny_segment_run):
    if torch.cuda.is_available():
        pytest.skip("has a GPU")
    with pytest.raises(SettingsError, match="device 'cuda' cannot be used"):
        Segmenter.load(tiny_segment_run, device="cuda")
