"""`bana label --shard` and `bana merge` as a user meets them."""

import json
import shutil

import pytest

from bad_data import refused
from bana.data.label_folder import INSTANCES


@pytest.fixture
def label(run_cli, shapes_voc, tiny_run):
    def command(out, *more, data=shapes_voc):
        return run_cli("label", data, "--labeler", tiny_run, "--out", out, "--workers", 1, *more)

    return command


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def shards(label, tmp_path):
    for number in (1, 2, 3):
        assert label(tmp_path / "shards", "--shard", f"{number}/3").status == 0
    return tmp_path / "shards"


def test_shards_together_are_what_one_run_gives(run_cli, label, shards, tmp_path):
    assert label(tmp_path / "whole").status == 0
    answer = run_cli("merge", shards, "--out", tmp_path / "merged", "--json")
    assert answer.status == 0, answer.err
    assert json.loads(answer.out) == {"images": 6, "rejected": 0}
    merged = contents(tmp_path / "merged")
    assert merged == contents(tmp_path / "whole")
    assert run_cli("merge", *sorted(shards.iterdir()), "--out", tmp_path / "merged").status == 0
    assert contents(tmp_path / "merged") == merged
    (tmp_path / "merged" / INSTANCES / "b.json").unlink()
    (tmp_path / "merged" / "y_crf" / "b.png").unlink()
    assert run_cli("merge", shards, "--out", tmp_path / "merged").status == 0
    assert contents(tmp_path / "merged") == merged
    exported = label(tmp_path / "merged", "--formats", "coco", "--json")
    assert json.loads(exported.out)["labeled"] == 0
    assert (tmp_path / "merged" / "coco").is_dir()


def test_a_launchers_rank_is_a_shard(label, shards, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert label(tmp_path / "ranks").status == 0
    assert [path.name for path in (tmp_path / "ranks").iterdir()] == ["2-of-3"]
    assert contents(tmp_path / "ranks" / "2-of-3") == contents(shards / "2-of-3")


def test_torchrun_labels_on_several_processes(run_cli, torchrun, shapes_voc, tmp_path):
    options = ["--method", "box", "--workers", "1", "--out"]
    with torchrun("label", shapes_voc, *options, tmp_path / "ranks") as launcher:
        launcher.communicate()
    assert launcher.returncode == 0
    assert run_cli("label", shapes_voc, *options, tmp_path / "whole").status == 0
    assert run_cli("merge", tmp_path / "ranks", "--out", tmp_path / "merged").status == 0
    assert contents(tmp_path / "merged") == contents(tmp_path / "whole")


def test_machines_may_have_the_data_set_in_different_places(run_cli, label, shards, shapes_voc, tmp_path):
    shutil.rmtree(shards / "2-of-3")
    mounted = shutil.copytree(shapes_voc, tmp_path / "mounted")
    assert label(shards, "--shard", "2/3", data=mounted).status == 0
    assert run_cli("merge", shards, "--out", tmp_path / "merged").status == 0


def test_shards_of_data_sets_in_different_formats_are_refused(run_cli, shards, tmp_path):
    file = shards / "2-of-3" / "labels.json"
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps(manifest | {"data": manifest["data"] | {"format": "coco"}}))
    refused(run_cli("merge", shards, "--out", tmp_path / "merged"), shards, "coco and voc")


def test_where_links_cannot_be_made_files_are_copied(run_cli, shards, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    assert run_cli("merge", shards, "--out", tmp_path / "linked").status == 0
    monkeypatch.setattr("os.link", refuse)
    assert run_cli("merge", shards, "--out", tmp_path / "copied").status == 0
    assert contents(tmp_path / "copied") == contents(tmp_path / "linked")


def test_images_left_out_are_told_by_the_merge(run_cli, label, shapes_voc, tmp_path):
    data = shutil.copytree(shapes_voc, tmp_path / "voc")
    photo = data / "JPEGImages" / "c.jpg"
    photo.write_bytes(photo.read_bytes()[:-1500])
    for number in (1, 2):
        assert label(tmp_path / "shards", "--shard", f"{number}/2", "--on-error", "skip", data=data).status == 0
    answer = run_cli("merge", tmp_path / "shards", "--out", tmp_path / "merged")
    assert answer.status == 1
    assert "1 images left out" in answer.err
    assert json.loads((tmp_path / "merged" / "rejected.jsonl").read_text())["image_id"] == "c"


def test_shards_that_do_not_belong_together(run_cli, label, shards, tmp_path):
    def merge(*folders, out="merged"):
        return run_cli("merge", *folders, "--out", tmp_path / out)

    refused(merge(tmp_path), "holds no labels and no shards of any")
    whole = tmp_path / "other"
    assert label(whole, "--refinements", 2).status == 0
    refused(merge(shards, whole), "its labels are of another method, settings or classes")
    refused(merge(shards, out="other"), "holds labels of another method, settings or classes")
    assert merge(shards).status == 0
    changed = shards / "1-of-3" / INSTANCES
    entry = next(changed.iterdir())
    content = entry.read_bytes()
    entry.unlink()  # the merged folder has the same file
    entry.write_bytes(content + b" ")
    refused(merge(shards), "labels of one image must not be of two runs")
    shutil.rmtree(shards / "2-of-3")
    refused(merge(shards), "shard 2 of 3 is not there; run bana label --shard 2/3")
    assert label(shards, "--shard", "1/2").status == 0
    refused(merge(shards), "holds shards of 2 and of 3")


def test_formats_are_for_the_whole(label, tmp_path):
    answer = label(tmp_path / "out", "--shard", "1/2", "--formats", "coco")
    refused(answer, "formats: a shard cannot be written as coco; merge all shards first")
    refused(label(tmp_path / "out", "--shard", "3/2"), "shard '3/2': is no part of a whole")
