"""What was reviewed, written for other tools and for training."""

from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pytest

from bana import read_dataset
from bana.app.actions import Add, Change, Delete, Paint, SetState
from bana.app.export import export
from bana.data.label_folder import LabelFolder
from bana.data.masks import decode_mask, encode_mask
from bana.data.truth import instance_truth
from bana.errors import DataError
from bana.segment.samples import Targets


@pytest.fixture
def reviewed(bench):
    """Of six images two are accepted, one with other boxes and paint, one is rejected, and one edited."""
    bench.act("b", 0, Delete(do="delete", key=0))
    bench.act("b", 1, Change(do="change", key=1, box=(42, 48, 78, 84)))
    bench.act("b", 2, Add(do="add", box=(8, 20, 40, 60), class_id=3))
    bench.act("b", 3, Paint(do="paint", key=2, runs=[96 * 10 + 22, 6, 80 * 96 - 96 * 10 - 28]))
    bench.act("b", 4, SetState(do="state", state="accepted"))
    bench.act("a", 0, SetState(do="state", state="accepted"))
    bench.act("c", 0, SetState(do="state", state="rejected"))
    bench.act("e", 0, Change(do="change", key=1, class_id=2))
    return bench


@pytest.mark.parametrize("format", ["coco", "yolo", "labelme", "voc"])
def test_every_format_is_read_back_with_the_corrected_boxes_in_order(reviewed, format):
    done = export(reviewed, format, "accepted")
    dataset = read_dataset(done.folder, "train", format)
    assert done.folder == reviewed.folder / "exports" / f"{format}-1"
    assert (done.images, done.objects) == (2, 3)
    records = {record.image_id.rpartition("/")[2]: record for record in dataset}
    assert sorted(records) == ["a", "b"]
    assert [dataset.classes[class_id - 1] for class_id in records["b"].class_ids] == ["disk", "cross"]
    wanted = [decode_mask(mask, 96, 80) for mask in reviewed.show("b").masks]
    if format in ("coco", "voc"):  # the others keep what bounds the mask
        assert records["b"].boxes.tolist() == [[42, 48, 78, 84], [8, 20, 40, 60]]
    for found, mask in zip(instance_truth(records["b"]), wanted, strict=True):
        filled = format == "yolo"  # an outline has no holes
        assert found[mask].all() if filled else (found == mask).all()


def test_export_can_include_all_but_rejected_images(reviewed):
    assert export(reviewed, "coco", "not_rejected").images == 5
    again = export(reviewed, "coco", "not_rejected")
    assert again.folder.name == "coco-2"
    assert [record.image_id for record in read_dataset(again.folder)] == ["a", "b", "d", "e", "f"]


def test_an_empty_export_is_refused(bench):
    with pytest.raises(DataError, match="no image is accepted"):
        export(bench, "coco", "accepted")
    assert not list((bench.folder / "exports").glob("*-1"))


def test_exported_training_labels_equal_those_of_bana_label(reviewed, run_cli, tmp_path):
    done = export(reviewed, "training", "not_rejected")
    data, labels = done.folder / "data", done.folder / "labels"
    dataset, folder = read_dataset(data), LabelFolder(labels)
    folder.check_classes(dataset)
    targets = Targets(dataset.class_table, folder, {})
    for record in dataset:
        shown = reviewed.show(record.image_id)
        assert folder.is_intact(record.image_id)
        assert [box.mask["counts"] for box in folder.boxes(record)] == [mask["counts"] for mask in shown.masks]
        y_crf, y_ret = targets.of(record)
        assert (y_crf == shown.y_crf).all()
        assert (y_ret == shown.y_ret).all()
        assert (y_crf == y_ret).all() or record.image_id not in ("a", "b")
    untouched = LabelFolder(reviewed.folder)
    record = reviewed.record("d")
    assert (folder.label_map("agreed", record) == untouched.label_map("agreed", record)).all()
    scored = run_cli("evaluate", labels, data, "--json", "--no-boundary")  # its masks are the truth of that data set
    assert scored.status == 0
    assert '"y_crf": {"miou": 100.0' in scored.out


def test_an_image_without_boxes_is_background_as_a_whole(bench):
    bench.act("a", 0, Delete(do="delete", key=0))
    bench.act("a", 1, SetState(do="state", state="accepted"))
    bench.act("d", 0, SetState(do="state", state="accepted"))
    done = export(bench, "training", "accepted")
    dataset = read_dataset(done.folder / "data")
    assert [len(record) for record in dataset] == [0, 2]
    assert not LabelFolder(done.folder / "labels").label_map("agreed", dataset[0]).any()


def test_a_crowd_region_is_exported_as_one(workbench, shapes_voc):
    dataset = read_dataset(shapes_voc)
    region = np.zeros((96, 80), dtype=bool)
    region[60:70, 50:60] = True
    crowded = replace(dataset.records[1], crowd=np.array([False, True]), segmentations=(None, encode_mask(region)))
    bench = workbench(replace(dataset, records=(crowded,)))
    bench.act("b", 0, SetState(do="state", state="accepted"))
    (record,) = read_dataset(export(bench, "coco", "accepted").folder)
    assert record.crowd.tolist() == [False, True]
    assert (instance_truth(record)[1] == region).all()


def test_export_labels_no_unlabeled_images(reviewed, monkeypatch):
    monkeypatch.setattr(reviewed, "_labeled", None)  # nothing is read to learn a state
    assert export(reviewed, "coco", "accepted").images == 2


def test_exports_at_once_go_to_folders_of_their_own(client):
    barrier, answers = Barrier(3), []

    def ask():
        barrier.wait()
        answers.append(client.post("/api/export", json={"format": "coco", "which": "not_rejected"}))

    threads = [Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200, 200, 200], [answer.text for answer in answers]
    assert sorted(Path(answer.json()["folder"]).name for answer in answers) == ["coco-1", "coco-2", "coco-3"]
