"""Annotations that changed since, errors on the way, and what else one image must not do to the others."""

import json
from dataclasses import replace

import pytest

from bana import read_dataset
from bana.app.actions import Delete, SetState
from bana.app.drafts import Draft
from bana.app.export import export
from bana.app.queue import Queue
from bana.app.store import Review
from bana.app.views import class_list
from bana.app.workbench import Workbench
from bana.errors import DataError


def test_a_review_of_another_annotation_is_refused(workbench, shapes_voc):
    bench = workbench()
    for image_id in "bd":
        bench.act(image_id, 0, SetState(do="state", state="accepted"))
    dataset = read_dataset(shapes_voc)
    order = [1, 0]
    b = dataset.records[1]
    swapped = replace(b, boxes=b.boxes[order], class_ids=b.class_ids[order])
    records = tuple(swapped if each is b else each for each in dataset)
    bench = workbench(replace(dataset, records=records))
    with pytest.raises(DataError, match=r"b\.json: reviews another annotation .* remove the file"):
        bench.show("b")
    rows = {row.image_id: row for row in Queue(bench).rows()}
    assert "another annotation" in rows["b"].fault
    assert (rows["d"].state, rows["d"].fault) == ("accepted", "")
    done = export(bench, "coco", "accepted")
    assert done.images == 1
    assert "b.json" in done.rejected[0]


def test_a_damaged_review_is_named(workbench):
    bench = workbench()
    bench.act("b", 0, SetState(do="state", state="accepted"))
    file = bench.folder / "review" / "b.json"
    content = json.loads(file.read_text())
    content["draft"]["objects"][0]["origin"] = 7  # of two boxes
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"b\.json: .*another annotation"):
        workbench().show("b")
    file.write_text(json.dumps({name: value for name, value in content.items() if name != "annotation"}))
    with pytest.raises(DataError, match=r"b\.json: .*annotation"):
        workbench().show("b")


def test_an_image_whose_annotation_changed_is_relabeled(workbench, shapes_voc):
    dataset = read_dataset(shapes_voc)
    b = dataset.records[1]
    bench = workbench(replace(dataset, records=(replace(b, class_ids=b.class_ids[[1, 0]]),)))
    (row,) = Queue(bench).rows()
    assert (row.labeled, row.fault) == (False, "")
    assert bench.show("b").review.draft.class_ids


def test_a_verdict_taken_back_leaves_what_was_changed_marked(bench):
    bench.act("a", 0, SetState(do="state", state="accepted"))
    assert bench.act("a", 1, SetState(do="state", state="todo")).review.draft.state == "todo"
    bench.act("a", 2, Delete(do="delete", key=0))
    bench.act("a", 3, SetState(do="state", state="accepted"))
    assert bench.act("a", 4, SetState(do="state", state="todo")).review.draft.state == "edited"


def test_an_error_at_one_image_does_not_stop_labeling(shapes_voc, tiny_method, tmp_path, monkeypatch):
    bench = Workbench(read_dataset(shapes_voc), *tiny_method, tmp_path / "labels")
    queue, opened = Queue(bench), bench.open

    def failing(image_id):
        if image_id == "a":
            raise ValueError("a bug")
        return opened(image_id)

    monkeypatch.setattr(bench, "open", failing)
    for image_id in "ab":
        queue._prepare(image_id)
    rows = {row.image_id: row for row in queue.rows()}
    assert rows["a"].fault == "a bug"
    assert rows["b"].labeled


def test_labeling_ahead_does_not_overwrite_newer_rows(bench, monkeypatch):
    queue = Queue(bench)
    queue._rows["a"] = replace(queue._rows["a"], labeled=False)
    draft = bench.review("a").draft

    class Late(Draft):
        @property
        def confidence(self):  # asked for while the row is made
            queue.note("a", replace(draft, state="accepted"))
            return 0.5

    monkeypatch.setattr(bench, "review", lambda image_id: Review(Late(**vars(draft))))
    queue._prepare("a")
    assert queue._rows["a"].state == "accepted"


def test_an_unused_class_has_no_used_color(bench):
    names = ("ghost", *bench.dataset.classes)
    records = tuple(replace(each, class_ids=each.class_ids + 1) for each in bench.dataset)
    table = replace(bench.dataset.class_table, names=names)
    classes = class_list(replace(bench.dataset, class_table=table, records=records))
    assert len({each["color"] for each in classes}) == len(names)
