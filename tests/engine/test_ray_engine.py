"""`bana label --engine ray`: on two actors of this machine, the bytes of the run on one process."""

import json
import os
import shutil
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from bad_data import refused, truncated_image
from bana.data.mirror import read_anywhere
from bana.engine.ray_engine import ray_engine
from bana.errors import OutputError
from bana.io.remote import parse_path
from bana.label.method import LabelingMethod
from bana.label.methods.choose import MethodChoice
from bana.label.run import label_dataset
from pool_workers import Ends
from s3_stand_in import s3_environment

BOX = ("--method", "box")
ON_RAY = ("--engine", "ray", "--workers", 2)


@pytest.fixture(scope="module")
def cluster(s3_server):
    """A Ray of this machine for the tests of this file, whose actors find its classes and the stand-in for S3."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        for name, value in s3_environment(s3_server).items():
            patch.setenv(name, value)
        ray_engine()
        import ray

        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield ray
        ray.shutdown()


@pytest.fixture
def label(run_cli):
    def command(data, out, *more):
        return run_cli("label", data, "--out", out, *more)

    return command


def files(out):
    folder = parse_path(str(out))
    if isinstance(folder, Path):
        return {str(path.relative_to(out)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: (folder / name).read_bytes() for name in folder.files()}


def labeled(answer):
    assert answer.status == 0, answer.err
    return json.loads(answer.out)["labeled"]


def put(s3, folder, prefix):
    for path in folder.rglob("*"):
        if path.is_file():
            s3.put_object(Bucket="stand-in", Key=f"{prefix}/{path.relative_to(folder)}", Body=path.read_bytes())
    return f"s3://stand-in/{prefix}"


@pytest.mark.slow
def test_a_faulty_image_stops_the_run(label, tmp_path):
    """Here the command starts a Ray of its own, and ends it."""
    data = truncated_image(tmp_path / "voc")
    refused(label(data, tmp_path / "out", *BOX, *ON_RAY), f"{data / 'JPEGImages/a.jpg'}: image is damaged")
    assert not (tmp_path / "out/instances/a.json").exists()
    assert not sys.modules["ray"].is_initialized()


def test_where_no_ray_answers(label, shapes_voc, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    refused(label(shapes_voc, tmp_path / "out", *BOX, *ON_RAY), f"RAY_ADDRESS={address}: no Ray answers there")
    assert not (tmp_path / "out").exists()


@dataclass(frozen=True)
class Killing:
    """The method ``box``, which kills its own process at the image ``d``, the one that is 64 pixels wide.

    Attributes:
        killed: The file in which it notes the process; where it is there, nothing is killed.
    """

    killed: Path
    warm_start = False

    def facts(self):
        return MethodChoice("box").facts()

    def open(self, classes, threads):
        return Killer(MethodChoice("box").open(classes, threads), self.killed)


class Killer(LabelingMethod):
    """What such a method opens."""

    def __init__(self, method, killed):
        self.class_table = method.class_table
        self._method, self._killed = method, killed

    def label_boxed(self, image, boxed):
        if image.shape[1] == 64 and not self._killed.exists():
            self._killed.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return self._method.label_boxed(image, boxed)


def label_on_ray(data, method, out):
    dataset, images = read_anywhere(data)
    console = Console(quiet=True)
    return label_dataset(dataset, method, out, workers=2, engine="ray", images=images, console=console)


@pytest.mark.slow
def test_a_killed_actor_loses_and_changes_nothing(label, cluster, shapes_voc, tmp_path):
    assert cluster.nodes()[0]["NodeManagerAddress"] == "127.0.0.1"
    assert label(shapes_voc, tmp_path / "local", *BOX, "--workers", 1).status == 0
    run = label_on_ray(shapes_voc, Killing(tmp_path / "killed"), tmp_path / "ray")
    assert int((tmp_path / "killed").read_text()) != os.getpid()
    assert (run.images, run.rejected) == (6, ())
    assert files(tmp_path / "ray") == files(tmp_path / "local")


@pytest.mark.slow
def test_half_of_the_labels_of_a_labeler(label, cluster, shapes_voc, tiny_run, tmp_path):
    out = tmp_path / "out"
    options = ("--labeler", tiny_run, "--json")
    assert labeled(label(shapes_voc, out, *options, "--workers", 1)) == 6
    whole = files(out)
    for name in ("instances/a.json", "y_crf/b.png", "confidence/c.png"):
        (out / name).unlink()
    assert labeled(label(shapes_voc, out, *options, *ON_RAY)) == 3
    assert files(out) == whole


@pytest.mark.slow
def test_from_s3_to_s3(label, cluster, s3, shapes_voc, tmp_path):
    """With an image that is faulty and is skipped, and some of the labels there."""
    folder = shutil.copytree(shapes_voc, tmp_path / "voc")
    photo = folder / "JPEGImages/c.jpg"
    photo.write_bytes(photo.read_bytes()[:-1500])
    skip = (*BOX, "--on-error", "skip", "--json")
    assert label(folder, tmp_path / "local", *skip, "--workers", 1).status == 1
    data, out = put(s3, folder, "data"), put(s3, tmp_path / "local", "labels")
    whole = files(tmp_path / "local")
    for name in ("rejected.jsonl", "labels.json"):
        whole[name] = whole[name].replace(str(folder).encode(), data.encode())
    for name in (*(name for name in whole if name.endswith(("a.png", "a.json"))), "instances/b.json", "y_crf/d.png"):
        s3.delete_object(Bucket="stand-in", Key=f"labels/{name}")
    s3.put_object(Bucket="stand-in", Key="labels/y_ret/f.png", Body=b"damaged")
    answer = label(data, out, *skip, *ON_RAY)
    assert answer.status == 1, answer.err
    assert json.loads(answer.out)["labeled"] == 4
    assert files(out) == whole


@pytest.mark.slow
def test_an_image_that_kills_every_actor_ends_the_run(cluster, monkeypatch):
    monkeypatch.setattr("bana.engine.ray_engine._STARTS", 1)
    _, result = next(ray_engine()(Ends(), [0], 1))
    with pytest.raises(OutputError, match="a worker process was killed, perhaps for want of memory"):
        result()


def test_nothing_to_do():
    assert list(ray_engine()(Ends(), [], 2)) == []


def test_without_ray(label, shapes_voc, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.data", None)
    refused(
        label(shapes_voc, tmp_path / "out", *BOX, *ON_RAY),
        "--engine ray: needs the package ray; pip install '.[ray]' in bana's folder",
    )
    assert not (tmp_path / "out").exists()
