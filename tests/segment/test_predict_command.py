"""`bana predict` as a user meets it, and `bana evaluate` on what it leaves."""

import json
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image

from bad_data import refused, refused_choice
from bana.data.images import open_image
from bana.data.label_maps import read_label_map, write_label_map
from bana.nn.network_file import copy_network
from bana.segment.model import SEGMENTER
from bana.segment.segmenter import PredictSettings, Segmenter
from shapes_data import CLASSES, IMAGES

QUICK = ("--scales", "1.75", "--workers", 1)


@pytest.fixture
def predict(run_cli, tiny_segment_run):
    def command(images, out, *more):
        images = [images] if not isinstance(images, list) else images
        return run_cli("predict", tiny_segment_run, *images, "--out", out, *QUICK, *more)

    return command


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files(folder)}


def test_a_folder_of_images(predict, shapes_voc, tiny_segment_run, tmp_path):
    answer = predict(shapes_voc / "JPEGImages", tmp_path / "out")
    assert answer.status == 0, answer.err
    assert answer.out.startswith(f"{tmp_path / 'out'}: {len(IMAGES)} pictures, {len(IMAGES)} segmented now in ")
    names = {f"labels/{name}.png" for name in IMAGES} | {f"entries/{name}.json" for name in IMAGES}
    assert files(tmp_path / "out") == names | {"predictions.json", "rejected.jsonl"}
    segmenter = Segmenter.load(tiny_segment_run, PredictSettings(scales=(1.75,)), threads=1)
    for name, ((width, height), _) in IMAGES.items():
        labels = read_label_map(tmp_path / "out" / "labels" / f"{name}.png", width, height)
        expected = segmenter(open_image(shapes_voc / "JPEGImages" / f"{name}.jpg")).labels
        assert (labels == expected).mean() > 0.999
    facts = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert tuple(facts["classes"]) == CLASSES
    assert facts["settings"]["scales"] == [1.75]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_there_and_intact_is_kept(predict, shapes_voc, tmp_path, workers):
    photos = tmp_path / "photos"
    shutil.copytree(shapes_voc / "JPEGImages", photos)
    out = tmp_path / "out"
    assert predict(photos, out, "--workers", workers).status == 0
    whole = contents(out)
    (out / "labels" / "a.png").unlink()
    (out / "labels" / "b.png").write_bytes(b"damaged")
    shutil.copy(photos / "c.jpg", photos / "d.jpg")  # another photograph of the same name
    answer = json.loads(predict(photos, out, "--json").out)
    assert (answer["images"], answer["predicted"]) == (6, 3)
    again = contents(out)
    assert {name for name in whole if whole[name] != again[name]} == {"labels/d.png", "entries/d.json"}
    assert json.loads(predict(photos, out, "--json").out)["predicted"] == 0


def test_nearly_empty_results_are_counted_in_this_run_and_where_they_are_kept(
    predict, shapes_voc, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    assert predict(shapes_voc / "JPEGImages", out).status == 0
    shares = {}
    for name, ((width, height), _) in IMAGES.items():
        shares[name] = (read_label_map(out / f"labels/{name}.png", width, height) > 0).mean()
        entry = json.loads((out / f"entries/{name}.json").read_text())
        assert entry["foreground"] == pytest.approx(shares[name])
    limit = float(sorted(shares.values())[2] + 1e-9)
    expected = sum(share < limit for share in shares.values())
    monkeypatch.setattr("bana.engine.prediction.NEARLY_EMPTY", limit)
    (out / "labels" / "a.png").unlink()
    run = json.loads(predict(shapes_voc / "JPEGImages", out, "--json").out)
    assert (run["predicted"], run["nearly_empty"]) == (1, expected)
    answer = predict(shapes_voc / "JPEGImages", out)
    assert f" s; {expected} nearly empty: objects on less than " in answer.out
    monkeypatch.setattr("bana.engine.prediction.NEARLY_EMPTY", 0.0)
    assert "nearly empty" not in predict(shapes_voc / "JPEGImages", out).out


def test_predictions_of_other_settings_are_not_mixed(predict, shapes_voc, tmp_path):
    photo = shapes_voc / "JPEGImages" / "a.jpg"
    assert predict(photo, tmp_path / "out").status == 0
    before = contents(tmp_path / "out")
    refused(predict(photo, tmp_path / "out", "--no-crf"), "holds predictions of another network or settings")
    assert contents(tmp_path / "out") == before


def test_overlays_and_probabilities(predict, shapes_voc, tmp_path):
    photo = shapes_voc / "JPEGImages" / "b.jpg"
    assert predict(photo, tmp_path / "out", "--overlays", "--probabilities").status == 0
    with np.load(tmp_path / "out" / "probabilities" / "b.npz") as stored:
        probabilities = stored["probabilities"]
    assert probabilities.shape == (4, 96, 80)
    assert probabilities.dtype == np.float16
    assert np.allclose(probabilities.astype(np.float32).sum(0), 1, atol=0.01)
    labels = read_label_map(tmp_path / "out" / "labels" / "b.png", 80, 96)
    assert (probabilities.argmax(0) == labels).mean() > 0.99
    with Image.open(tmp_path / "out" / "overlays" / "b.jpg") as overlay:
        assert overlay.size == (80, 96)
        shown = np.asarray(overlay).astype(int)
    changed = np.abs(shown - open_image(photo)).max(2) > 40
    assert changed[labels > 0].mean() > 0.5
    assert changed[labels == 0].mean() < 0.2


def test_what_else_is_wanted_is_made_later(predict, shapes_voc, tmp_path):
    photo, out = shapes_voc / "JPEGImages" / "a.jpg", tmp_path / "out"
    for more, made in (([], 1), (["--overlays"], 1), (["--probabilities"], 1), ([], 0), (["--probabilities"], 0)):
        assert json.loads(predict(photo, out, "--json", *more).out)["predicted"] == made
    assert {"labels/a.png", "overlays/a.jpg", "probabilities/a.npz"} <= files(out)


def test_a_split_of_a_data_set_a_list_and_a_pattern(predict, shapes_voc, tmp_path):
    assert predict(shapes_voc, tmp_path / "split", "--split", "train").status == 0
    listed = tmp_path / "some.txt"
    listed.write_text("".join(f"{shapes_voc / 'JPEGImages' / name}.jpg\n" for name in "ab"))
    assert predict(listed, tmp_path / "list").status == 0
    assert predict(str(shapes_voc / "JPEGImages" / "[ab].jpg"), tmp_path / "pattern").status == 0
    maps = {name: {file for file in files(tmp_path / name) if file.startswith("labels")} for name in ("split", "list")}
    assert maps["split"] == {f"labels/{name}.png" for name in IMAGES}
    assert maps["list"] == {"labels/a.png", "labels/b.png"}
    assert contents(tmp_path / "list") == contents(tmp_path / "pattern")


def test_the_frames_of_a_video(predict, shapes_voc, tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for name in "ab":
            pixels = np.ascontiguousarray(open_image(shapes_voc / "JPEGImages" / f"{name}.jpg")[:64, :64])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    assert predict(tmp_path / "clip.mp4", tmp_path / "out", "--overlays").status == 0
    made = {name for name in files(tmp_path / "out") if name.startswith(("labels", "overlays"))}
    frames = ("clip/000001", "clip/000002")
    assert made == {f"labels/{name}.png" for name in frames} | {f"overlays/{name}.jpg" for name in frames}


def test_a_damaged_image_stops_or_is_left_out(predict, shapes_voc, tmp_path):
    photos = tmp_path / "photos"
    shutil.copytree(shapes_voc / "JPEGImages", photos)
    (photos / "c.jpg").write_bytes((photos / "c.jpg").read_bytes()[:700])
    refused(predict(photos, tmp_path / "stop"), "c.jpg")
    answer = predict(photos, tmp_path / "skip", "--on-error", "skip")
    assert answer.status == 1
    assert json.loads((tmp_path / "skip" / "rejected.jsonl").read_text())["image_id"] == "c"
    assert {name for name in files(tmp_path / "skip") if name.startswith("labels")} == {
        f"labels/{name}.png" for name in IMAGES if name != "c"
    }


def test_predictions_are_scored(run_cli, predict, shapes_voc, tmp_path):
    data, out = tmp_path / "voc", tmp_path / "out"
    shutil.copytree(shapes_voc, data)
    assert predict(data, out, "--split", "train").status == 0
    for name in IMAGES:
        shutil.copy(out / "labels" / f"{name}.png", data)
        (data / "SegmentationClass").mkdir(exist_ok=True)
        shutil.move(data / f"{name}.png", data / "SegmentationClass" / f"{name}.png")
    scores = json.loads(run_cli("evaluate", out, data, "--split", "train", "--json").out)
    assert (scores["images"], scores["prediction"]["miou"]) == (len(IMAGES), 100.0)
    assert scores["prediction"]["boundary_iou"] == 100.0
    half = read_label_map(data / "SegmentationClass" / "a.png", 96, 72)
    half[:36] = 3
    write_label_map(data / "SegmentationClass" / "a.png", half)
    scores = json.loads(run_cli("evaluate", out, data, "--split", "train", "--no-boundary", "--json").out)
    assert scores["prediction"]["miou"] < 100
    assert scores["prediction"]["boundary_iou"] is None
    assert "prediction" in run_cli("evaluate", out, data, "--split", "train").out
    (out / "labels" / "e.png").unlink()
    refused(run_cli("evaluate", out, data, "--split", "train"), "no prediction of 1 of 6 images, the first: e")
    manifest = out / "predictions.json"
    manifest.write_text(manifest.read_text().replace(CLASSES[1], "unicorn"))
    message = f"class 2 is 'unicorn' there and {CLASSES[1]!r} here; predict with a network of these classes"
    refused(run_cli("evaluate", out, data, "--split", "train"), message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scales", "0"], "settings: scales.0: must be greater than 0, not '0'"),
        (["--scales", "one"], "settings: scales.0: must be a number, not 'one'"),
    ],
)
def test_bad_options(predict, shapes_voc, tmp_path, options, message):
    refused(predict(shapes_voc / "JPEGImages", tmp_path / "out", *options), message)


def test_an_unknown_choice(predict, shapes_voc, tmp_path):
    answer = predict(shapes_voc / "JPEGImages", tmp_path / "out", "--on-error", "shrug")
    refused_choice(answer, "shrug", "stop", "skip")


def test_bad_runs_and_images(run_cli, predict, shapes_voc, tiny_run, tmp_path):
    photos = shapes_voc / "JPEGImages"
    refused(predict(tmp_path / "nowhere", tmp_path / "out"), "nowhere")
    refused(predict(tiny_run / "log.jsonl", tmp_path / "out"), "log.jsonl")
    refused(predict(photos, photos), "holds the images themselves; choose another output folder")
    refused(predict([shapes_voc, shapes_voc], tmp_path / "out", "--split", "train"), "would be called 'a'")
    refused(run_cli("predict", tiny_run / "labeler.safetensors", photos, "--out", tmp_path / "out"), "not a segmenter")
    refused(run_cli("predict", tmp_path / "none", photos, "--out", tmp_path / "out"), "none: no such file")
    refused(run_cli("export", tmp_path / "none", "--to", "onnx"), "none: no such file; check the path")


def test_export(run_cli, tiny_segment_run, shapes_voc, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    answer = run_cli("export", tiny_segment_run, "--to", "onnx", "--out", tmp_path / "net.onnx", "--json")
    assert answer.status == 0, answer.err
    assert json.loads(answer.out)["difference"] < 1e-4
    image = open_image(shapes_voc / "JPEGImages" / "b.jpg")
    given = image.transpose(2, 0, 1)[None].astype(np.float32)
    (probabilities,) = runtime.InferenceSession(tmp_path / "net.onnx").run(None, {"images": given})
    assert probabilities.shape == (1, 4, 96, 80)
    plain = Segmenter.load(tiny_segment_run, PredictSettings(scales=(1.0,), flip=False, crf=None))(image)
    assert (probabilities[0].argmax(0) == plain.labels).mean() > 0.9


def test_images_are_read_as_those_that_the_network_learned_from(run_cli, tiny_segment_run, shapes_voc, tmp_path):
    facts = SEGMENTER.load_facts(tiny_segment_run).training | {"values": {"bands": [3, 2, 1]}}
    copy_network(SEGMENTER.path(tiny_segment_run), tmp_path / "segmenter.safetensors", training=facts)
    rgb = open_image(shapes_voc / "JPEGImages" / "a.jpg")
    maps = []
    for network, name, pixels in (
        (tiny_segment_run, "rgb", rgb),
        (tmp_path / "segmenter.safetensors", "bgr", rgb[:, :, ::-1]),
    ):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "a.png")
        answer = run_cli("predict", network, tmp_path / name, "--out", tmp_path / "out" / name, *QUICK)
        assert answer.status == 0, answer.err
        maps.append(read_label_map(tmp_path / "out" / name / "labels/a.png", *rgb.shape[1::-1]))
        segmenter = Segmenter.load(network, PredictSettings(scales=(1.75,)), threads=1)
        np.testing.assert_array_equal(segmenter(tmp_path / name / "a.png").labels, maps[-1])
    np.testing.assert_array_equal(*maps)
    assert maps[0].any()


def test_the_archive_for_the_evaluation_server_has_every_label_map(
    predict, run_cli, tiny_segment_run, shapes_voc, tmp_path
):
    out = tmp_path / "out"
    answer = run_cli(
        "predict", tiny_segment_run, shapes_voc, "--split", "train", "--out", out, *QUICK, "--export", "voc-server"
    )
    assert answer.status == 0, answer.err
    with tarfile.open(out / "voc-server.tgz") as archive:
        found = {entry.name: archive.extractfile(entry).read() for entry in archive}
    folder = "results/VOC2012/Segmentation/comp6_test_cls"
    assert found == {f"{folder}/{name}.png": (out / "labels" / f"{name}.png").read_bytes() for name in IMAGES}
