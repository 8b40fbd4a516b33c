"""Rows of tables 4 and 5 whose labels change between rounds of training, and those that start from others' labels."""

import json
import sys

import numpy as np
import pytest

from bad_data import refused
from bana.data.label_folder import LabelFolder
from bana.data.reading import read_dataset
from bana.data.records import boxes_to_mask
from bana.engine.progress import SILENT
from bana.label.methods.choose import MethodChoice
from bana.label.run import label_dataset
from bana.pipeline.rows import ROWS, TABLES
from bana.pipeline.update import LabelUpdate, update_labels
from bana.segment.model import SEGMENTER
from bana.segment.segmenter import PredictSettings
from bana.segment.settings import LOSSES

PREDICT = PredictSettings(scales=(1.0,), flip=False)


@pytest.fixture(scope="session")
def rectangles(shapes_voc, tmp_path_factory):
    """The tiny data set with filled boxes for labels."""
    out = tmp_path_factory.mktemp("rectangles") / "labels"
    label_dataset(read_dataset(shapes_voc), MethodChoice("box"), out, workers=1)
    return out


def updated(update, data, network, first, out, seed=0):
    worker = LabelUpdate(update, network / SEGMENTER.file_name, first, out, PREDICT, seed)
    update_labels(worker, data, 1, SILENT)
    return LabelFolder(out)


def maps(folder, data, name="y_crf"):
    return [folder.label_map(name, record) for record in data]


def test_every_row_of_a_table_is_known():
    for table in TABLES.values():
        assert set(table) <= set(ROWS)
    assert {row.loss for row in ROWS.values()} == set(LOSSES)
    for row in ROWS.values():
        assert (row.update is None) == (row.rounds == 1)


def test_sdi_keeps_classes_in_boxes_and_boxes_half_full(tiny_segment_run, rectangles, shapes_voc, tmp_path):
    data = read_dataset(shapes_voc)
    folder = updated("sdi", data, tiny_segment_run, rectangles, tmp_path / "sdi")
    folder.check_classes(data)
    changed = 0
    for record, labels, first in zip(data, maps(folder, data), maps(LabelFolder(rectangles), data), strict=True):
        for class_id in np.unique(labels[labels > 0]):
            boxes = record.boxes[record.class_ids == class_id]
            assert not (labels == class_id)[~boxes_to_mask(boxes, record.height, record.width)].any()
        changed += (labels != first).sum()
        for box in folder.boxes(record):
            assert box.status == "ok"
    assert changed > 0
    np.testing.assert_array_equal(np.concatenate([each.ravel() for each in maps(folder, data)]),
                                  np.concatenate([each.ravel() for each in maps(folder, data, "y_ret")]))  # fmt: skip


def test_boxsup_draws_by_its_seed(tiny_segment_run, rectangles, shapes_voc, tmp_path):
    pytest.importorskip("higra")
    data = read_dataset(shapes_voc)
    first, again, other = (
        maps(updated("boxsup", data, tiny_segment_run, rectangles, tmp_path / name, seed), data)
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert any(not np.array_equal(one, two) for one, two in zip(first, other, strict=True))
    for record, labels in zip(data, first, strict=True):
        assert not labels[~boxes_to_mask(record.boxes, record.height, record.width)].any()
        assert set(np.unique(labels)) <= {0, *record.class_ids.tolist()}


def test_an_update_keeps_what_is_there(tiny_segment_run, rectangles, shapes_voc, tmp_path):
    data = read_dataset(shapes_voc)
    updated("sdi", data, tiny_segment_run, rectangles, tmp_path / "out")
    kept = tmp_path / "out" / "y_crf" / "a.png"
    gone = tmp_path / "out" / "y_crf" / "b.png"
    written, before = kept.stat().st_mtime_ns, gone.read_bytes()
    gone.unlink()
    updated("sdi", data, tiny_segment_run, rectangles, tmp_path / "out")
    assert kept.stat().st_mtime_ns == written
    assert gone.read_bytes() == before


def test_rounds_of_training_end_with_one_scored_network(run_cli, preset, data, tmp_path):
    arguments = ("reproduce", "table4", data, "--out", tmp_path, "--preset", preset, "--split", "train", "--workers", 1)
    answer = run_cli(*arguments, "--rows", "sdi_recursive,wssl_em", "--json")
    assert answer.status == 0, answer.err
    rows = json.loads(answer.out)["rows"]
    assert {name for name, row in rows.items() if row["ours"]} == {"sdi_recursive", "wssl_em"}
    assert rows["bcm"]["paper"]["crf"] == 66.8
    folders = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    between = {f"sdi_recursive-0-{kind}{number}" for kind in ("round", "labels") for number in (1, 2)}
    assert folders == {"classify", "labels-box", "sdi_recursive-0", "wssl_em-0", *between}
    learned = [
        json.loads((tmp_path / name / "settings.json").read_text())["labels"]
        for name in ("sdi_recursive-0-round1", "sdi_recursive-0-round2", "sdi_recursive-0")
    ]
    assert learned[0] == LabelFolder(tmp_path / "labels-box").labeling
    assert len(set(learned)) == 3
    again = run_cli(*arguments, "--rows", "sdi_recursive")
    assert again.status == 0
    assert "begun" not in again.err


def test_a_missing_package_is_told_before_anything_is_trained(run_cli, preset, data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "higra", None)
    answer = run_cli(
        "reproduce",
        "table4",
        data,
        "--out",
        tmp_path / "out",
        "--preset",
        preset,
        "--split",
        "train",
        "--rows",
        "boxsup",
    )
    refused(answer, "method mcg: needs the package higra; pip install")
    assert not (tmp_path / "out" / "classify").exists()
