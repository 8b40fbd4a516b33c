"""`bana label` as a user meets it: files, resuming, formats, errors."""

import json
import pickle
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from bad_data import (
    BAD_DATA,
    BAD_OBJECTS,
    malformed_txt,
    refused,
    refused_choice,
    truncated_image,
    unknown_class,
    unknown_class_number,
)
from bana import Labeler, read_dataset
from bana.classify.model import LABELER
from bana.classify.task import ClassifyTask
from bana.data.formats import coco_write
from bana.data.images import open_image
from bana.data.label_folder import LabelFolder
from bana.data.label_maps import write_label_map
from bana.data.masks import decode_mask
from bana.data.records import boxes_to_mask
from bana.engine.checkpoint import load_tensors, save_tensors
from bana.errors import CheckpointError, OutputError
from bana.label import labeler as labeler_module
from bana.label.methods.choose import MethodChoice
from bana.label.run import label_dataset
from bana.label.settings import LabelSettings
from bana.nn.train import train
from shapes_data import CLASSES, IMAGES, true_mask, write_shapes

MAPS = ("y_crf", "y_ret", "agreed", "confidence")


@pytest.fixture
def label(run_cli, tiny_run):
    """`bana label` with the tiny labeler in this process."""

    def command(data, out, *more):
        if "--labeler" not in more:
            more = ("--labeler", tiny_run, *more)
        if "--workers" not in more:
            more = ("--workers", 1, *more)
        return run_cli("label", data, "--out", out, *more)

    return command


@pytest.fixture(scope="module")
def labeled(shapes_voc, tiny_run, tmp_path_factory):
    """The tiny data set, labeled; not to be changed."""
    out = tmp_path_factory.mktemp("labeled") / "out"
    label_dataset(
        read_dataset(shapes_voc), MethodChoice.of_labeler(tiny_run), out, workers=1, console=Console(quiet=True)
    )
    return out


@pytest.fixture
def done(labeled, tmp_path):
    """A copy of the labels."""
    return Path(shutil.copytree(labeled, tmp_path / "out"))


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def times(folder):
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.parent != folder
    }


def test_every_image_has_its_files_and_nothing_else(labeled):
    expected = {f"{folder}/{name}.png" for folder in MAPS for name in IMAGES}
    expected |= {f"instances/{name}.json" for name in IMAGES} | {"labels.json", "rejected.jsonl"}
    assert set(files(labeled)) == expected
    assert (labeled / "rejected.jsonl").read_text() == ""
    assert json.loads((labeled / "labels.json").read_text())["classes"] == list(CLASSES)


def test_the_files_are_what_the_labeler_answers(labeled, shapes_voc, tiny_run):
    labeler, folder = Labeler.load(tiny_run, threads=1), LabelFolder(labeled)
    for record in read_dataset(shapes_voc):
        labels = labeler(open_image(record.path), record.boxes, record.class_ids)
        for name in ("y_crf", "y_ret", "agreed"):
            assert (folder.label_map(name, record) == getattr(labels, name)).mean() > 0.999
        confidence = np.array(Image.open(labeled / "confidence" / f"{record.image_id}.png"))
        np.testing.assert_allclose(confidence / 255, labels.confidence, atol=0.01)
        for written, instance in zip(folder.boxes(record), labels.instances, strict=True):
            assert written.status == instance.status
            assert written.class_id == instance.class_id
            mask = decode_mask(written.mask, record.height, record.width)
            assert (mask == instance.mask).mean() > 0.999


def test_the_summary(label, shapes_voc, tmp_path):
    answer = label(shapes_voc, tmp_path / "out")
    assert answer.status == 0
    assert "6 images with 9 boxes; 6 labeled now" in answer.out
    assert "labels " not in answer.err


def test_json_is_one_object(label, shapes_voc, done):
    answer = label(shapes_voc, done, "--json")
    assert answer.status == 0
    run = json.loads(answer.out)
    assert (run["images"], run["labeled"], run["boxes"], run["rejected"]) == (6, 0, 9, [])


def test_what_is_there_and_intact_is_kept(label, shapes_voc, done, labeled):
    before = times(done)
    assert json.loads(label(shapes_voc, done, "--json").out)["labeled"] == 0
    assert times(done) == before
    assert files(done) == files(labeled)


def missing(file):
    file.unlink()


def truncated(file):
    file.write_bytes(file.read_bytes()[:-20])


def changed(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def emptied(file):
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [missing, truncated, changed, emptied])
@pytest.mark.parametrize("file", ["y_crf/c.png", "agreed/c.png", "confidence/c.png", "instances/c.json"])
def test_only_a_damaged_image_is_labeled_again(label, shapes_voc, done, labeled, damage, file):
    before = times(done)
    damage(done / file)
    assert json.loads(label(shapes_voc, done, "--json").out)["labeled"] == 1
    assert files(done) == files(labeled)
    assert {name for name, time in times(done).items() if time != before[name]} == {
        *(f"{folder}/c.png" for folder in MAPS),
        "instances/c.json",
    }


def test_a_changed_number_in_the_instances_is_noticed(label, shapes_voc, done, labeled):
    """It is still JSON, and all its keys are there."""
    file = done / "instances/c.json"
    entry = json.loads(file.read_text())
    entry["instances"][0]["confidence"] = 0.123456
    file.write_text(json.dumps(entry))
    assert json.loads(label(shapes_voc, done, "--json").out)["labeled"] == 1
    assert files(done) == files(labeled)


def test_an_image_or_box_that_changed_is_labeled_again(label, done, tmp_path, shapes_voc):
    data = shutil.copytree(shapes_voc, tmp_path / "voc")
    Image.fromarray(255 - open_image(data / "JPEGImages/a.jpg")).save(data / "JPEGImages/a.jpg")
    annotation = data / "Annotations/b.xml"
    annotation.write_text(annotation.read_text().replace("<xmax>40</xmax>", "<xmax>42</xmax>"))
    before = times(done)
    assert json.loads(label(data, done, "--json").out)["labeled"] == 2
    touched = {Path(name).stem for name, time in times(done).items() if time != before[name]}
    assert touched == {"a", "b"}


@pytest.mark.slow
def test_two_workers_write_the_same_bytes(label, shapes_voc, labeled, tmp_path):
    assert label(shapes_voc, tmp_path / "out", "--workers", 2).status == 0
    assert files(tmp_path / "out") == files(labeled)


def test_labels_of_another_labeler_are_refused_and_stay(label, shapes_voc, done, tiny_run, tmp_path):
    tensors, metadata = load_tensors(tiny_run / LABELER.file_name)
    save_tensors(tmp_path / "other.safetensors", tensors, metadata | {"training": {}})
    before = files(done)
    refused(label(shapes_voc, done, "--labeler", tmp_path / "other.safetensors"), done, "another method")
    refused(label(shapes_voc, done, "--u0", "cam"), done, "settings")
    assert files(done) == before


def test_labels_of_other_classes_are_refused(label, shapes_voc, done, tmp_path):
    data = shutil.copytree(shapes_voc, tmp_path / "voc")
    (data / "labels.txt").write_text("cross\ndisk\nsquare\n")
    before = files(done)
    refused(label(data, done), done, "classes")
    assert files(done) == before


def data_of(folder):
    return json.loads((folder / "labels.json").read_text())["data"]


@pytest.fixture
def coco_of_two(shapes_voc, tmp_path):
    """A COCO data set with a JSON file for each split, of other images than the tiny data set's."""
    voc = write_shapes(tmp_path / "other", {f"other-{name}": IMAGES[name] for name in "ab"})
    dataset = read_dataset(voc)
    for record, split in zip(dataset, ("train", "val"), strict=True):
        coco_write.write([record], dataset.class_table, tmp_path / "coco", split)
    return tmp_path / "coco"


def test_labels_of_another_data_set_are_refused_and_stay(label, shapes_voc, coco_of_two, done, tmp_path):
    before = files(done)
    refused(label(coco_of_two, done, "--split", "train"), done, shapes_voc, coco_of_two, "another folder")
    refused(label(tmp_path / "other", done), done, shapes_voc, tmp_path / "other", "delete labels.json")
    assert files(done) == before
    (done / "labels.json").unlink()
    assert label(tmp_path / "other", done).status == 0
    assert data_of(done) == {"root": str((tmp_path / "other").resolve()), "format": "voc"}


def test_all_splits_of_a_data_set_share_a_folder(label, coco_of_two, tmp_path):
    out = tmp_path / "out"
    assert label(coco_of_two, out, "--split", "train").status == 0
    assert label(coco_of_two / "annotations/instances_val.json", out).status == 0
    assert sorted(path.stem for path in (out / "y_crf").iterdir()) == ["other-a", "other-b"]


def test_a_data_set_that_has_moved_goes_on(label, shapes_voc, done, tmp_path):
    moved = shutil.copytree(shapes_voc, tmp_path / "moved")
    assert json.loads(label(moved, done, "--json").out)["labeled"] == 0
    assert data_of(done)["root"] == str(moved.resolve())


def test_labels_that_name_no_data_set_get_the_one_that_goes_on(label, shapes_voc, done):
    manifest = json.loads((done / "labels.json").read_text())
    del manifest["data"]
    (done / "labels.json").write_text(json.dumps(manifest))
    assert json.loads(label(shapes_voc, done, "--json").out)["labeled"] == 0
    assert data_of(done)["root"] == str(shapes_voc.resolve())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_damaged_manifest(label, shapes_voc, done, content):
    (done / "labels.json").write_bytes(content)
    refused(label(shapes_voc, done), "labels.json")
    assert (done / "labels.json").read_bytes() == content


@pytest.mark.parametrize(("name", "value", "bad"), [("u0", "cam", "both"), ("refinements", 2, -1)])
def test_a_setting_is_an_option(label, shapes_voc, tmp_path, name, value, bad):
    assert label(shapes_voc, tmp_path / "out", f"--{name}", value).status == 0
    assert json.loads((tmp_path / "out/labels.json").read_text())["method"]["settings"][name] == value
    answer = label(shapes_voc, tmp_path / "other", f"--{name}", bad)
    if bad == "both":
        refused_choice(answer, bad, "attention", "cam")
    else:
        refused(answer, name)
    assert not (tmp_path / "other").exists()


def test_settings_come_from_the_labeler_a_preset_and_single_changes(label, shapes_voc, tiny_run, tmp_path):
    def settings(*options):
        out = tmp_path / "-".join(options) / "out"
        assert label(shapes_voc, out, *options).status == 0
        return json.loads((out / "labels.json").read_text())["method"]["settings"]

    (tmp_path / "my.yaml").write_text("label: {image_side: 65, tightness: 0.5, crf: {iterations: 3}}")
    preset = ("--preset", str(tmp_path / "my.yaml"))
    own, changed = settings(), settings("--set", "tightness=0.3", "--set", "crf.bilateral_sxy=21")
    assert changed == own | {"tightness": 0.3, "crf": own["crf"] | {"bilateral_sxy": 21}}
    assert settings(*preset) == LabelSettings(image_side=65, tightness=0.5, crf={"iterations": 3}).model_dump()
    both = settings(*preset, "--set", "tightness=0.3")
    assert (both["image_side"], both["tightness"]) == (65, 0.3)
    assert settings(*preset, "--method", "bap-cam") == LabelSettings(u0="cam").model_dump()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "image_sid=900"), "options: image_sid: no such setting; did you mean image_side?"),
        (("--set", "crf.iterations=-1"), "options: crf: iterations: -1 is not allowed"),
        (("--set", "refinements=2"), "--set refinements: is an option of its own; give --refinements"),
        (("--preset", "lite"), "preset 'lite' is not known; choose one of coco, lite0"),
    ],
)
def test_a_setting_or_preset_that_is_not_known_is_refused(label, shapes_voc, tmp_path, options, message):
    refused(label(shapes_voc, tmp_path / "out", *options), message)
    assert not (tmp_path / "out").exists()


def test_all_formats_are_readable_and_hold_the_masks(label, shapes_voc, done, labeled):
    answer = label(shapes_voc, done, "--formats", "png,coco,yolo,labelme,voc", "--json")
    assert answer.status == 0
    assert set(json.loads(answer.out)["lost"]) == {"coco", "yolo", "labelme", "voc"}
    source, folder = read_dataset(shapes_voc), LabelFolder(labeled)
    places = {"coco": "", "yolo": "images/train", "labelme": "train", "voc": "JPEGImages"}
    for name, place in places.items():
        shutil.copytree(shapes_voc / "JPEGImages", done / name / place, dirs_exist_ok=True)
        written = {record.image_id.split("/")[-1]: record for record in read_dataset(done / name, format=name)}
        assert sorted(written) == sorted(IMAGES)
        for record in source:
            statuses = [box.status for box in folder.boxes(record)]
            if set(statuses) == {"ok"}:
                assert written[record.image_id].class_ids.tolist() == record.class_ids.tolist(), name
    coco = json.loads((done / "coco/annotations/instances_train.json").read_text())["annotations"]
    masks = [box.mask["counts"] for record in source for box in folder.boxes(record)]
    assert [entry["segmentation"]["counts"] for entry in coco] == masks
    reliable = []
    for record in source:
        agreed = folder.label_map("agreed", record) != 255
        reliable += [agreed & boxes_to_mask(box, *agreed.shape) for box in record.boxes]
    for entry, expected in zip(coco, reliable, strict=True):
        np.testing.assert_array_equal(decode_mask(entry["reliable"], *expected.shape), expected)
    assert label(shapes_voc, done, "--formats", "coco").status == 0  # again, over what is there


@pytest.mark.parametrize("mode", ["copy", "link"])
@pytest.mark.parametrize("name", ["coco", "yolo", "labelme", "voc"])
def test_a_format_with_images_opens_by_itself(label, run_cli, shapes_voc, done, name, mode):
    assert f"{done}/{name}: annotations without images" in label(shapes_voc, done, "--formats", name).out
    answer = label(shapes_voc, done, "--formats", name, "--images", mode)
    assert answer.status == 0
    assert "without images" not in answer.out
    checked = json.loads(run_cli("check", done / name, "--json").out)
    assert (checked["images"], checked["boxes"], checked["faults"]) == (6, 9, [])


def test_images_without_a_format_are_refused(label, shapes_voc, tmp_path):
    refused(label(shapes_voc, tmp_path / "out", "--images", "copy"), "--formats")
    assert not (tmp_path / "out").exists()


def test_a_coco_file_scores_like_its_label_folder(label, run_cli, shapes_voc, tmp_path):
    data, out = shutil.copytree(shapes_voc, tmp_path / "voc"), tmp_path / "out"
    for name, (size, shapes) in IMAGES.items():
        write_label_map(data / "SegmentationClass" / f"{name}.png", true_mask(size, shapes))
    assert label(data, out, "--formats", "coco").status == 0
    scores = [run_cli("evaluate", each, data, "--json") for each in (out, *out.glob("coco/annotations/*.json"))]
    folder, file = (json.loads(each.out)["instances"] for each in scores)
    assert folder["ap"] > 0
    assert file["ap"] == pytest.approx(folder["ap"])


def test_names_of_formats_may_have_spaces_and_yolo_seg_is_yolo(label, shapes_voc, done):
    answer = label(shapes_voc, done, "--formats", "png, voc, yolo-seg", "--json")
    assert set(json.loads(answer.out)["lost"]) == {"voc", "yolo"}
    assert (done / "yolo/data.yaml").is_file()


@pytest.mark.parametrize("command", ["label", "classify", "run"])
def test_a_device_that_is_not_there_leaves_no_folder(run_cli, shapes_voc, tmp_path, command):
    refused(run_cli(command, shapes_voc, "--out", tmp_path / "out", "--device", "cuda:99"), "cuda:99", "choose cpu")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("formats", ["tiff", "coco,", "png coco"])
def test_an_unknown_format(label, shapes_voc, tmp_path, formats):
    refused(label(shapes_voc, tmp_path / "out", "--formats", formats), "coco")
    assert not (tmp_path / "out").exists()


def test_skip_notes_an_image_that_cannot_be_used(label, tmp_path):
    data = truncated_image(tmp_path / "voc")
    answer = label(data, tmp_path / "out", "--on-error", "skip")
    assert answer.status == 1
    assert "1 images left out" in answer.out
    (entry,) = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines()]
    assert entry["image_id"] == "a"
    assert "a.jpg" in entry["reason"]
    assert set(files(tmp_path / "out/y_crf")) == {"b.png"}
    assert label(data, tmp_path / "out", "--on-error", "skip", "--formats", "coco").status == 1


def test_a_skipped_image_that_is_repaired_is_labeled_and_no_longer_rejected(label, tmp_path):
    data = truncated_image(tmp_path / "voc")
    label(data, tmp_path / "out", "--on-error", "skip")
    shutil.rmtree(data)
    write_shapes(data, {name: IMAGES[name] for name in "ab"})
    answer = label(data, tmp_path / "out", "--on-error", "skip", "--json")
    assert answer.status == 0
    assert json.loads(answer.out)["labeled"] == 1
    assert (tmp_path / "out/rejected.jsonl").read_text() == ""


@pytest.mark.parametrize("make", BAD_DATA, ids=lambda make: make.__name__)
def test_bad_data_is_refused_in_one_line(label, tmp_path, make):
    out = tmp_path / "out"
    refused(label(make(tmp_path / "data"), out), BAD_DATA[make])
    left = set(files(out)) if out.exists() else set()
    assert left <= {"labels.json"}  # a fault inside an image shows when its turn comes


@pytest.mark.parametrize("make", BAD_OBJECTS, ids=lambda make: make.__name__)
def test_a_bad_object_costs_itself_unless_data_is_read_strictly(label, tmp_path, make):
    data = make(tmp_path / "data")
    refused(label(data, tmp_path / "out", "--strict"), BAD_OBJECTS[make])
    assert not (tmp_path / "out").exists()
    if make in (malformed_txt, unknown_class_number):  # no object is left
        refused(label(data, tmp_path / "out"), "no boxes", BAD_OBJECTS[make])
    elif make is not unknown_class:  # a class is unknown where there is a list of them
        answer = label(data, tmp_path / "out")
        assert answer.status == 0
        assert "bana check lists them" in answer.out


@pytest.mark.parametrize(
    ("size", "shapes"),
    [
        ((72, 72), (("square", (0, 0, 72, 72)), ("disk", (0, 0, 72, 72)))),
        ((72, 60), (("disk", (3, 3, 30, 30)), ("disk", (20, 20, 50, 50)))),
        ((1, 1), (("disk", (0, 0, 1, 1)),)),
        ((90, 3), (("cross", (80, 2, 90, 3)),)),
    ],
    ids=["boxes that cover everything", "one class", "one pixel", "a strip"],
)
def test_unusual_data_is_labeled(label, tmp_path, size, shapes):
    data = write_shapes(tmp_path / "voc", {"a": (size, shapes)})
    assert label(data, tmp_path / "out").status == 0
    record = read_dataset(data)[0]
    assert [box.class_id for box in LabelFolder(tmp_path / "out").boxes(record)] == record.class_ids.tolist()


def test_an_image_without_boxes_among_others(label, tmp_path):
    data = write_shapes(tmp_path / "voc", {"a": IMAGES["a"], "z": ((40, 30), ())})
    assert label(data, tmp_path / "out").status == 0
    assert not np.array(Image.open(tmp_path / "out/y_crf/z.png")).any()


def test_an_output_that_cannot_be_written(label, shapes_voc, tmp_path):
    (tmp_path / "file").write_text("mine")
    refused(label(shapes_voc, tmp_path / "file"), tmp_path / "file")
    refused(label(shapes_voc, tmp_path / "file" / "out"), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "out").mkdir()
    (tmp_path / "out/y_ret").write_text("mine")
    refused(label(shapes_voc, tmp_path / "out"), tmp_path / "out/y_ret")
    assert (tmp_path / "out/y_ret").read_text() == "mine"


@pytest.mark.parametrize("after", [0, 1, 3, 5, 7])
def test_a_full_disk_leaves_whole_files_and_the_run_can_go_on(
    label, shapes_voc, labeled, tmp_path, disk_full_after, after
):
    out, whole = tmp_path / "out", files(labeled)
    with disk_full_after(after):
        refused(label(shapes_voc, out), out, "No space left on device")
    left = files(out)
    assert len(left) == after
    assert all(whole[name] == content for name, content in left.items())
    assert label(shapes_voc, out).status == 0
    assert files(out) == whole


def test_errors_come_back_from_a_worker_as_they_were():
    error = pickle.loads(pickle.dumps(OutputError("a.png: cannot be written")))
    assert isinstance(error, OutputError)
    assert str(error) == "a.png: cannot be written"


def test_a_labeler_that_is_none(label, shapes_voc, tmp_path):
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(b"\x80\x04\x95 a pickle perhaps")
    refused(label(shapes_voc, tmp_path / "out", "--labeler", torn), torn)
    refused(label(shapes_voc, tmp_path / "out", "--labeler", tmp_path / "none"), tmp_path / "none")
    refused(label(shapes_voc, tmp_path / "out", "--labeler", tmp_path), LABELER.file_name)
    assert not (tmp_path / "out").exists()


def test_a_process_that_finds_another_labeler(shapes_voc, tmp_path):
    """On another machine, or after it was trained anew."""

    class Changing(MethodChoice):
        def facts(self):
            return {"name": "box", "time": time.monotonic()}

    with pytest.raises(CheckpointError, match="its labeler is not the one that this labeling began with"):
        label_dataset(
            read_dataset(shapes_voc), Changing("box"), tmp_path / "out", workers=1, console=Console(quiet=True)
        )
    assert not (tmp_path / "out").exists()


def test_bad_options(label, shapes_voc, tmp_path):
    refused_choice(label(shapes_voc, tmp_path / "out", "--on-error", "ignore"), "ignore", "stop", "skip")
    refused(label(shapes_voc, tmp_path / "out", "--split", "val"), "val")
    answer = label(shapes_voc, tmp_path / "out", "--format", "tfrecord")
    refused_choice(answer, "tfrecord", "voc", "coco", "yolo", "labelme")
    refused(label(tmp_path / "nowhere", tmp_path / "out"), tmp_path / "nowhere")
    assert label(shapes_voc, tmp_path / "out", "--workers", 0).status == 2
    assert not (tmp_path / "out").exists()


def test_crowd_regions_are_ignored_and_rejected(label, tmp_path):
    root = write_shapes(tmp_path / "voc", {"a": IMAGES["a"]})
    (root / "JPEGImages").rename(tmp_path / "images")
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 96, "height": 72}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 12, 40, 40], "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [70, 10, 20, 30], "iscrowd": 1},
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    assert label(tmp_path / "instances.json", tmp_path / "out").status == 0
    y_crf = np.array(Image.open(tmp_path / "out/y_crf/a.png"))
    assert (y_crf[10:40, 70:90] == 255).all()
    assert (y_crf == 255).sum() == 600
    boxes = LabelFolder(tmp_path / "out").boxes(read_dataset(tmp_path / "instances.json")[0])
    assert [box.status for box in boxes] == ["ok", "rejected"]


def test_a_run_that_is_interrupted_says_so(label, shapes_voc, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(labeler_module, "assemble", interrupted)
    answer = label(shapes_voc, tmp_path / "out")
    assert answer.status == 130
    assert "interrupted" in answer.err
    assert set(files(tmp_path / "out")) == {"labels.json"}


def test_other_methods(label, shapes_voc, tmp_path):
    """Each writes its own name, settings and files' digests; a folder takes no labels of another."""
    out = tmp_path / "out"
    assert label(shapes_voc, out, "--method", "fuse:bap,box").status == 0
    facts = json.loads((out / "labels.json").read_text())["method"]
    assert [facts["name"], *(each["name"] for each in facts["of"])] == ["fuse:bap,box", "bap", "box"]
    assert facts["of"][0]["settings"]["refinements"] == 0
    box = np.array(Image.open(out / "y_ret/a.png"))
    x0, y0, x1, y1 = read_dataset(shapes_voc)[0].boxes[0].astype(int)
    assert (box[y0:y1, x0:x1] != 0).all()
    assert label(shapes_voc, out, "--method", "fuse:bap,box").status == 0
    refused(label(shapes_voc, out, "--method", "box"), "of another method")
    refused(label(shapes_voc, tmp_path / "new", "--method", "magic"), "method 'magic' is not known; choose one of")
    refused(label(shapes_voc, tmp_path / "new", "--method", "cam"), "trained with --pooling image")


def test_image_level_labels(run_cli, label, shapes_voc, tiny_run, tiny_settings, tmp_path):
    """`cam` labels with a classifier of its own, named for it alone."""
    run = tmp_path / "image"
    settings = tiny_settings.model_copy(update={"pooling": "image", "epochs": 8})
    train(ClassifyTask(settings, label_settings={"image_side": 129}), read_dataset(shapes_voc), run)
    out = tmp_path / "out"
    command = ("label", shapes_voc, "--out", out, "--method", "cam", "--workers", 1)
    assert run_cli(*command, "--labeler", tiny_run, "--labeler", f"cam={run}").status == 0
    record = read_dataset(shapes_voc)[0]
    labels = np.array(Image.open(out / "y_crf/a.png"))
    assert set(np.unique(labels)) <= {0, *record.class_ids}
    assert (labels == 0).any()
    refused(label(shapes_voc, tmp_path / "other", "--labeler", run), "trained with --pooling bap")
