"""Fixtures that many tests share."""

import io
import os
import re
import stat

if "PYTEST_XDIST_WORKER" in os.environ:  # processes of pytest-xdist share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from rich.console import Console

from headless import start_browser
from s3_stand_in import s3_environment
from shapes_data import CLASSES, IMAGES, inside_of, true_mask, write_shapes

LONG_FIXTURES = {
    *("browser", "s3_server", "tiny_affinity_run", "tiny_refine_run", "tiny_run", "tiny_segment_run", "torchrun")
}
"""Fixtures that train a network or start a process."""

LONG_FILES = re.compile(
    r"/(api|app|docs|notebook|pipeline)/|_command\.py$|densecrf/|test_(backbones|export|label_methods|ray_engine|tables)\.py$"
)
"""Tests of whole commands, exports and large networks, and those that compile."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the first tier (`pytest -m fast`), and put long files first, so that processes end together."""
    for item in items:
        long = LONG_FIXTURES & set(getattr(item, "fixturenames", ())) or LONG_FILES.search(item.path.as_posix())
        if not long and not item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.fast)
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the research data, or a skip where it is not there (see CONTRIBUTING.md)."""
    folder = os.environ.get("BANA_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("BANA_TEST_DATA does not name the folder with the research data")
    return Path(folder)


@pytest.fixture(scope="session")
def browser():
    """A headless browser that reaches this machine only."""
    started = start_browser()
    yield started
    started.quit()


@pytest.fixture(scope="session")
def shapes_voc(tmp_path_factory) -> Path:
    """A tiny VOC data set that no test changes."""
    return write_shapes(tmp_path_factory.mktemp("shapes") / "voc")


@pytest.fixture(scope="session")
def tiny_settings():
    """Stage 1 in seconds: the embedded backbone as it is, small crops."""
    from bana.classify.settings import ClassifySettings

    return ClassifySettings(
        backbone="lite0",
        train_backbone="none",
        head_width=16,
        crop_size=65,
        optimizer="adamw",
        lr_head=0.01,
        epochs=60,
        batch_size=4,
    )


@pytest.fixture(scope="session")
def tiny_run(shapes_voc, tiny_settings, tmp_path_factory) -> Path:
    """The folder of a run of stage 1 on the tiny data set."""
    from bana.classify.task import ClassifyTask
    from bana.data.reading import read_dataset
    from bana.label.settings import LabelSettings
    from bana.nn.train import train

    out = tmp_path_factory.mktemp("tiny") / "run"
    label_settings = LabelSettings(image_side=129).model_dump(mode="json")
    train(ClassifyTask(tiny_settings, label_settings=label_settings), read_dataset(shapes_voc), out)
    return out


@pytest.fixture(scope="session")
def tiny_labels(shapes_voc, tiny_run, tmp_path_factory) -> Path:
    """A label folder of the tiny data set, with its true masks for Y_crf and those moved by two pixels for Y_ret."""
    from bana.data.label_maps import write_label_map
    from bana.data.reading import read_dataset
    from bana.label.methods.choose import MethodChoice
    from bana.label.run import label_dataset

    out = tmp_path_factory.mktemp("tiny") / "labels"
    label_dataset(
        read_dataset(shapes_voc), MethodChoice.of_labeler(tiny_run), out, workers=1, console=Console(file=io.StringIO())
    )
    for name, (size, shapes) in IMAGES.items():
        truth = true_mask(size, shapes)
        write_label_map(out / "y_crf" / f"{name}.png", truth)
        write_label_map(out / "y_ret" / f"{name}.png", np.roll(truth, 2, axis=1))
    return out


@pytest.fixture(scope="session")
def true_labels(tmp_path_factory) -> Path:
    """A label folder of the tiny data set in which everything is true: both label maps, and the boxes' masks."""
    from bana.data.records import ClassTable
    from bana.label.boxes import BoxedImage
    from bana.label.instances import assemble

    out = tmp_path_factory.mktemp("true") / "labels"
    for name, (size, shapes) in IMAGES.items():
        truth, front = true_mask(size, shapes), np.full(size[::-1], -1)
        for number, (kind, box) in enumerate(shapes):
            front[inside_of(kind, box, size)] = number
        masks = front == np.arange(len(shapes))[:, None, None]
        class_ids = [CLASSES.index(kind) + 1 for kind, _ in shapes]
        blank = np.zeros((*truth.shape, 3), np.uint8)
        boxed = BoxedImage(blank, [box for _, box in shapes], class_ids, None, None, len(CLASSES))
        sure = np.ones(truth.shape, np.float32)
        parts = [mask[place] for mask, place in zip(masks, boxed.places, strict=True)]
        assemble(boxed, ClassTable(CLASSES), truth, truth.copy(), sure, parts=parts).save(out, name)
    return out


@pytest.fixture(scope="session")
def tiny_refine_settings():
    """Stage 2b in seconds: small windows, and no shape too small."""
    from bana.refine.settings import RefineSettings

    return RefineSettings(
        backbone="lite0",
        train_backbone="late",
        crop_size=65,
        context=1.5,
        min_side=8,
        looseness=0.125,
        occlusion=0,
        synthetic=0,
        scale_range=(0.12, 0.7),
        color_jitter=0.2,
        reach_weight=0.2,
        pairwise_weight=0.2,
        lr_backbone=0.0005,
        lr_head=0.004,
        epochs=10,
        batch_size=4,
    )


@pytest.fixture(scope="session")
def tiny_refine_run(shapes_voc, true_labels, tiny_refine_settings, tmp_path_factory) -> Path:
    """The folder of a run of stage 2b on the tiny data set, whose refiner is joined to bana's own labeler."""
    from bana.data.reading import read_dataset
    from bana.label.join import join_refiner
    from bana.nn.train import train
    from bana.refine.task import RefineTask

    out = tmp_path_factory.mktemp("tiny") / "refine"
    join_refiner(train(RefineTask(tiny_refine_settings, true_labels), read_dataset(shapes_voc), out), None, out)
    return out


@pytest.fixture(scope="session")
def tiny_affinity_settings():
    """An affinity network in seconds: the embedded backbone as it is, shapes enlarged."""
    from bana.affinity.settings import AffinitySettings

    return AffinitySettings(
        backbone="lite0",
        image_side=257,
        crop_size=129,
        scale_range=(0.75, 1.25),
        color_jitter=0.2,
        width=32,
        lr_head=0.005,
        epochs=40,
        batch_size=3,
    )


@pytest.fixture(scope="session")
def tiny_affinity_run(shapes_voc, true_labels, tiny_affinity_settings, tmp_path_factory) -> Path:
    """The folder of an affinity network that has learned from true labels."""
    from bana.affinity.task import AffinityTask
    from bana.data.reading import read_dataset
    from bana.nn.train import train

    out = tmp_path_factory.mktemp("tiny") / "affinity"
    train(AffinityTask(tiny_affinity_settings, true_labels), read_dataset(shapes_voc), out)
    return out


@pytest.fixture(scope="session")
def tiny_segment_settings():
    """Stage 3 in seconds: the embedded backbone as it is; what is drawn is so small that it is enlarged."""
    from bana.segment.settings import SegmentSettings

    return SegmentSettings(
        backbone="lite0",
        train_backbone="none",
        head="fuse",
        head_width=32,
        crop_size=129,
        scale_range=(1.5, 2.0),
        color_jitter=0.5,
        optimizer="adamw",
        lr_head=0.005,
        epochs=25,
        batch_size=4,
    )


@pytest.fixture(scope="session")
def tiny_segment_run(shapes_voc, tiny_run, tiny_labels, tiny_segment_settings, tmp_path_factory) -> Path:
    """The folder of a run of stage 3 on the tiny data set."""
    from bana.data.reading import read_dataset
    from bana.nn.train import train
    from bana.segment.task import SegmentTask

    out = tmp_path_factory.mktemp("tiny") / "segment"
    task = SegmentTask(tiny_segment_settings, labels=tiny_labels, labeler=tiny_run, pictures=2)
    train(task, read_dataset(shapes_voc), out)
    return out


@pytest.fixture
def torchrun() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the real command on processes of torchrun, each with one thread."""

    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, processes: int = 2, options: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *options]
        command = [sys.executable, "-m", *launcher, "-m", "bana", *map(str, arguments)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, env=environment, text=True, start_new_session=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.stdout.close()
        process.stderr.close()


class Answer(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str


@pytest.fixture
def run_cli(monkeypatch, capsys) -> Callable[..., Answer]:
    """Run the real command in this process."""
    from bana.cli import main

    def command(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["bana", *map(str, arguments)])
        monkeypatch.setattr("bana.cli.begin_imports", lambda *_: None)  # workers would have this test's environment
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return Answer(int(left.value.code or 0), *capsys.readouterr())

    return command


@pytest.fixture
def disk_full_after(monkeypatch) -> Callable[[int], AbstractContextManager[None]]:
    """Within it the disk is full once so many files are written."""

    @contextmanager
    def limited(count: int) -> Iterator[None]:
        written, original = [], os.fsync

        def fsync(descriptor: int) -> None:
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                written.append(descriptor)
                if len(written) > count:
                    raise OSError(28, "No space left on device")
            original(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", fsync)
            yield

    return limited


@pytest.fixture(scope="session")
def s3_server():
    """The address of a stand-in for S3, on this machine, that other processes can reach."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server, monkeypatch):
    """A client of the stand-in, with an empty bucket ``stand-in``; what is started now takes it for S3."""
    boto3, s3fs = (pytest.importorskip(name) for name in ("boto3", "s3fs"))
    for name, value in s3_environment(s3_server).items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="stand-in")
    yield client
    bucket = boto3.resource("s3").Bucket("stand-in")
    bucket.objects.delete()
    bucket.delete()
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def uploaded():
    """Copy a folder to a new address in this process's memory; returns the address."""
    memory = pytest.importorskip("fsspec").filesystem("memory")

    def upload(folder: Path) -> str:
        path = f"/{folder.name}-{len(memory.store)}"
        memory.put(f"{folder}/", f"{path}/", recursive=True)
        return f"memory:/{path}"

    yield upload
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
