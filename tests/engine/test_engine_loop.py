import io
import json
import math

import pytest
import torch
from rich.console import Console
from torch import nn, optim
from torch.utils.data import Dataset

from bana.engine import loop as loop_module
from bana.engine.checkpoint import load_tensors
from bana.engine.loop import CHECKPOINT, LOG, Loop, train
from bana.engine.seeds import epoch_order
from bana.errors import LabelerError, OutputError

COUNT = 10
LOOP = Loop(epochs=3, batch_size=4, seed=5, checkpoint_seconds=0)
IDENTITY = {"settings": {"rate": 0.1, "epochs": 3}, "data": "abc", "seed": 5}


class Numbers(Dataset):
    """A sample is a vector that depends on epoch and index."""

    def __getitem__(self, key):
        epoch, index = key
        return torch.sin(torch.arange(4.0) * (index + 1) + epoch)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    def own_state(self):
        return self.state_dict()

    def load_own_state(self, state, source):
        self.load_state_dict(state)


class InterruptedRunError(Exception):
    pass


class Fit:
    """A stage with noise: dropout in the network, and a loss that may fail after so many steps."""

    def __init__(self, optimizer="sgd", fail_at=None, failure=None):
        torch.manual_seed(0)
        self.model = Net()
        groups = [{"params": list(self.model.parameters()), "lr": 0.1}]
        self.optimizer = optim.SGD(groups, momentum=0.9) if optimizer == "sgd" else optim.AdamW(groups)
        self.fail_at, self.failure, self.steps, self.rates = fail_at, failure, 0, []

    def loss(self, batch):
        if self.fail_at == self.steps:
            if self.failure is None:
                raise InterruptedRunError
            return self.model.layers(batch).mean() * self.failure, {"loss": self.failure}
        self.steps += 1
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        loss = (self.model.layers(batch) - 1).square().mean()
        return loss, {"loss": loss.item()}

    def rate(self, progress):
        return 1 - progress / 2


def fit(stage, out, loop=LOOP, identity=IDENTITY, console=None):
    train(stage, Numbers(), COUNT, torch.stack, loop, out, identity, console or Console(file=io.StringIO()))
    return stage


def parameters(stage):
    return {name: value.clone() for name, value in stage.model.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def log_of(out):
    return [json.loads(line) for line in (out / LOG).read_text().splitlines()]


def without_speed(entries):
    return [{key: value for key, value in entry.items() if key != "images_per_second"} for entry in entries]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, optimizer):
    whole = fit(Fit(optimizer), tmp_path / "whole")
    for fail_at in (0, 1, 3, 5):
        with pytest.raises(InterruptedRunError):
            fit(Fit(optimizer, fail_at=fail_at), tmp_path / f"cut{fail_at}")
    for fail_at in (0, 1, 3, 5):
        resumed = fit(Fit(optimizer), tmp_path / f"cut{fail_at}")
        assert resumed.steps == 9 - fail_at
        assert same(parameters(resumed), parameters(whole))
        assert without_speed(log_of(tmp_path / f"cut{fail_at}")) == without_speed(log_of(tmp_path / "whole"))


def test_it_may_be_interrupted_again_and_again(tmp_path):
    whole = fit(Fit(), tmp_path / "whole")
    for _ in range(4):
        with pytest.raises(InterruptedRunError):
            fit(Fit(fail_at=2), tmp_path / "cut")
    assert same(parameters(fit(Fit(), tmp_path / "cut")), parameters(whole))


def test_a_run_from_an_older_checkpoint_repeats_its_steps_and_their_log(tmp_path):
    """The last checkpoint may lie some steps back: the log has each step once."""
    whole = fit(Fit(), tmp_path / "whole")
    with pytest.raises(InterruptedRunError):
        fit(Fit(fail_at=2), tmp_path / "cut")
    old = (tmp_path / "cut" / CHECKPOINT).read_bytes()
    with pytest.raises(InterruptedRunError):
        fit(Fit(fail_at=4), tmp_path / "cut")
    (tmp_path / "cut" / CHECKPOINT).write_bytes(old)
    with (tmp_path / "cut" / LOG).open("a") as log:
        log.write('{"step": 6, "lo')  # torn by the kill
    resumed = fit(Fit(), tmp_path / "cut")
    assert same(parameters(resumed), parameters(whole))
    assert [entry["step"] for entry in log_of(tmp_path / "cut")] == list(range(9))


def test_a_finished_run_takes_no_more_steps(tmp_path):
    whole = fit(Fit(), tmp_path)
    again = fit(Fit(), tmp_path)
    assert again.steps == 0
    assert same(parameters(again), parameters(whole))
    assert len(log_of(tmp_path)) == 9
    assert not again.model.training


def test_the_schedule_scales_the_first_rates_also_after_a_resume(tmp_path):
    with pytest.raises(InterruptedRunError):
        fit(Fit(fail_at=4), tmp_path)
    resumed = fit(Fit(), tmp_path)
    assert resumed.rates == pytest.approx([0.1 * (1 - step / 9 / 2) for step in range(4, 9)])


def test_a_checkpoint_is_written_at_the_end_and_not_before_its_time(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(loop_module, "_save", lambda *arguments: saved.append(arguments[-1]))
    fit(Fit(), tmp_path, Loop(3, 4, 5, checkpoint_seconds=1e6))
    assert saved == [9]


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (IDENTITY | {"data": "xyz"}, "data"),
        (IDENTITY | {"settings": {"rate": 0.2, "epochs": 3}}, r"settings\.rate"),
        (IDENTITY | {"settings": {"rate": 0.2, "epochs": 4}, "seed": 6}, r"seed, settings\.epochs, settings\.rate"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused_and_stays(tmp_path, other, named):
    fit(Fit(), tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(LabelerError, match=rf"{CHECKPOINT}: of a run with other {named};"):
        fit(Fit(), tmp_path, identity=other)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_damaged_checkpoint(tmp_path):
    fit(Fit(), tmp_path)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[:-100])
    with pytest.raises(LabelerError, match=r"checkpoint\.safetensors: not a file that bana saved"):
        fit(Fit(), tmp_path)


@pytest.mark.parametrize("failure", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_run(tmp_path, failure):
    """The parameters and the checkpoint are those before it."""
    stage = Fit(fail_at=4, failure=failure)
    with pytest.raises(LabelerError, match=r"the loss is .* at step 4; lower the learning rate"):
        fit(stage, tmp_path)
    assert all(value.isfinite().all() for value in parameters(stage).values())
    tensors, metadata = load_tensors(tmp_path / CHECKPOINT)
    assert metadata["steps"] == 4
    assert all(value.isfinite().all() for value in tensors.values())


def test_an_epoch_visits_every_sample_once():
    batches = list(LOOP.batches(COUNT, 0))
    assert len(batches) == LOOP.steps(COUNT) == 9
    assert [len(batch) for batch in batches] == [4, 4, 2] * 3
    for epoch in range(3):
        keys = [key for batch in batches[3 * epoch : 3 * epoch + 3] for key in batch]
        assert [key[0] for key in keys] == [epoch] * COUNT
        assert [key[1] for key in keys] == epoch_order(COUNT, 5, epoch).tolist()
    assert list(LOOP.batches(COUNT, 4)) == batches[4:]


def test_off_a_terminal_progress_is_printed_in_lines(tmp_path):
    text = io.StringIO()
    fit(Fit(), tmp_path, console=Console(file=text))
    line = text.getvalue().splitlines()[-1]
    assert "step 9/9" in line
    assert "loss" in line
    assert "images/s" in line
    assert "0:00 left" in line
    assert "\x1b" not in text.getvalue()


def test_a_full_disk_is_one_error_and_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    with pytest.raises(InterruptedRunError):
        fit(Fit(fail_at=3), tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OutputError, match="No space left on device"):
            fit(Fit(), tmp_path)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == [CHECKPOINT, LOG]
    assert same(parameters(fit(Fit(), tmp_path)), parameters(fit(Fit(), tmp_path / "whole")))
