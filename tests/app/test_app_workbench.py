"""Images under review: labeled, changed, kept, found again."""

import errno
import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bana import read_dataset
from bana.app.actions import Add, Change, Delete, Paint, SetPoints, SetState, Step, Unpaint
from bana.app.export import reviewed
from bana.app.queue import Queue
from bana.app.workbench import StaleError, UnknownImageError, Workbench
from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.label_maps import read_label_map
from bana.data.masks import decode_mask, encode_mask
from bana.data.mirror import data_facts
from bana.errors import DataError, OutputError
from bana.io.files import write_json


def masks(bench, image_id):
    record = bench.record(image_id)
    return [decode_mask(each, record.height, record.width) for each in bench.show(image_id).masks]


def runs(mask):
    """The run lengths of a mask bool (H, W), columns one after the other, beginning with a run of False."""
    flat = np.concatenate([[False], mask.T.ravel(), [not mask.T.ravel()[-1]]])
    return np.diff(np.flatnonzero(np.diff(flat)), prepend=0, append=[]).astype(int).tolist()


def test_labels_are_those_of_bana_label(bench, run_cli, shapes_voc, tiny_run, tmp_path):
    assert run_cli("label", shapes_voc, "--labeler", tiny_run, "--out", tmp_path / "real", "--workers", 1).status == 0
    real = LabelFolder(tmp_path / "real")
    for record in bench.dataset:
        shown = bench.show(record.image_id)
        assert [each["counts"] for each in shown.masks] == [box.mask["counts"] for box in real.boxes(record)]
        assert (shown.y_crf == real.label_map("y_crf", record)).all()
        assert (shown.y_ret == real.label_map("y_ret", record)).all()
    assert run_cli("label", shapes_voc, "--labeler", tiny_run, "--out", bench.folder, "--workers", 1).status == 0
    for file in sorted(p for p in (tmp_path / "real").rglob("*") if p.is_file() and p.name != "rejected.jsonl"):
        assert (bench.folder / file.relative_to(tmp_path / "real")).read_bytes() == file.read_bytes()


def test_labels_of_another_data_set_are_not_touched(tiny_method, shapes_voc, tmp_path):
    labeler, manifest = tiny_method
    dataset = read_dataset(shapes_voc)
    other = {"data": {"root": "/other", "format": "voc"}}
    Workbench(dataset, labeler, manifest | other, tmp_path / "labels")
    with pytest.raises(OutputError, match="holds labels of /other"):
        Workbench(dataset, labeler, manifest | {"data": data_facts(dataset)}, tmp_path / "labels")


def test_a_changed_box_is_labeled_as_if_the_annotation_had_it(bench, tiny_method):
    record = bench.record("d")
    bench.act("d", 0, Change(do="change", key=1, box=(18, 22, 62, 62)))
    shown = bench.act("d", 1, Add(do="add", box=(2, 44, 18, 60), class_id=1))
    boxes = [*record.boxes.tolist()[:1], [18, 22, 62, 62], [2, 44, 18, 60]]
    expected = tiny_method[0](open_record_image(record), boxes, [*record.class_ids.tolist(), 1])
    assert [each["counts"] for each in shown.masks] == [encode_mask(each.mask)["counts"] for each in expected.instances]
    assert (shown.y_crf == expected.y_crf).all()
    assert (shown.y_ret == expected.y_ret).all()
    assert [each.key for each in shown.review.draft.objects] == [0, 1, 2]


def set_points(*points, key=1):
    return SetPoints(do="points", key=key, points=list(points))


def counts(masks):
    return [each["counts"] for each in masks]


def test_points_are_labeled_as_if_the_annotation_had_them(bench, tiny_method):
    record = bench.record("d")
    x0, y0, _, _ = record.boxes[1].tolist()
    given = [(x0 + 2.5, y0 + 2.5, True), (x0 + 20.5, y0 + 20.5, False)]
    bench.act("d", 0, set_points(given[0]))
    shown = bench.act("d", 1, set_points(given[1]))
    arguments = (open_record_image(record), record.boxes, record.class_ids)
    expected, before = (tiny_method[0](*arguments, points=points) for points in ([[], given], ()))
    assert counts(shown.masks) == counts(encode_mask(each.mask) for each in expected.instances)
    assert counts(shown.masks) != counts(encode_mask(each.mask) for each in before.instances)
    assert reviewed(bench, "d").points == ((), tuple(given))
    cleared = bench.act("d", 2, Unpaint(do="unpaint", key=1))
    assert counts(cleared.masks) == counts(encode_mask(each.mask) for each in before.instances)


def test_points_are_found_again_and_leave_with_their_place(bench, tiny_method, shapes_voc):
    labeler, manifest = tiny_method
    x0, y0, x1, y1 = bench.record("d").boxes[1].tolist()
    bench.act("d", 0, set_points((x0 + 2, y0 + 2, True), (x1 - 2, y1 - 2, False)))
    again = Workbench(read_dataset(shapes_voc), labeler, manifest, bench.folder)
    assert again.review("d").draft.objects[1].points == ((x0 + 2, y0 + 2, True), (x1 - 2, y1 - 2, False))
    moved = again.act("d", 1, Change(do="change", key=1, box=(x0 + 10, y0 + 10, x1, y1)))
    assert moved.review.draft.objects[1].points == ((x1 - 2, y1 - 2, False),)


def test_points_outside_the_box_or_too_many_are_refused(bench):
    x0, y0, x1, _ = bench.record("d").boxes[1].tolist()
    with pytest.raises(DataError, match="object 1: a point lies outside its box"):
        bench.act("d", 0, set_points((x1 + 3, y0 + 2, True)))
    bench.act("d", 0, set_points(*[(x0 + 2, y0 + 2, True)] * 60))
    with pytest.raises(DataError, match="object 1: has 60 points, and 100 are the most"):
        bench.act("d", 1, set_points(*[(x0 + 2, y0 + 2, True)] * 60))
    assert bench.review("d").revision == 1


def test_boxes_stay_in_input_order_and_keys_are_never_given_twice(bench):
    bench.act("e", 0, Delete(do="delete", key=0))
    bench.act("e", 1, Add(do="add", box=(1, 1, 20, 20), class_id=2))
    bench.act("e", 2, Delete(do="delete", key=2))
    shown = bench.act("e", 3, Add(do="add", box=(3, 3, 20, 20), class_id=3))
    assert [(each.key, each.origin) for each in shown.review.draft.objects] == [(1, 1), (3, None)]
    record = reviewed(bench, "e")
    assert record.boxes.tolist() == [[5, 20, 35, 50], [3, 3, 20, 20]]
    assert record.class_ids.tolist() == [1, 3]


def test_strokes_stay_when_boxes_change(bench):
    stroke = np.zeros((72, 96), dtype=bool)
    stroke[14:20, 12:18] = True
    before = masks(bench, "a")[0]
    bench.act("a", 0, Paint(do="paint", key=0, runs=runs(stroke)))
    assert (masks(bench, "a")[0] == before | stroke).all()
    bench.act("a", 1, Change(do="change", key=0, box=(9, 11, 52, 54)))
    assert masks(bench, "a")[0][stroke].all()
    bench.act("a", 2, Paint(do="erase", key=0, runs=runs(stroke)))
    assert not masks(bench, "a")[0][stroke].any()
    bench.act("a", 3, Unpaint(do="unpaint", key=0))
    assert bench.review("a").draft.objects[0].removed is None


def test_undo_goes_back_to_the_labels_and_forward_again_after_restarts(workbench):
    bench = workbench()
    first = bench.show("b")
    actions = [
        Add(do="add", box=(1, 1, 30, 18), class_id=3),
        Change(do="change", key=0, class_id=2),
        SetState(do="state", state="accepted"),
    ]
    shown = [first]
    for revision, action in enumerate(actions):
        shown.append(bench.act("b", revision, action))
    states = [(each.review.draft, [mask["counts"] for mask in each.masks]) for each in shown]
    assert [draft.state for draft, _ in states] == ["todo", "edited", "edited", "accepted"]
    for step in (2, 1, 0):
        bench = workbench()
        back = bench.act("b", bench.review("b").revision, Step(do="undo"))
        assert (back.review.draft, [mask["counts"] for mask in back.masks]) == states[step]
    with pytest.raises(DataError, match="nothing to undo"):
        bench.act("b", bench.review("b").revision, Step(do="undo"))
    for step in (1, 2, 3):
        forward = workbench().act("b", bench.review("b").revision, Step(do="redo"))
        assert forward.review.draft == states[step][0]
    with pytest.raises(DataError, match="nothing to redo"):
        bench.act("b", bench.review("b").revision, Step(do="redo"))


def test_after_undo_a_new_action_takes_the_place_of_what_was_undone(bench):
    bench.act("a", 0, SetState(do="state", state="rejected"))
    bench.act("a", 1, Step(do="undo"))
    shown = bench.act("a", 2, SetState(do="state", state="accepted"))
    assert (shown.review.step, shown.review.trail, shown.review.revision) == (1, (0, 3), 3)


def test_an_action_for_an_earlier_revision_is_refused(bench):
    bench.act("a", 0, SetState(do="state", state="accepted"))
    with pytest.raises(StaleError, match="changed meanwhile"):
        bench.act("a", 0, SetState(do="state", state="rejected"))
    assert bench.review("a").draft.state == "accepted"


def test_one_of_two_simultaneous_actions_is_refused(bench):
    outcomes, barrier = [], threading.Barrier(4)

    def accept():
        barrier.wait()
        try:
            outcomes.append(bench.act("c", 0, SetState(do="state", state="accepted")).review.revision)
        except StaleError:
            outcomes.append("stale")

    threads = [threading.Thread(target=accept) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(map(str, outcomes)) == ["1", "stale", "stale", "stale"]


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (Add(do="add", box=(0, 0, 500, 10), class_id=1), "lies outside"),
        (Add(do="add", box=(5, 5, 5, 9), class_id=1), "empty"),
        (Add(do="add", box=(9, 5, 5, 9), class_id=1), "inverted"),
        (Add(do="add", box=(1, 1, 9, 9), class_id=4), "not one of 1 to 3"),
        (Change(do="change", key=7, box=(1, 1, 9, 9)), "not in this image"),
        (Delete(do="delete", key=-1), "not in this image"),
        (Paint(do="paint", key=0, runs=[5]), "do not add up"),
    ],
)
def test_an_impossible_action_is_refused_and_writes_nothing(bench, action, reason):
    with pytest.raises(DataError, match=reason):
        bench.act("a", 0, action)
    assert not (bench.folder / "review").exists()


def test_a_failed_write_leaves_the_image_unchanged(bench, monkeypatch):
    bench.act("a", 0, SetState(do="state", state="accepted"))

    def full(path, content, **_):
        raise OutputError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.setattr("bana.app.store.write_json", full)
    with pytest.raises(OutputError):
        bench.act("a", 1, SetState(do="state", state="rejected"))
    assert bench.review("a").draft.state == "accepted"


@pytest.mark.parametrize("refused", [1, 2])
def test_a_refused_save_leaves_undo_and_redo_as_they_were(workbench, monkeypatch, refused):
    """An action after an undo, of which the first or second file cannot be written: redo gives what was undone."""
    bench = workbench()
    bench.act("a", 0, SetState(do="state", state="accepted"))
    bench.act("a", 1, Step(do="undo"))
    writes = []

    def full(path, content):
        writes.append(path)
        if len(writes) == refused:
            raise OutputError(f"{path}: cannot be written (No space left on device)")
        write_json(path, content)

    with monkeypatch.context() as patched:
        patched.setattr("bana.app.store.write_json", full)
        with pytest.raises(OutputError):
            bench.act("a", 2, SetState(do="state", state="rejected"))
    bench = workbench()
    assert bench.review("a").draft.state == "todo"
    assert bench.act("a", 2, Step(do="redo")).review.draft.state == "accepted"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda review: review.update(trail=[0]), "step 1 is not among the 1 of trail"),
        (lambda review: review.update(extra=1), "extra"),
        (lambda review: review["draft"]["objects"][0].update(box=[0, 0, 900, 9]), "lies outside"),
        (lambda review: review["draft"]["objects"][0].update(class_name="horse"), "horse"),
        (lambda review: review["draft"]["objects"][0]["mask"].update(size=[1, 1]), "size"),
        (lambda review: review["draft"].update(state="perhaps"), "state"),
    ],
)
def test_a_damaged_review_is_named_and_the_rest_goes_on(workbench, change, reason):
    bench = workbench()
    bench.act("a", 0, SetState(do="state", state="accepted"))
    file = bench.folder / "review" / "a.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"a\.json.*{reason}"):
        bench.show("a")
    rows = {row.image_id: row for row in Queue(workbench()).rows()}
    assert "a.json" in rows["a"].fault
    assert not rows["b"].fault


def test_unknown_images_are_refused(bench):
    for name in ("../a", "/etc/passwd", "nothing", ""):
        with pytest.raises(UnknownImageError):
            bench.open(name)


def test_crowd_regions_stay_ignored_and_are_not_edited(workbench, shapes_voc):
    dataset = read_dataset(shapes_voc)
    with_crowd = replace(dataset.records[1], crowd=np.array([False, True]))
    bench = workbench(replace(dataset, records=(dataset.records[0], with_crowd)))
    shown = bench.act("b", 0, Change(do="change", key=0, box=(8, 20, 42, 62)))
    assert (shown.y_crf[50:82, 44:76] == 255).all()
    assert [each.crowd for each in shown.review.draft.objects] == [False, True]
    with pytest.raises(DataError, match="crowd region"):
        bench.act("b", 1, Change(do="change", key=1, box=(44, 50, 70, 80)))
    assert not (bench.act("b", 1, Delete(do="delete", key=1)).y_crf == 255).any()


def test_labels_of_another_method_are_shown_and_kept(shapes_voc, tiny_method, tmp_path, run_cli):
    folder = tmp_path / "boxes"
    assert run_cli("label", shapes_voc, "--method", "box", "--out", folder, "--workers", 1).status == 0
    (folder / "instances" / "c.json").unlink()  # this one is not labeled
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    bench = Workbench(read_dataset(shapes_voc), *tiny_method, folder)
    assert masks(bench, "a")[0].sum() == 40 * 40
    assert 0 < masks(bench, "c")[0].sum() < 50 * 50  # the labeler's
    bench.act("a", 0, Change(do="change", key=0, box=(10, 12, 51, 52)))
    assert masks(bench, "a")[0].sum() < 40 * 41
    assert all(file.read_bytes() == content for file, content in before.items())
    assert read_label_map(folder / "y_crf" / "a.png", 96, 72).max() == 1


def test_labels_of_other_classes_are_refused(bench, tiny_method):
    dataset = bench.dataset
    other = replace(dataset, class_table=replace(dataset.class_table, names=("disk", "square", "star")))
    with pytest.raises(DataError, match="star"):
        Workbench(other, *tiny_method, bench.folder)


def test_the_queue_is_sorted_by_uncertainty_and_labels_ahead(shapes_voc, tiny_method, tmp_path):
    bench = Workbench(read_dataset(shapes_voc), *tiny_method, tmp_path / "labels")
    queue = Queue(bench)
    assert [row.labeled for row in queue.rows()] == [False] * 6
    labeled = threading.Event()
    note = queue.note

    def noting(image_id, draft, **more):
        note(image_id, draft, **more)
        if all(row.labeled for row in queue.rows()):
            labeled.set()

    queue.note = noting
    queue.start()
    assert labeled.wait(60)
    queue.stop()
    confidences = [row.confidence for row in queue.rows()]
    assert confidences == sorted(confidences)
    assert Queue(bench).rows() == [replace(row, confidence=pytest.approx(row.confidence)) for row in queue.rows()]


def test_a_folder_that_cannot_be_written_is_opened_and_left_as_it_is(workbench, monkeypatch):
    def read_only(path, target):
        raise OSError(errno.EROFS, "Read-only file system", str(target))

    monkeypatch.setattr(Path, "replace", read_only)
    bench = workbench()
    assert len(Queue(bench).rows()) == len(bench.image_ids())
    assert bench.show("a").masks
    with pytest.raises(OutputError, match="Read-only file system"):
        bench.act("a", 0, SetState(do="state", state="accepted"))
    assert bench.review("a").draft.state == "todo"
