import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import save
from torch import nn, optim

from bana.engine import progress
from bana.engine.checkpoint import load_metadata, load_tensors, optimizer_tensors, restore_optimizer, save_tensors
from bana.engine.progress import JsonLog, StepProgress
from bana.engine.seeds import seed_of, shuffled
from bana.errors import CheckpointError, OutputError


def test_seeds_depend_on_every_part_and_fit_torch():
    seeds = [seed_of(*parts) for parts in [(0, "a"), (1, "a"), (0, "b"), (0, "a", 0), (0, "a", 1), (-1, "a")]]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seed_of(0, "a") == seeds[0]
    torch.manual_seed(max(seeds))


def test_the_order_is_a_permutation_of_its_own_for_every_epoch_and_seed():
    orders = [shuffled(50, seed, "order", epoch) for seed in range(2) for epoch in range(2)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert shuffled(50, 0, "order", 0) == orders[0]
    np.random.seed(3)  # noqa: NPY002 - the global generator has no say
    assert shuffled(50, 0, "order", 0) == orders[0]


def test_tensors_and_metadata_come_back(tmp_path):
    tensors = {"a": torch.randn(3, 4).T, "b": torch.tensor(5), "half": torch.ones(2, dtype=torch.float16)}
    save_tensors(tmp_path / "x.safetensors", tensors, {"steps": 3, "names": ["ä", "b"]})
    loaded, metadata = load_tensors(tmp_path / "x.safetensors")
    assert metadata == load_metadata(tmp_path / "x.safetensors") == {"steps": 3, "names": ["ä", "b"]}
    assert all(
        torch.equal(loaded[name], tensors[name]) and loaded[name].dtype == tensors[name].dtype for name in tensors
    )


def test_an_error_while_saving_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "x.safetensors"
    save_tensors(file, {"a": torch.zeros(3)}, {"steps": 1})
    before = file.read_bytes()

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_tensors(file, {"a": torch.ones(3)}, {"steps": 2})
    assert file.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize("make", [optim.AdamW, lambda p: optim.SGD(p, 0.1, momentum=0.9), lambda p: optim.SGD(p, 0.1)])
def test_an_optimizer_goes_on_where_it_was(make):
    def step(model, optimizer):
        optimizer.zero_grad()
        model(torch.arange(3.0)).square().sum().backward()
        optimizer.step()

    torch.manual_seed(0)
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizer = make(model.parameters())
    step(model, optimizer)
    other.load_state_dict(model.state_dict())
    resumed = make(other.parameters())
    restore_optimizer(resumed, {name: value.clone() for name, value in optimizer_tensors(optimizer).items()}, Path("x"))
    for _ in range(3):
        step(model, optimizer)
        step(other, resumed)
    assert torch.equal(model.weight, other.weight)


@pytest.mark.parametrize(
    "content", [b"", b"not a tensor", b"\xff" * 8 + b"{}", b"\x02\0\0\0\0\0\0\0{}", b"\x02\0\0\0\0\0\0\0[]"]
)
def test_a_file_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    for load in (load_tensors, load_metadata):
        with pytest.raises(CheckpointError, match="x: not a file that bana saved"):
            load(tmp_path / "x")


def test_a_log_drops_later_and_torn_lines(tmp_path):
    file = tmp_path / "log.jsonl"
    lines = [json.dumps({"step": step}) for step in range(4)]
    file.write_bytes("\n".join([*lines, "[1]", '{"x": 1}', '{"step": "two"}', '{"step": 1']).encode() + b"\xff")
    log = JsonLog(file, first_step=2)
    log.write({"step": 2, "loss": 0.5})
    log.close()
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        {"step": 0},
        {"step": 1},
        {"step": 2, "loss": 0.5},
    ]


def test_a_log_that_cannot_be_written_is_one_error(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="folder: cannot be written"):
        JsonLog(tmp_path / "folder", 0)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        JsonLog(tmp_path / "file" / "log.jsonl", 0)


def test_a_log_on_a_full_disk_fails_once(tmp_path):
    log = JsonLog(tmp_path / "log.jsonl", 0)
    log._file.close()
    log._file = open("/dev/full", "ab", buffering=0)  # noqa: SIM115, PTH123 - stands for a full disk
    with pytest.raises(OutputError, match=r"log\.jsonl: cannot be written \(No space left on device\)"):
        log.write({"step": 0})
    log.close()


@pytest.fixture
def clock(monkeypatch):
    """The time that progress sees, in a list of one number."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_progress_counts_images_a_second(clock):
    text = io.StringIO()
    shown = StepProgress("training", 5, Console(file=text, width=200))
    for step in (2, 3, 4):
        clock[0] += 2.0
        assert shown.update(step, 10, {"loss": 0.25}) == 5.0
    shown.close()
    assert text.getvalue() == "training  step 5/5  loss 0.250  5.0 images/s  0:00:00 left\n"


def test_progress_of_a_long_run_speaks_now_and_then(clock):
    text = io.StringIO()
    shown = StepProgress("labeling", 8000, Console(file=text, width=200))
    for step in range(100):
        clock[0] += 1.0
        shown.update(step, 1, {})
    lines = text.getvalue().splitlines()
    assert len(lines) == 6  # every 16 s
    assert lines[-1] == "labeling  step 96/8000  1.0 images/s  2:11:44 left"


def test_progress_on_a_terminal_leaves_the_cursor_as_it_was():
    text = io.StringIO()
    shown = StepProgress("training", 2, Console(file=text, force_terminal=True))
    shown.update(0, 1, {"loss": 1.0})
    shown.close()
    hidden, shown_again = text.getvalue().rfind("\x1b[?25l"), text.getvalue().rfind("\x1b[?25h")
    assert 0 <= hidden < shown_again


@pytest.mark.parametrize(
    "name", ["", "x", "2.step", "-1.step", "0", "0.", "1.exp_avg", "9999999999.step", "00000000099.step", "\u00b2.step"]
)
def test_an_optimizer_refuses_what_it_cannot_have(name):
    optimizer = optim.AdamW(nn.Linear(3, 2).parameters())
    with pytest.raises(CheckpointError, match=r"^x: the optimizer "):
        restore_optimizer(optimizer, {name: torch.zeros(5)}, Path("x"))


def test_an_optimizer_that_lacks_a_tensor_is_refused():
    optimizer = optim.AdamW(nn.Linear(3, 2).parameters())
    with pytest.raises(CheckpointError, match=r"^x: the optimizer lacks 'step'"):
        restore_optimizer(optimizer, {"0.exp_avg": torch.zeros(2, 3)}, Path("x"))


def test_metadata_that_is_nested_too_deep_is_damaged(tmp_path):
    file = tmp_path / "a.safetensors"
    file.write_bytes(save({}, {"bana": "[" * 100_000}))
    with pytest.raises(CheckpointError, match="damaged"):
        load_metadata(file)
