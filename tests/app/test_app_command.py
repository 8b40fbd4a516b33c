"""`bana app` as it is started."""

import shutil
import socket
import sys
from pathlib import Path

import pytest

import bana.app.serve
from bana import read_dataset
from bana.data.convert import writer
from bana.io.locking import lock_folder


@pytest.fixture
def served(monkeypatch):
    """What the command would serve."""
    calls = []
    monkeypatch.setattr(
        bana.app.serve, "serve", lambda dataset, method, folder, **more: calls.append((dataset, folder))
    )
    return calls


def test_labels_go_beside_the_data(run_cli, served, shapes_voc):
    assert run_cli("app", shapes_voc).status == 0
    assert served[0][1] == shapes_voc.with_name("voc-labels")


def test_every_data_set_has_a_label_folder_of_its_own(run_cli, served, shapes_voc, tmp_path, monkeypatch):
    for name in ("set.v1", "set.v2"):
        shutil.copytree(shapes_voc, tmp_path / name)
        assert run_cli("app", tmp_path / name).status == 0
    monkeypatch.chdir(tmp_path / "set.v1")
    for data in (".", "../set.v1/", "Annotations/.."):
        assert run_cli("app", data, "--format", "voc").status == 0
    dataset = read_dataset(shapes_voc)
    writer("coco")(dataset, dataset.class_table, tmp_path / "coco", "train")
    (file,) = (tmp_path / "coco").rglob("*.json")
    assert run_cli("app", file).status == 0
    names = [folder for _, folder in served]
    assert names[:2] == [tmp_path / "set.v1-labels", tmp_path / "set.v2-labels"]
    assert names[2:5] == [tmp_path / "set.v1-labels"] * 3
    assert names[5] == file.with_name(f"{file.stem}-labels")


def test_labels_of_the_demo_go_to_the_working_folder(run_cli, served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_cli("app", "demo").status == 0
    dataset, folder = served[0]
    assert len(dataset) == 52
    assert folder == Path("demo-labels")


@pytest.mark.parametrize("package", ["fastapi", "uvicorn"])
def test_a_missing_extra_is_named(run_cli, shapes_voc, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    refused = run_cli("app", shapes_voc)
    assert refused.status == 2
    assert refused.err == f"bana: error: bana app: needs the package {package}; pip install '.[app]' in bana's folder\n"


def test_a_taken_port_is_refused_and_leaves_no_folder(run_cli, shapes_voc, tiny_run, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = run_cli("app", shapes_voc, "--labeler", tiny_run, "--labels", tmp_path / "labels", "--port", port)
    assert refused.status == 2
    assert f"--port {port}: cannot be opened" in refused.err
    assert not (tmp_path / "labels").exists()


def test_the_folder_of_another_run_is_refused(run_cli, shapes_voc, tiny_run, tmp_path):
    with lock_folder(tmp_path / "labels"):
        refused = run_cli("app", shapes_voc, "--labeler", tiny_run, "--labels", tmp_path / "labels", "--no-open")
    assert refused.status == 2
    assert "another run writes there" in refused.err
