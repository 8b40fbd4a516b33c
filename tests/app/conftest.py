"""A workbench on the tiny data set, and the server in front of it."""

import shutil

import pytest
from fastapi.testclient import TestClient

from bana import read_dataset
from bana.app.queue import Queue
from bana.app.server import create_app
from bana.app.workbench import Workbench
from bana.label.methods.choose import MethodChoice
from bana.label.output import manifest_of

PORT = 8008


@pytest.fixture(scope="session")
def tiny_method(shapes_voc, tiny_run):
    """The tiny labeler for the shapes' classes, and what ``labels.json`` says of it."""
    dataset, method = read_dataset(shapes_voc), MethodChoice.of_labeler(tiny_run)
    return method.open(dataset.classes, threads=1), manifest_of(method.facts(), dataset.class_table)


@pytest.fixture(scope="session")
def labeled(shapes_voc, tiny_method, tmp_path_factory):
    """A folder with the labels of all images, which no test changes."""
    folder = tmp_path_factory.mktemp("app") / "labels"
    bench = Workbench(read_dataset(shapes_voc), *tiny_method, folder)
    for image_id in bench.image_ids():
        bench.review(image_id)
    return folder


@pytest.fixture
def workbench(shapes_voc, tiny_method, labeled, tmp_path):
    """Make a workbench on the folder of this test, again and again as after a restart."""
    folder = tmp_path / "labels"
    shutil.copytree(labeled, folder)
    return lambda dataset=None: Workbench(dataset or read_dataset(shapes_voc), *tiny_method, folder)


@pytest.fixture
def bench(workbench):
    """A workbench whose images are labeled."""
    return workbench()


@pytest.fixture
def client(bench):
    """A client of the server, as its own page is one."""
    app = create_app(bench, Queue(bench), PORT)
    address = f"http://127.0.0.1:{PORT}"
    return TestClient(app, base_url=address, headers={"origin": address})
