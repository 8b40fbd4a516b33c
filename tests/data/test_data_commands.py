"""`bana check` and `bana convert` as a user meets them: tables, JSON, exit status, one line for an error."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bana.cli import main
from bana.data.formats import coco_write
from bana.data.masks import encode_mask
from bana.data.objects import AnnotatedObject, make_record
from bana.data.records import ClassTable
from data_samples import (
    SIZE,
    coco_content,
    labelme_shape,
    voc_object,
    voc_xml,
    write_coco,
    write_labelme,
    write_photo,
    write_voc,
    write_yolo,
)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the real command in this process; gives exit status, standard output and standard error."""

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bana", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return command


def coco_with(**changes):
    content = coco_content()
    content["annotations"] = content["annotations"][:1]
    content["annotations"][0] |= changes
    return content


def truncated_photo(root):
    write_voc(root)
    photo = root / "JPEGImages/a.jpg"
    photo.write_bytes(photo.read_bytes()[:-800])


def missing_photo(root):
    write_voc(root)
    (root / "JPEGImages/a.jpg").unlink()


def another_size(root):
    write_voc(root)
    write_photo(root / "JPEGImages/a.jpg", (50, 40))


def rotated(root):
    write_voc(root)
    write_photo(root / "JPEGImages/a.jpg", SIZE, exif_orientation=6)


def twins(root):
    content = coco_content()
    content["images"] *= 2
    write_coco(root, content)


BOMB = '<!DOCTYPE x [<!ENTITY a "a"><!ENTITY b "&a;&a;">]><annotation><filename>&b;</filename></annotation>'

# What is wrong, how to make it, and what the line must name: file and place.
FAULTS = {
    "truncated image": (truncated_photo, "a.jpg: image is damaged"),
    "missing image": (missing_photo, "a.xml: image 'a.jpg' is not in"),
    "size mismatch": (another_size, "a.jpg: image is 50x40 but its annotation says 60x40"),
    "EXIF mismatch": (rotated, "a.jpg: image is 40x60 but its annotation says 60x40"),
    "malformed XML": (lambda root: write_voc(root, {"a": "<annotation>\n<x"}), "a.xml: is not well-formed XML"),
    "entity bomb": (lambda root: write_voc(root, {"a": BOMB}), "a.xml: declares a DTD or entities"),
    "malformed txt": (lambda root: write_yolo(root, {"a": "0 1\n"}), "a.txt: line 1: has 1 numbers"),
    "unknown class": (lambda root: write_yolo(root, {"a": "7 0.5 0.5 1 1\n"}), "a.txt: line 1: class 7"),
    "unknown category": (lambda root: write_coco(root, coco_with(category_id=4)), "annotation 70: category_id 4"),
    "box outside": (
        lambda root: write_coco(root, coco_with(bbox=[50, 5, 20, 9])),
        "annotation 70: box (50, 5, 70, 14)",
    ),
    "inverted box": (
        lambda root: write_voc(root, {"a": voc_xml(voc_object(box=(9, 9, 2, 20)))}),
        "a.xml: object 1: box",
    ),
    "empty box": (
        lambda root: write_coco(root, coco_with(bbox=[5, 5, 0, 9])),
        "annotation 70: box (5, 5, 5, 14) is empty",
    ),
    "NaN box": (lambda root: write_voc(root, {"a": voc_xml(voc_object(box=("nan", 1, 2, 3)))}), "object 1: box (nan"),
    "duplicate image id": (twins, "images[1]: id 7 is used twice"),
    "file name that leaves": (
        lambda root: write_coco(root, {**coco_content(), "images": [{"id": 7, "file_name": "../a.jpg"}]}),
        "image 7: file name '../a.jpg' leaves the image folder",
    ),
    "shape without area": (
        lambda root: write_labelme(root, labelme_shape("point")),
        "a.json: shape 1: shape_type 'point'",
    ),
}

# The same for what spoils the whole data set, so that check has nothing to report either.
WHOLE = {
    "malformed JSON": (lambda root: write_coco(root, '{"images": [\n'), "instances.json: line 2: is not JSON"),
    "malformed YAML": (lambda root: write_yolo(root, data_yaml="names: [\n"), "data.yaml: line 2: is not YAML"),
    "no images": (lambda root: write_coco(root, {"images": [], "annotations": [], "categories": []}), "has 0 images"),
    "nothing there": (lambda root: root.mkdir(), "holds no data set that is known"),
}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_one_line(error: str, message: str) -> None:
    assert message in error
    assert error.startswith("bana: error: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error


@pytest.mark.parametrize(("make", "message"), FAULTS.values(), ids=FAULTS)
def test_check_lists_a_fault_and_exits_with_1(tmp_path, run, make, message):
    make(tmp_path / "data")
    status, out, error = run("check", tmp_path / "data", "--strict", "--json")
    assert (status, error) == (1, "")
    (fault,) = json.loads(out)["faults"]
    assert message in fault["reason"]


# Converting copies images without decoding them.
READ_FAULTS = {name: fault for name, fault in FAULTS.items() if name != "truncated image"}


@pytest.mark.parametrize(("make", "message"), READ_FAULTS.values(), ids=READ_FAULTS)
def test_convert_stops_at_a_fault_with_one_line_and_writes_nothing(tmp_path, run, make, message):
    make(tmp_path / "data")
    status, out, error = run("convert", tmp_path / "data", tmp_path / "out", "--to", "coco", "--strict")
    assert (status, out) == (2, "")
    assert_one_line(error, message)
    assert names_in(tmp_path) == ["data"]


@pytest.mark.parametrize("command", ["check", "convert"])
@pytest.mark.parametrize(("make", "message"), WHOLE.values(), ids=WHOLE)
def test_a_data_set_that_cannot_be_read_at_all_is_one_line(tmp_path, run, command, make, message):
    make(tmp_path / "data")
    more = [tmp_path / "out", "--to", "coco"] if command == "convert" else []
    status, out, error = run(command, tmp_path / "data", *more)
    assert (status, out) == (2, "")
    assert_one_line(error, message)
    assert names_in(tmp_path) == ["data"]


def test_no_boxes_at_all(tmp_path, run):
    write_yolo(tmp_path / "data", {"a": ""})
    status, out, _ = run("check", tmp_path / "data", "--json")
    assert (status, "no boxes" in json.loads(out)["faults"][0]["reason"]) == (1, True)
    status, _, error = run("convert", tmp_path / "data", tmp_path / "out", "--to", "voc")
    assert status == 2
    assert_one_line(error, "has no boxes in 1 images")


def test_check_prints_a_table(tmp_path, run):
    status, out, error = run("check", write_coco(tmp_path))
    assert (status, error) == (0, "")
    assert "images" in out
    assert "dog" in out
    assert "1/8" in out


def test_check_names_classes_without_boxes_below_its_table(tmp_path, run):
    status, out, _ = run("check", write_voc(tmp_path, {"a": voc_xml(voc_object("cat"))}))
    assert status == 0
    table, below = out.split("Classes without boxes: ")
    assert "cat" in table
    assert "aeroplane" not in table
    assert below.splitlines()[0].startswith("aeroplane, bicycle")
    assert "cat" not in below.splitlines()[0].split(", ")


def test_check_prints_its_faults(tmp_path, run):
    write_voc(tmp_path, {"a": voc_xml(voc_object(box=(9, 9, 2, 20))), "b": voc_xml(voc_object())})
    status, out, _ = run("check", tmp_path, "--strict")
    assert status == 1
    assert "Faults:\n  a: " in out
    assert "inverted" in out
    status, out, _ = run("check", tmp_path)
    assert status == 0
    assert "Repaired:\n  a: " in out
    assert "inverted" in out


def test_convert_tells_of_polygons_and_new_encodings(tmp_path, run):
    mask = np.zeros(SIZE[::-1], dtype=bool)
    mask[5:15, 5:15] = True
    mask[10, 10] = False
    objects = [AnnotatedObject((5, 5, 15, 15), 1, segmentation=encode_mask(mask))]
    record = make_record("a", write_photo(tmp_path / "a.jpg", (40, 60), exif_orientation=6), SIZE, objects)
    coco_write.write([record], ClassTable(("cat",)), tmp_path / "coco", "train", images="copy")
    write_photo(tmp_path / "coco/train/a.jpg", (40, 60), exif_orientation=6)
    status, out, _ = run("convert", tmp_path / "coco", tmp_path / "out", "--to", "coco", "--polygons")
    assert status == 0
    assert "1 masks as polygons: mean IoU 0.9900, least 0.9900\n    a: object 1: IoU 0.9900\n" in out
    assert "1 images were encoded anew" in out


def test_convert_says_what_gets_lost_and_json_is_one_object(tmp_path, run):
    xml = voc_xml(voc_object(extra="<difficult>1</difficult>"))
    write_voc(tmp_path / "voc", {"a": xml})
    status, out, error = run("convert", tmp_path / "voc", tmp_path / "out", "--to", "yolo")
    assert (status, error) == (0, "")
    assert "1 images, 1 objects" in out
    assert "YOLO cannot store difficult flags (1)." in out
    status, out, _ = run("convert", tmp_path / "voc", tmp_path / "json", "--to", "yolo", "--from", "voc", "--json")
    content = json.loads(out)
    assert (status, content["from"], content["to"]) == (0, "voc", "yolo")
    assert content["splits"]["train"]["lost"] == {"difficult flags": 1}


def test_convert_refuses_a_full_folder_and_takes_overwrite(tmp_path, run):
    write_coco(tmp_path / "coco")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    arguments = ("convert", tmp_path / "coco", tmp_path / "out", "--to", "voc")
    status, _, error = run(*arguments)
    assert status == 2
    assert_one_line(error, "out: is not empty; choose another folder or add --overwrite")
    assert names_in(tmp_path / "out") == ["mine.txt"]
    assert run(*arguments, "--overwrite")[0] == 0


def test_convert_skips_faults_on_request_and_exits_with_1(tmp_path, run):
    write_voc(tmp_path / "voc", {"a": voc_xml(voc_object()), "b": "<annotation>"})
    status, out, _ = run("convert", tmp_path / "voc", tmp_path / "out", "--to", "coco", "--on-error", "skip")
    assert status == 1
    assert "1 images left out" in out
    assert (tmp_path / "out/rejected.jsonl").is_file()


def test_an_output_that_cannot_be_written_is_one_line(tmp_path, run):
    write_coco(tmp_path / "coco")
    (tmp_path / "file").write_text("")
    status, _, error = run("convert", tmp_path / "coco", tmp_path / "file" / "out", "--to", "voc")
    assert status == 2
    assert_one_line(error, "file/out: cannot be made")


def test_the_true_process_says_one_line_and_exits_with_2(tmp_path):
    write_voc(tmp_path / "voc", {"a": BOMB})
    command = [sys.executable, "-m", "bana", "convert", tmp_path / "voc", tmp_path / "out", "--to", "coco"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_line(done.stderr, "a.xml: declares a DTD or entities")
    assert names_in(tmp_path) == ["voc"]


def test_the_true_process_checks(tmp_path):
    truncated_photo(tmp_path / "voc")
    command = [sys.executable, "-m", "bana", "check", tmp_path / "voc", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "a.jpg: image is damaged" in json.loads(done.stdout)["faults"][0]["reason"]


def test_what_was_repaired_is_told_in_a_line_that_no_terminal_obeys(tmp_path, run):
    shape = labelme_shape("rectangle", [[5, 5], [99, 9]], label="cat\x1b[2J")
    write_labelme(tmp_path / "data\x1b[2J", shape)
    status, _, error = run("convert", tmp_path / "data\x1b[2J", tmp_path / "out", "--to", "coco")
    assert status == 0
    assert "1 repaired (the first: " in error
    assert "bana check lists them" in error
    assert "\x1b" not in error
