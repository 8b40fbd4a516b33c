import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools.coco import COCO
from torchvision.datasets import VOCDetection, VOCSegmentation

from bana import read_dataset
from bana.data.convert import WRITERS, convert
from bana.data.images import open_image
from bana.data.label_maps import write_label_map
from bana.data.masks import decode_mask, encode_mask, mask_iou
from bana.data.objects import AnnotatedObject, make_record
from bana.data.records import ClassTable
from bana.data.truth import instance_truth, semantic_truth
from bana.data.writing import staged_folder
from bana.errors import DataError, OutputError, SettingsError
from data_samples import SIZE, blob, voc_object, voc_xml, write_coco, write_photo, write_voc, write_yolo

CLASSES = ClassTable(("cat", "dog"), (3, 18))


def disjoint_masks():
    """Two masks with parts and holes that do not overlap, neither of them empty."""
    whole, side = blob(5, density=0.6), np.arange(SIZE[0]) < 30
    return whole & side, whole & ~side


def box_around(mask):
    rows, columns = np.nonzero(mask)
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def masked_object(mask, class_id=1, **options):
    return AnnotatedObject(box_around(mask), class_id, segmentation=encode_mask(mask), **options)


@pytest.fixture
def masked(tmp_path):
    """A COCO data set of one image with two masks, and one image without objects."""
    first, second = disjoint_masks()
    records = [
        make_record(
            "a",
            write_photo(tmp_path / "photos/a.jpg"),
            SIZE,
            [masked_object(first, object_id=70), masked_object(second, 2, object_id=71)],
            source_id=7,
        ),
        make_record("sub/b", write_photo(tmp_path / "photos/sub/b.png"), SIZE, [], source_id=9),
    ]
    WRITERS["coco"](records, CLASSES, tmp_path / "masked", "train")
    return tmp_path / "masked"


def scattered_boxes(tmp_path, count=1000, per_image=50):
    """A VOC data set of random boxes with integer corners."""
    rng = np.random.default_rng(0)
    width, height = 501, 333
    images = {}
    for image in range(count // per_image):
        objects = []
        for _ in range(per_image):
            x0, x1 = np.sort(rng.choice(width + 1, 2, replace=False))
            y0, y1 = np.sort(rng.choice(height + 1, 2, replace=False))
            objects.append(voc_object(str(rng.choice(["cat", "dog", "bird"])), (x0 + 1, y0 + 1, x1, y1)))
        images[f"i{image:02}"] = voc_xml(*objects, filename=f"i{image:02}.jpg", size=(width, height))
    write_voc(tmp_path, images)
    for name in images:
        write_photo(tmp_path / "JPEGImages" / f"{name}.jpg", (width, height))
    return tmp_path


def test_boxes_survive_voc_coco_yolo_voc(tmp_path):
    source = scattered_boxes(tmp_path / "voc")
    for number, (here, there) in enumerate((("voc", "coco"), ("coco", "yolo"), ("yolo", "back"))):
        convert(tmp_path / here, tmp_path / there, "voc" if number == 2 else there, images="link")
    before, after = read_dataset(source), read_dataset(tmp_path / "back")
    assert sum(len(record) for record in after) == 1000
    assert after.classes == before.classes
    for old, new in zip(before, after, strict=True):
        assert (old.image_id, old.class_ids.tolist()) == (new.image_id, new.class_ids.tolist())
        assert np.abs(old.boxes - new.boxes).max() < 0.01


@pytest.mark.parametrize("here", WRITERS)
@pytest.mark.parametrize("there", WRITERS)
def test_boxes_survive_from_any_format_to_any(tmp_path, here, there):
    objects = [AnnotatedObject((10, 5, 30.5, 25.25), 2), AnnotatedObject((0, 0, 60, 40), 1)]
    records = [make_record("sub/a", write_photo(tmp_path / "a.jpg"), SIZE, objects)]
    WRITERS[here](records, CLASSES, tmp_path / "here", "train")
    convert(tmp_path / "here", tmp_path / "there", there)
    dataset = read_dataset(tmp_path / "there")
    assert (dataset.format, dataset.classes, len(dataset)) == (there, ("cat", "dog"), 1)
    assert (dataset[0].image_id, dataset[0].class_ids.tolist()) == ("sub/a", [2, 1])
    np.testing.assert_allclose(dataset[0].boxes, records[0].boxes, atol=0.001)


def test_images_of_a_yolo_list_keep_their_labels(tmp_path):
    write_yolo(tmp_path / "yolo", {"a": "0 0.5 0.5 0.5 0.5"}, "train: list.txt\nnames: [cat]\n")
    (tmp_path / "yolo/list.txt").write_text("images/train/a.jpg\n")
    convert(tmp_path / "yolo", tmp_path / "out", "yolo")
    assert len(read_dataset(tmp_path / "out")[0]) == 1


def test_an_empty_working_folder_can_be_filled(tmp_path, monkeypatch):
    write_coco(tmp_path / "coco")
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    convert(tmp_path / "coco", Path(), "voc")
    assert len(read_dataset(tmp_path / "out")) == 1


@pytest.mark.parametrize("to", WRITERS)
@pytest.mark.parametrize("images", ["copy", "link"])
def test_masks_survive_every_format_as_far_as_it_can_hold_them(masked, tmp_path, to, images):
    conversion = convert(masked, tmp_path / "out", to, images=images)
    before, after = read_dataset(masked), read_dataset(tmp_path / "out")
    report = conversion.reports["train"]
    assert (report.images, report.objects, report.masks) == (2, 2, 0 if to == "dota" else 2)
    assert after.classes == ("cat", "dog")
    assert [record.image_id for record in after] == ["a", "sub/b"]
    assert after[0].class_ids.tolist() == [1, 2]
    if to == "dota":
        assert report.lost == {"masks": 2}
        return
    ious = [mask_iou(*pair) for pair in zip(instance_truth(before[0]), instance_truth(after[0]), strict=True)]
    assert ious == [1, 1]
    assert (report.min_iou, report.inexact) == (1, [])
    np.testing.assert_array_equal(semantic_truth(after[0], CLASSES), semantic_truth(before[0], CLASSES))
    assert semantic_truth(after[1], CLASSES).max() == 0


def test_coco_polygons_report_what_they_lose(masked, tmp_path):
    conversion = convert(masked, tmp_path / "out", "coco", polygons=True)
    report = conversion.reports["train"]
    after = read_dataset(tmp_path / "out")[0]
    assert all(isinstance(segmentation, list) for segmentation in after.segmentations)
    ious = [mask_iou(*pair) for pair in zip(disjoint_masks(), instance_truth(after), strict=True)]
    assert (report.polygons, report.mean_iou, report.min_iou) == (2, pytest.approx(np.mean(ious)), min(ious))


def test_coco_ids_and_scores_are_kept(tmp_path):
    first, second = disjoint_masks()
    photo = write_photo(tmp_path / "a.jpg")
    objects = [masked_object(first, object_id=70, score=0.25), masked_object(second, 2, object_id=3, score=1.0)]
    records = [
        make_record("a", photo, SIZE, objects, source_id=12),
        make_record("b", photo, SIZE, [AnnotatedObject((0, 0, 1, 1), 1)], source_id=12),
    ]
    WRITERS["coco"](records, CLASSES, tmp_path / "out", "val")
    content = json.loads((tmp_path / "out/annotations/instances_val.json").read_text())
    assert [image["id"] for image in content["images"]] == [12, 1]
    assert [(entry["id"], entry["image_id"]) for entry in content["annotations"]] == [(70, 12), (3, 12), (1, 1)]
    assert [category["id"] for category in content["categories"]] == [3, 18]
    assert [entry.get("score") for entry in content["annotations"]] == [0.25, 1.0, None]
    assert read_dataset(tmp_path / "out")[0].scores.tolist() == [0.25, 1.0]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pycocotools_decodes_the_same_pixels(masked, tmp_path, capsys):
    for name, polygons in (("rle", False), ("polygons", True)):
        convert(masked, tmp_path / name, "coco", polygons=polygons)
        coco = COCO(tmp_path / name / "annotations/instances_train.json")
        ours = instance_truth(read_dataset(tmp_path / name)[0])
        theirs = [coco.annToMask(annotation) for annotation in coco.loadAnns(coco.getAnnIds(imgIds=[7]))]
        for mine, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(mine, other)
        assert coco.getCatIds(catNms=["dog"]) == [18]
        areas = [annotation["area"] for annotation in coco.anns.values()]
        assert areas == [mask.sum() for mask in disjoint_masks()]


def test_torchvision_reads_the_voc_folder(masked, tmp_path):
    out = tmp_path / "VOCdevkit" / "VOC2012"
    convert(masked, out, "voc")
    dataset = read_dataset(out)
    segmentation = VOCSegmentation(tmp_path, image_set="train")
    assert len(segmentation) == 2
    for (image, target), record in zip(segmentation, dataset, strict=True):
        np.testing.assert_array_equal(np.array(image), open_image(record.path))
        np.testing.assert_array_equal(np.array(target), semantic_truth(record, CLASSES))
    _, annotation = VOCDetection(tmp_path, image_set="train")[0]
    corners = annotation["annotation"]["object"][1]["bndbox"]
    x0, y0, x1, y1 = dataset[0].boxes[1]
    assert [float(corners[tag]) for tag in ("xmin", "ymin", "xmax", "ymax")] == [x0 + 1, y0 + 1, x1, y1]


def labelme_loader():
    """labelme's own loader, or None where the package is not there or wants a screen."""
    for module in ("labelme._label_file", "labelme.label_file"):
        try:
            return importlib.import_module(module).LabelFile
        except (ImportError, OSError):
            continue
    return None


def test_labelme_opens_our_files(masked, tmp_path):
    convert(masked, tmp_path / "out", "labelme")
    for name, photo in (("a", "a.jpg"), ("sub/b", "b.png")):
        file = tmp_path / "out/train" / f"{name}.json"
        content = json.loads(file.read_text())
        assert {"version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"} <= set(content)
        assert (content["imagePath"], content["imageWidth"], content["imageHeight"]) == (photo, *SIZE)
        for shape in content["shapes"]:
            assert {"label", "points", "group_id", "shape_type", "flags", "description"} <= set(shape)
            assert shape["shape_type"] in {"polygon", "rectangle", "mask"}
        loader = labelme_loader()
        if loader is not None:
            loaded = loader(str(file))
            assert [shape["label"] for shape in loaded.shapes] == [shape["label"] for shape in content["shapes"]]


def test_labelme_places_a_mask_shape_where_we_do(masked, tmp_path):
    loader = labelme_loader()
    if loader is None:
        pytest.skip("labelme does not import here")
    convert(masked, tmp_path / "out", "labelme")
    shapes = [shape for shape in loader(str(tmp_path / "out/train/a.json")).shapes if shape["shape_type"] == "mask"]
    assert shapes
    for shape, mask in zip(shapes, disjoint_masks(), strict=True):
        (x0, y0), (x1, y1) = (map(int, point) for point in shape["points"])
        np.testing.assert_array_equal(shape["mask"], mask[y0 : y1 + 1, x0 : x1 + 1])


def test_yolo_has_one_line_an_object_and_its_yaml_keeps_other_splits(masked, tmp_path):
    convert(masked, tmp_path / "out", "yolo")
    lines = (tmp_path / "out/labels/train/a.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1"]
    assert all(len(line.split()) % 2 == 1 and len(line.split()) > 6 for line in lines)
    assert (tmp_path / "out/labels/train/sub/b.txt").read_text() == ""
    WRITERS["yolo"](read_dataset(masked), CLASSES, tmp_path / "out", "val")
    content = yaml.safe_load((tmp_path / "out/data.yaml").read_text())
    assert content == {"train": "images/train", "val": "images/val", "names": {0: "cat", 1: "dog"}}
    with pytest.raises(OutputError, match=r"data\.yaml: has other classes"):
        WRITERS["yolo"](read_dataset(masked), ClassTable(("cow",)), tmp_path / "out", "test")


def test_a_yolo_yaml_names_train_and_val_whatever_is_written(masked, tmp_path):
    """A split stands in for a missing one until that is written."""
    dataset, file = read_dataset(masked), tmp_path / "out/data.yaml"
    names = {"names": {0: "cat", 1: "dog"}}
    WRITERS["yolo"](dataset, CLASSES, tmp_path / "out", "test")
    stand_ins = {"test": "images/test", "train": "images/test", "val": "images/test"}
    assert yaml.safe_load(file.read_text()) == stand_ins | names
    assert read_dataset(tmp_path / "out").split == "test"
    WRITERS["yolo"](dataset, CLASSES, tmp_path / "out", "train")
    stand_ins = {"test": "images/test", "train": "images/train", "val": "images/train"}
    assert yaml.safe_load(file.read_text()) == stand_ins | names


FLAGGED = "<difficult>1</difficult>"


@pytest.mark.parametrize(
    ("to", "lost"),
    [
        ("voc", {}),
        ("coco", {"difficult flags": 1}),
        ("yolo", {"difficult flags": 1}),
        ("labelme", {}),
        ("dota", {}),
    ],
)
def test_what_becomes_of_difficult_objects(tmp_path, to, lost):
    write_voc(tmp_path / "voc", {"a": voc_xml(voc_object(extra=FLAGGED), voc_object("dog", (1, 1, 9, 9)))})
    conversion = convert(tmp_path / "voc", tmp_path / "out", to)
    assert conversion.reports["train"].lost == lost
    kept = read_dataset(tmp_path / "out")[0].difficult.tolist()
    assert kept == [not lost, False]


@pytest.mark.parametrize(
    ("to", "lost"),
    [
        ("voc", {"crowd flags, which become difficult flags": 1, "scores": 2}),
        ("coco", {}),
        ("yolo", {"crowd flags, which become ordinary objects": 1, "scores": 2}),
        ("labelme", {}),
    ],
)
def test_what_becomes_of_crowds_and_scores(tmp_path, to, lost):
    first, second = disjoint_masks()
    objects = [masked_object(first, crowd=True, score=0.5), masked_object(second, 2, score=0.75)]
    record = make_record("a", write_photo(tmp_path / "a.jpg"), SIZE, objects)
    report = WRITERS[to]([record], CLASSES, tmp_path / "out", "train")
    assert dict(report.lost) == lost
    after = read_dataset(tmp_path / "out")
    assert len(after[0]) == 2
    assert after[0].crowd.tolist() == [to in ("coco", "labelme"), False]
    assert (after[0].scores is not None) == (to in ("coco", "labelme"))
    if to == "voc":
        labels = semantic_truth(after[0], CLASSES)
        np.testing.assert_array_equal(labels == 255, first)
        assert after[0].difficult.tolist() == [True, False]


def test_voc_says_when_masks_overlap(tmp_path):
    square = np.zeros(SIZE[::-1], dtype=bool)
    square[5:30, 5:30] = True
    inner = np.zeros_like(square)
    inner[10:20, 10:20] = True
    record = make_record("a", write_photo(tmp_path / "a.jpg"), SIZE, [masked_object(square), masked_object(inner)])
    report = WRITERS["voc"]([record], CLASSES, tmp_path / "out", "train")
    assert dict(report.lost) == {"parts of masks behind other masks": 1}
    visible = instance_truth(read_dataset(tmp_path / "out")[0])
    np.testing.assert_array_equal(visible[0], square & ~inner)
    np.testing.assert_array_equal(visible[1], inner)


def test_a_label_map_is_kept_by_voc_and_told_of_by_the_others(tmp_path):
    write_voc(tmp_path / "voc", lists={"Segmentation/val": ["a"]})
    labels = np.full(SIZE[::-1], 8, dtype=np.uint8)
    labels[0] = 255
    write_label_map(tmp_path / "voc/SegmentationClass/a.png", labels)
    for to in WRITERS:
        lost = convert(tmp_path / "voc", tmp_path / to / "out", to).reports["val"].lost
        assert bool(lost) == (to != "voc"), to
    after = read_dataset(tmp_path / "voc/out", "val")
    np.testing.assert_array_equal(semantic_truth(after[0], after.class_table), labels)


def test_objects_without_mask_among_others(tmp_path):
    first, _ = disjoint_masks()
    objects = [masked_object(first), AnnotatedObject((35, 5, 50, 20), 2)]
    record = make_record("a", write_photo(tmp_path / "a.jpg"), SIZE, objects)
    for to, write in WRITERS.items():
        report = write([record], CLASSES, tmp_path / to, "train")
        assert bool(report.lost) == (to in ("yolo", "dota")), to
        after = read_dataset(tmp_path / to)[0]
        np.testing.assert_allclose(after.boxes, record.boxes, atol=0.01)
        assert ((instance_truth(after) or [None, None])[1] is None) == (to in ("coco", "labelme", "dota"))
    void = semantic_truth(read_dataset(tmp_path / "voc")[0], CLASSES) == 255
    assert void[5:20, 35:50].all()


def test_an_object_with_an_empty_mask_is_kept(tmp_path):
    empty = AnnotatedObject((5, 5, 20, 20), 1, segmentation=encode_mask(np.zeros(SIZE[::-1], dtype=bool)))
    record = make_record("a", write_photo(tmp_path / "a.jpg"), SIZE, [empty])
    for to, write in WRITERS.items():
        report = write([record], CLASSES, tmp_path / to, "train")
        assert bool(report.lost) == (to in ("yolo", "labelme", "dota")), to
        np.testing.assert_allclose(read_dataset(tmp_path / to)[0].boxes, [[5, 5, 20, 20]], atol=1e-4)


def test_splits_of_different_classes_are_not_mixed(tmp_path):
    record = make_record("a", write_photo(tmp_path / "a.jpg"), SIZE, [AnnotatedObject((5, 5, 20, 20), 1)])
    for split, names in (("train", ("cat",)), ("val", ("dog",))):
        WRITERS["coco"]([record], ClassTable(names), tmp_path / "coco", split)
    with pytest.raises(SettingsError, match="splits train and val have different classes"):
        convert(tmp_path / "coco", tmp_path / "out", "voc", splits=["train", "val"])


def test_a_broken_yaml_in_the_target_is_not_overwritten(tmp_path):
    record = make_record("a", write_photo(tmp_path / "a.jpg"), SIZE, [AnnotatedObject((5, 5, 20, 20), 1)])
    (tmp_path / "out").mkdir()
    (tmp_path / "out/data.yaml").write_text("names: [")
    with pytest.raises(OutputError, match=r"data\.yaml: line 1: is not YAML .* choose another folder"):
        WRITERS["yolo"]([record], CLASSES, tmp_path / "out", "train")
    assert (tmp_path / "out/data.yaml").read_text() == "names: ["


def test_voc_without_masks_has_no_label_maps(tmp_path):
    write_yolo(tmp_path / "yolo", {"a": "0 0.5 0.5 0.5 0.5", "b": ""})
    convert(tmp_path / "yolo", tmp_path / "out", "voc")
    assert not (tmp_path / "out/SegmentationClass").exists()
    assert not (tmp_path / "out/ImageSets/Segmentation").exists()
    assert (tmp_path / "out/ImageSets/Main/train.txt").read_text() == "a\nb\n"


def test_more_than_254_classes_become_16_bit_label_maps(tmp_path):
    first, second = disjoint_masks()
    classes = ClassTable(tuple(f"c{number}" for number in range(300)))
    objects = [masked_object(first, 300), masked_object(second, crowd=True)]
    WRITERS["voc"](
        [make_record("a", write_photo(tmp_path / "a.jpg"), SIZE, objects)], classes, tmp_path / "out", "train"
    )
    labels = np.array(Image.open(tmp_path / "out/SegmentationClass/a.png"))
    assert (labels.dtype, set(np.unique(labels))) == (np.uint16, {0, 300, 65535})
    after = read_dataset(tmp_path / "out")
    assert semantic_truth(after[0], after.class_table).max() == 65535


def test_images_are_copied_linked_or_left(tmp_path):
    source = write_coco(tmp_path / "coco") / "images/a.jpg"
    for mode in ("copy", "link", "none"):
        convert(tmp_path / "coco", tmp_path / mode, "voc", images=mode)
    copied, linked = (tmp_path / mode / "JPEGImages/a.jpg" for mode in ("copy", "link"))
    assert copied.read_bytes() == source.read_bytes()
    assert not copied.samefile(source)
    assert linked.samefile(source)
    assert not (tmp_path / "none/JPEGImages").exists()
    with pytest.raises(SettingsError, match="images='move' is not known"):
        convert(tmp_path / "coco", tmp_path / "move", "voc", images="move")


def test_a_png_becomes_jpeg_for_voc_and_a_rotated_photo_upright_everywhere(tmp_path):
    write_yolo(tmp_path / "yolo", {"a": "0 0.5 0.5 0.5 0.5"})
    (tmp_path / "yolo/images/train/a.jpg").unlink()
    write_photo(tmp_path / "yolo/images/train/a.png", (60, 40), exif_orientation=6)
    upright = open_image(tmp_path / "yolo/images/train/a.png")
    for to, name in (("voc", "JPEGImages/a.jpg"), ("coco", "train/a.png")):
        for images in ("copy", "link"):
            out = tmp_path / to / images
            report = convert(tmp_path / "yolo", out, to, images=images).reports["train"]
            assert report.reencoded == 1
            with Image.open(out / name) as image:
                stored = np.array(image).astype(int)
            assert stored.shape == (60, 40, 3)
            assert np.abs(stored - upright).mean() < (8 if to == "voc" else 1e-9)
            assert image.format == ("JPEG" if to == "voc" else "PNG")


def test_several_splits_are_converted_in_one_go(tmp_path):
    xml = voc_xml(voc_object())
    write_voc(tmp_path / "voc", {"a": xml, "b": xml}, {"Main/train": ["a"], "Main/val": ["b"]})
    for to in WRITERS:
        out = tmp_path / "out" / to
        conversion = convert(tmp_path / "voc", out, to, splits=["Main/train", "val"])
        assert list(conversion.reports) == ["train", "val"]
        assert [[record.image_id for record in read_dataset(out, split)] for split in ("train", "val")] == [
            ["a"],
            ["b"],
        ]


def test_a_folder_that_is_not_empty_is_kept_unless_overwriting_is_asked_for(tmp_path):
    write_coco(tmp_path / "coco")
    (tmp_path / "out").mkdir()
    convert(tmp_path / "coco", tmp_path / "out", "voc")  # an empty folder is as good as none
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    with pytest.raises(OutputError, match="out: is not empty; choose another folder or add --overwrite"):
        convert(tmp_path / "coco", tmp_path / "out", "yolo")
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    (tmp_path / "out/mine.txt").write_text("keep")
    convert(tmp_path / "coco", tmp_path / "out", "voc", overwrite=True)
    assert (tmp_path / "out/mine.txt").read_text() == "keep"
    with pytest.raises(OutputError, match=r"mine\.txt: is a file"):
        convert(tmp_path / "coco", tmp_path / "out/mine.txt", "voc")


def test_a_failure_on_the_way_leaves_nothing(tmp_path):
    write_voc(tmp_path / "voc", {"a": voc_xml(voc_object()), "b": voc_xml(voc_object())})
    (tmp_path / "voc/JPEGImages/b.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"b\.jpg: not a readable image"):
        convert(tmp_path / "voc", tmp_path / "out", "coco")
    assert list(tmp_path.iterdir()) == [tmp_path / "voc"]


def test_skipped_images_are_named_in_a_file(tmp_path):
    write_voc(tmp_path / "voc", {"a": voc_xml(voc_object()), "b": "<annotation>"})
    conversion = convert(tmp_path / "voc", tmp_path / "out", "yolo", on_error="skip")
    assert (conversion.reports["train"].images, len(conversion.rejected)) == (1, 1)
    (line,) = (tmp_path / "out/rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["image_id"] == "b"
    assert "b.xml: is not well-formed XML" in json.loads(line)["reason"]


def test_options_that_do_not_fit_are_refused(tmp_path):
    write_coco(tmp_path / "coco")
    with pytest.raises(SettingsError, match="format 'pascal' is not known"):
        convert(tmp_path / "coco", tmp_path / "out", "pascal")
    with pytest.raises(SettingsError, match="--polygons is a choice for coco only"):
        convert(tmp_path / "coco", tmp_path / "out", "yolo", polygons=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "coco"]


def test_polygons_of_a_file_are_kept_as_they_are(tmp_path):
    polygon = [10.5, 5.25, 30, 5, 30, 25]
    content = json.loads(write_coco(tmp_path / "a").joinpath("instances.json").read_text())
    content["annotations"][0]["segmentation"] = [polygon]
    write_coco(tmp_path / "a", content)
    report = convert(tmp_path / "a", tmp_path / "b", "coco", polygons=True).reports["train"]
    after = read_dataset(tmp_path / "b")[0]
    assert after.segmentations[0] == [polygon]
    assert (report.polygons, report.min_iou) == (1, 1.0)
    np.testing.assert_array_equal(
        decode_mask(after.segmentations[0], *SIZE[::-1]), instance_truth(read_dataset(tmp_path / "a")[0])[0]
    )


def test_what_a_killed_conversion_left_is_made_anew(tmp_path):
    left = tmp_path / ".out.part" / "annotations"
    left.mkdir(parents=True)
    (left / "half.json").write_text("{")
    with staged_folder(tmp_path / "out", overwrite=False) as folder:
        (folder / "whole.txt").write_text("all")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["whole.txt"]
    assert not (tmp_path / ".out.part").exists()
