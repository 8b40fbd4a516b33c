import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bana.data import videos
from bana.data.reading import read_dataset
from bana.data.sample import sample_dataset
from bana.errors import DataError, OutputError
from bana.pipeline.steps import MANIFEST, TIMINGS, Steps, content_digest
from shapes_data import write_shapes
from video_samples import track, track_box, write_cvat_video, write_video


class Work:
    """A step's work that counts its calls, and may be killed after it has written something."""

    def __init__(self, killed=False):
        self.calls, self.killed, self.found = 0, killed, None

    def __call__(self, folder):
        self.calls += 1
        folder.mkdir(exist_ok=True)
        self.found = sorted(path.name for path in folder.iterdir())
        (folder / f"part{self.calls}").write_text("x")
        if self.killed:
            self.killed = False
            raise KeyboardInterrupt
        (folder / "result").write_text("done")
        return {"calls": self.calls}


def steps(out, **facts):
    return Steps(out, facts, ["train"], Console(file=io.StringIO()))


def do(out, work, depends, name="train", **facts):
    return steps(out, **facts).do(name, depends, work, lambda folder: (folder / "result").is_file())


def test_a_step_is_done_once_and_skipped_after(tmp_path):
    work = Work()
    for _ in range(3):
        assert do(tmp_path, work, {"rate": 0.1}) == {"calls": 1}
    assert work.calls == 1
    again = steps(tmp_path)
    again.do("train", {"rate": 0.1}, work, lambda folder: True)
    assert again.skipped == {"train"}
    assert again.seconds["train"] >= 0
    assert list(again.finished()) == [("train", {"calls": 1})]


def test_a_step_with_other_inputs_is_repeated_in_an_empty_folder(tmp_path):
    work = Work()
    do(tmp_path, work, [1])
    do(tmp_path, work, [2])
    assert (work.calls, work.found) == (2, [])


def test_a_killed_step_resumes_in_its_folder(tmp_path):
    work = Work(killed=True)
    with pytest.raises(KeyboardInterrupt):
        do(tmp_path, work, [1])
    do(tmp_path, work, [1])
    assert (work.calls, work.found) == (2, ["part1"])


def test_a_step_that_was_killed_with_other_inputs_starts_over(tmp_path):
    work = Work(killed=True)
    with pytest.raises(KeyboardInterrupt):
        do(tmp_path, work, [1])
    do(tmp_path, work, [2])
    assert (work.calls, work.found) == (2, [])


def test_a_step_whose_result_is_missing_is_repeated(tmp_path):
    work = Work()
    do(tmp_path, work, [1])
    (tmp_path / "train" / "result").unlink()
    do(tmp_path, work, [1])
    assert work.calls == 2


def test_manifest_and_timings_record_the_run(tmp_path):
    do(tmp_path, Work(), [1], seed=3)
    steps(tmp_path, seed=3).note(metrics={"miou": 50.0})
    content = json.loads((tmp_path / MANIFEST).read_text())
    assert content["seed"] == 3
    assert content["metrics"] == {"miou": 50.0}
    assert content["steps"]["train"]["done"] is True
    assert "train" in json.loads((tmp_path / TIMINGS).read_text())


def test_a_damaged_manifest_is_refused(tmp_path):
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        steps(tmp_path)


@pytest.mark.parametrize("states", [[], None, {"train": 3}, {"train": {"done": True, "key": "a"}}])
def test_a_manifest_with_damaged_steps_is_refused(tmp_path, states):
    (tmp_path / MANIFEST).write_text(json.dumps({"steps": states}))
    with pytest.raises(DataError, match=r"steps|damaged"):
        steps(tmp_path)


def test_a_folder_that_no_run_made_is_refused(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "mine").write_text("x")
    with pytest.raises(OutputError, match="train: was not made by this run; choose another --out"):
        steps(tmp_path)
    assert (tmp_path / "train" / "mine").read_text() == "x"


def test_metrics_of_earlier_settings_are_removed(tmp_path):
    steps(tmp_path, seed=1).note(metrics={"miou": 50.0})
    do(tmp_path, Work(), [1], seed=2)
    assert "metrics" not in json.loads((tmp_path / MANIFEST).read_text())


def test_the_digest_of_a_data_set_sees_masks_in_its_annotations():
    dataset = sample_dataset()
    first = dataset.records[0]
    changed = replace(first, segmentations=(None,) * len(first))
    other = replace(dataset, records=(changed, *dataset.records[1:]))
    assert content_digest(dataset) != content_digest(other)
    gone = replace(dataset, records=(replace(first, path=Path("nowhere.jpg")), *dataset.records[1:]))
    assert content_digest(gone) != content_digest(dataset)


def test_the_digest_of_a_data_set_sees_its_files(tmp_path):
    first = content_digest(read_dataset(write_shapes(tmp_path / "voc")))
    assert content_digest(read_dataset(tmp_path / "voc")) == first
    photo = tmp_path / "voc/JPEGImages/a.jpg"
    photo.write_bytes(photo.read_bytes() + b"\0")
    assert content_digest(read_dataset(tmp_path / "voc")) != first


def test_a_video_is_read_once_for_the_digest_of_its_frames(tmp_path, monkeypatch):
    data = write_cvat_video(tmp_path, track(0, "cat", track_box(0)), frames=0)
    write_video(data / "clip.mp4")
    dataset, read = read_dataset(data), []
    digest = videos.file_digest
    monkeypatch.setattr(videos, "file_digest", lambda path: read.append(path) or digest(path))
    first = content_digest(dataset)
    assert read == [data / "clip.mp4"]
    write_video(data / "clip.mp4", codec="mjpeg")
    assert content_digest(read_dataset(data)) != first
