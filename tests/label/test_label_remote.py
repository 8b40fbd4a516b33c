"""`bana label` from and to addresses, in this process's memory."""

import json
import shutil

import fsspec
import pytest

from bad_data import refused, refused_choice, truncated_image
from bana.io.files import write_bytes
from bana.io.remote import parse_path

OUT = "memory://labels"


@pytest.fixture
def label(run_cli):
    def command(data, out, *more):
        return run_cli("label", data, "--method", "box", "--out", out, "--workers", 1, *more)

    return command


def files(out):
    folder = parse_path(str(out))
    if str(out).startswith("memory:"):
        return {name: (folder / name).read_bytes() for name in folder.files()}
    return {str(path.relative_to(out)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def times():
    memory = fsspec.filesystem("memory")
    return {name: memory.modified(name) for name in memory.find(OUT) if not name.endswith(("labels.json", ".jsonl"))}


def labeled(answer):
    assert answer.status == 0, answer.err
    return json.loads(answer.out)["labeled"]


def test_labels_are_those_of_local_folders(label, shapes_voc, uploaded, tmp_path):
    url = uploaded(shapes_voc)
    assert label(shapes_voc, tmp_path / "local").status == 0
    answer = label(url, OUT)
    assert answer.status == 0, answer.err
    assert answer.out.startswith(f"{OUT}: 6 images with 9 boxes; 6 labeled now")
    local = files(tmp_path / "local")
    manifest = json.loads(local["labels.json"])
    there = manifest | {"data": {"root": url, "format": "voc"}}
    remote = local | {"labels.json": (json.dumps(there, indent=2) + "\n").encode()}
    assert files(OUT) == remote
    assert label(url, tmp_path / "fetched").status == 0
    assert files(tmp_path / "fetched") == remote
    assert label(shapes_voc, "memory://other").status == 0
    assert files("memory://other") == local


def test_what_is_there_and_intact_is_kept(label, shapes_voc, uploaded):
    url = uploaded(shapes_voc)
    assert labeled(label(url, OUT, "--json")) == 6
    whole, before = files(OUT), times()
    assert labeled(label(url, OUT, "--json")) == 0
    assert times() == before
    write_bytes(parse_path(OUT) / "y_crf/a.png", whole["y_crf/a.png"][:-1])
    fsspec.filesystem("memory").rm([f"{OUT}/confidence/b.png", f"{OUT}/instances/c.json"])
    assert labeled(label(url, OUT, "--json")) == 3
    assert files(OUT) == whole


def test_what_is_not_there_is_not_looked_into(label, shapes_voc, uploaded, monkeypatch):
    read = []
    memory = type(fsspec.filesystem("memory"))
    cat_file = memory.cat_file
    monkeypatch.setattr(
        memory, "cat_file", lambda self, path, **more: read.append(path) or cat_file(self, path, **more)
    )
    assert label(uploaded(shapes_voc), OUT).status == 0
    assert {path.rsplit(".")[-1] for path in read} == {"jpg", "json"}
    assert len(read) == 12  # each image, and where its entry would be


def test_labels_of_another_source_are_refused_and_stay(label, shapes_voc, uploaded):
    url = uploaded(shapes_voc)
    assert label(url, OUT).status == 0
    whole = files(OUT)
    refused(label(url, OUT, "--method", "wssl"), OUT, "another method")
    assert files(OUT) == whole


def test_a_faulty_image_is_named_by_its_address(label, uploaded, tmp_path):
    data = truncated_image(tmp_path / "voc")
    url = uploaded(data)
    refused(label(url, OUT), f"{url}/JPEGImages/a.jpg: image is damaged")
    assert label(url, OUT, "--on-error", "skip").status == 1
    assert label(data, tmp_path / "local", "--on-error", "skip").status == 1
    assert files(OUT).pop("rejected.jsonl").decode() == files(tmp_path / "local")["rejected.jsonl"].decode().replace(
        str(data), url
    )
    assert {name for name in files(OUT) if name.startswith("instances")} == {"instances/b.json"}


def test_faults_are_in_the_order_of_the_data_set(label, shapes_voc, tmp_path, monkeypatch):
    """One is found by looking for what is there already, one that comes before it when it is labeled."""
    data = shutil.copytree(shapes_voc, tmp_path / "voc")
    photo = data / "JPEGImages/a.jpg"
    photo.write_bytes(photo.read_bytes()[:-1500])
    (data / "JPEGImages/e.jpg").unlink()
    (data / "JPEGImages/e.jpg").mkdir()
    monkeypatch.setattr("bana.data.paths.is_file", lambda path: path.exists())
    assert label(data, tmp_path / "out", "--on-error", "skip").status == 1
    lines = (tmp_path / "out/rejected.jsonl").read_text().splitlines()
    assert [json.loads(line)["image_id"] for line in lines] == ["a", "e"]


def test_formats_are_for_local_folders(label, shapes_voc, uploaded, tmp_path):
    refused(label(shapes_voc, OUT, "--formats", "coco"), "--formats coco: needs a local DATA and --out")
    refused(label(uploaded(shapes_voc), tmp_path / "out", "--formats", "coco"), "--formats coco: needs a local DATA")
    assert not parse_path(OUT).exists()


def test_a_shard_has_a_folder_of_its_own(label, shapes_voc, uploaded):
    url = uploaded(shapes_voc)
    for number in (1, 2):
        assert label(url, OUT, "--shard", f"{number}/2").status == 0
    assert {name.split("/")[0] for name in files(OUT)} == {"1-of-2", "2-of-2"}


def test_where_nothing_can_be_written(label, shapes_voc, s3):
    refused(
        label(shapes_voc, "s3://no-such-bucket/labels"), "s3://no-such-bucket/labels/labels.json: cannot be written"
    )
    refused(label("s3://no-such-bucket/data", OUT), "s3://no-such-bucket/data: cannot be read")


def test_an_engine_that_is_none(label, shapes_voc, tmp_path):
    refused_choice(label(shapes_voc, tmp_path / "out", "--engine", "steam"), "steam", "local", "ray")
    assert not (tmp_path / "out").exists()
