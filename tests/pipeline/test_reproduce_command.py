"""`bana reproduce`: all six tables from stock layouts of VOC and COCO, as a researcher has them."""

import json
import shutil

import pytest
import yaml
from PIL import Image

from bana.api.comparing import reproduce
from bana.data.convert import convert
from bana.data.reading import read_dataset
from bana.errors import DataError
from shapes_data import IMAGES, true_mask, write_shapes, write_true_masks

HELD_OUT = ("c", "d")
"""Images of ``val``."""


@pytest.fixture(scope="module")
def devkit(tmp_path_factory):
    """A VOCdevkit without a list ``train_aug``: ``b`` has a mask of SBD alone, and ``train`` and ``val`` VOC's own."""
    home = write_shapes(tmp_path_factory.mktemp("stock") / "VOCdevkit" / "VOC2012")
    write_true_masks(home)
    (home / "ImageSets/Main/train.txt").unlink()
    (home / "ImageSets/Segmentation").mkdir()
    names = sorted(IMAGES)
    lists = {"train": [name for name in names if name not in (*HELD_OUT, "b")], "val": HELD_OUT}
    for split, members in lists.items():
        (home / f"ImageSets/Segmentation/{split}.txt").write_text("".join(f"{name}\n" for name in members))
    (home / "SegmentationClass/b.png").rename(home.parent / "b.png")
    (home / "SegmentationObject/b.png").unlink()
    return home.parent


def with_pngs(devkit, folder):
    """A copy with SBD's masks as PNGs, as many share them."""
    shutil.copytree(devkit, folder)
    masks = folder / "VOC2012/SegmentationClassAug"
    masks.mkdir()
    for name, (size, shapes) in IMAGES.items():
        Image.fromarray(true_mask(size, shapes)).save(masks / f"{name}.png")
    return folder


def with_mats(devkit, folder):
    """A copy beside SBD's own archive; only the names of its files count."""
    shutil.copytree(devkit, folder / "VOCdevkit")
    (folder / "benchmark_RELEASE/dataset/cls").mkdir(parents=True)
    for name in IMAGES:
        (folder / f"benchmark_RELEASE/dataset/cls/{name}.mat").touch()
    return folder / "VOCdevkit"


@pytest.mark.parametrize("with_sbd", [with_pngs, with_mats])
def test_the_augmented_list_is_made_of_sbd_where_there_is_none(devkit, tmp_path, with_sbd):
    root = with_sbd(devkit, tmp_path / "copy")
    dataset = read_dataset(root, "train_aug")
    assert [record.image_id for record in dataset] == [name for name in sorted(IMAGES) if name not in HELD_OUT]
    has_mask = {record.image_id: record.semantic_path is not None for record in dataset}
    assert has_mask["b"] == (with_sbd is with_pngs)
    (root / "VOC2012/ImageSets/Segmentation/train_aug.txt").write_text(
        "/JPEGImages/a.jpg /SegmentationClassAug/a.png\n"
    )
    assert [record.image_id for record in read_dataset(root, "train_aug")] == ["a"]


def test_without_sbd_there_is_no_augmented_list(devkit):
    with pytest.raises(DataError, match="has no split 'train_aug'; choose one of: train, val"):
        read_dataset(devkit, "train_aug")


@pytest.fixture(scope="module")
def tiny(preset, tmp_path_factory):
    """The tiny recipe with one epoch a stage, and a tiny Mask R-CNN."""
    recipe = yaml.safe_load(preset.read_text())
    recipe["classify"]["epochs"] = recipe["segment"]["epochs"] = 1
    recipe["affinity"] = {"backbone": "lite0", "crop_size": 97, "epochs": 1, "image_side": 129, "width": 8}
    recipe["instance"] = {
        "backbone": "lite0", "train_backbone": "none", "width": 16, "box_samples": 16, "crop_size": 97, "epochs": 1,
        "batch_size": 4,
    }  # fmt: skip
    file = tmp_path_factory.mktemp("presets") / "reproduce.yaml"
    file.write_text(yaml.safe_dump(recipe))
    return file


def test_table1_scores_every_method_on_train_and_val(run_cli, devkit, tiny, tmp_path):
    root = with_mats(devkit, tmp_path / "copy")
    options = ("--out", tmp_path / "out", "--preset", tiny, "--workers", 1)
    answer = run_cli("reproduce", "table1", root, *options, "--json")
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)
    made = {name for name, row in found["rows"].items() if row["ours"]}
    assert made == set(found["rows"]) - set(found["unavailable"])
    assert {"affinity", "cam", "box", "wssl", "gap", "bap-cam", "bap", "ret", "bap+ret"} <= made
    assert found["rows"]["bap"]["paper"] == {"train": 78.7, "val": 79.2}
    assert all(0 < figure <= 100 for name in made for figure in found["rows"][name]["ours"].values())
    assert set(found["rows"]["box"]["ours"]) == {"train", "val"}
    assert "MCG" in found["rows"]["sdi"]["stand_in"]
    assert (tmp_path / "out/classify-gap/labeler.safetensors").is_file()
    text = run_cli("reproduce", "table1", root, *options, "--rows", "bap,cam").out
    assert "59.7*" in text
    assert "* the paper's figure is of AffinityNet" in text


@pytest.mark.parametrize(("table", "rows"), [("table3", "agreed,nal"), ("table4", "y_crf,semi"), ("table5", "nal")])
def test_networks_of_a_stock_devkit(run_cli, devkit, tiny, tmp_path, table, rows):
    root = with_mats(devkit, tmp_path / "copy")
    options = ("--out", tmp_path / "out", "--preset", tiny, "--workers", 1, "--rows", rows, "--json")
    answer = run_cli("reproduce", table, root, *options)
    assert answer.status == 0, answer.err
    made = {name for name, row in json.loads(answer.out)["rows"].items() if row["ours"]}
    assert made == set(rows.split(","))


def test_rows_that_need_masks_are_left_out_where_some_lack_them(devkit, tiny, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr("bana.pipeline.reproduce.make_networks", lambda context, study: made.append(study.rows))
    for with_sbd in (with_mats, with_pngs):
        root = with_sbd(devkit, tmp_path / with_sbd.__name__)
        result = reproduce("table3", root, tmp_path / f"out-{with_sbd.__name__}", preset=str(tiny), quiet=True)
        assert ("masks" in result.unavailable) == (with_sbd is with_mats)
    assert [("masks" in rows) for rows in made] == [False, True]


@pytest.fixture(scope="module")
def coco(devkit, tmp_path_factory):
    """COCO's own layout: annotations/instances_train2017.json beside train2017, and the same of val2017."""
    root = tmp_path_factory.mktemp("coco")
    for split in ("train", "val"):
        convert(devkit, root / split, "coco", splits=[split])
        year = f"{split}2017"
        (root / "data/annotations").mkdir(parents=True, exist_ok=True)
        shutil.move(root / split / split, root / "data" / year)
        shutil.move(
            root / split / f"annotations/instances_{split}.json", root / f"data/annotations/instances_{year}.json"
        )
    return root / "data"


@pytest.mark.parametrize(("table", "rows"), [("table2", "own-bap,own-ret"), ("table6", "own,masks")])
def test_objects_of_a_stock_coco(run_cli, coco, tiny, tmp_path, table, rows):
    options = ("--out", tmp_path / "out", "--preset", tiny, "--workers", 1, "--rows", rows, "--json")
    splits = ("--split", "train2017", *(("--val-split", "val2017") if table == "table6" else ()))
    answer = run_cli("reproduce", table, coco, *options, *splits)
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)["rows"]
    assert {name for name, row in found.items() if row["ours"]} == set(rows.split(","))
