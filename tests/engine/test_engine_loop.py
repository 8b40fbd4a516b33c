import io
import json
import math
import re
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from torch import nn, optim
from torch.utils.data import Dataset

from bana.engine import loop as loop_module
from bana.engine.checkpoint import load_tensors, save_tensors
from bana.engine.distributed import RuntimeConfig
from bana.engine.loop import CHECKPOINT, LOG, Validated, training_loop
from bana.engine.plan import LoopConfig
from bana.engine.seeds import shuffled
from bana.errors import CheckpointError, OutputError

COUNT = 10
LOOP = LoopConfig(epochs=3, batch_size=4, seed=5, runtime=RuntimeConfig(checkpoint_seconds=0))
IDENTITY = {"settings": {"rate": 0.1, "epochs": 3}, "data": "abc", "seed": 5}


class Numbers(Dataset):
    """A sample is a vector that depends on epoch and index."""

    def __len__(self):
        return COUNT

    def __getitem__(self, key):
        epoch, index = key
        return torch.sin(torch.arange(4.0) * (index + 1) + epoch)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    def trained_state(self):
        return self.state_dict()

    def load_trained_state(self, state, source):
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

    def lr_factor(self, progress):
        return 1 - progress / 2

    def collate(self, samples):
        return torch.stack(samples)

    def after_epoch(self, epoch):
        return Validated({})


def fit(stage, out, loop=LOOP, identity=IDENTITY, console=None):
    training_loop(stage, Numbers(), loop, out, identity, console or Console(file=io.StringIO()))
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


def test_a_run_interrupted_many_times_ends_with_the_same_bits(tmp_path):
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


def test_the_schedule_scales_the_first_learning_rates_after_a_resume_too(tmp_path):
    with pytest.raises(InterruptedRunError):
        fit(Fit(fail_at=4), tmp_path)
    resumed = fit(Fit(), tmp_path)
    assert resumed.rates == pytest.approx([0.1 * (1 - step / 9 / 2) for step in range(4, 9)])


def test_a_checkpoint_is_written_at_the_end_but_not_before_it_is_due(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(loop_module, "save_checkpoint", lambda *arguments: saved.append(arguments[-1]["steps"]))
    fit(Fit(), tmp_path, replace(LOOP, runtime=RuntimeConfig(checkpoint_seconds=1e6)))
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
    with pytest.raises(CheckpointError, match=rf"{CHECKPOINT}: belongs to a run with other {named};"):
        fit(Fit(), tmp_path, identity=other)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_damaged_checkpoint_is_refused(tmp_path):
    fit(Fit(), tmp_path)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[:-100])
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors: not a file that bana saved"):
        fit(Fit(), tmp_path)


@pytest.mark.parametrize("failure", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_run(tmp_path, failure):
    """The parameters and the checkpoint are those before it."""
    stage = Fit(fail_at=4, failure=failure)
    with pytest.raises(CheckpointError, match=r"the loss is .* at step 4; lower the learning rate"):
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
        assert [key[1] for key in keys] == shuffled(COUNT, 5, "order", epoch)
    assert list(LOOP.batches(COUNT, 4)) == batches[4:]


def test_off_a_terminal_progress_is_printed_in_lines(tmp_path):
    text = io.StringIO()
    fit(Fit(), tmp_path, console=Console(file=text))
    line, last = text.getvalue().splitlines()[-2:]
    assert re.fullmatch(r"trained in \d+ s: [\d.]+ images/s; \d+ % of the time went into waiting for images", last)
    assert "step 9/9" in line
    assert "loss" in line
    assert "images/s" in line
    assert "0:00:00 left" in line
    assert "\x1b" not in text.getvalue()


class Falling(Fit):
    """Reports a loss that falls by a share with every step."""

    def __init__(self, share):
        super().__init__()
        self.share = share

    def loss(self, batch):
        loss, _ = super().loss(batch)
        return loss, {"loss": (1 - self.share) ** self.steps}


@pytest.mark.parametrize(("share", "said"), [(0.0, False), (0.02, False), (0.2, True)])
def test_a_run_says_when_its_loss_still_falls(tmp_path, share, said):
    text = io.StringIO()
    fit(Falling(share), tmp_path, console=Console(file=text))
    assert ("the loss was still falling at the end" in text.getvalue()) == said


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


BEST = "best.safetensors"


class Scores:
    """An after_epoch that gives scores from a list, and writes down when it was asked."""

    def __init__(self, stage, scores):
        self.stage, self.scores, self.asked = stage, scores, []

    def __call__(self, epoch):
        self.asked.append(epoch)
        self.stage.model.eval()
        score = self.scores[epoch]
        return Validated({} if score is None else {"miou": score}, score)


def fit_with_scores(stage, out, scores):
    stage.after_epoch = scored = Scores(stage, scores)

    def keep_best():
        save_tensors(out / BEST, stage.model.trained_state(), {"epoch": scored.asked[-1]})

    training_loop(stage, Numbers(), LOOP, out, IDENTITY, Console(file=io.StringIO()), keep_best)
    return scored


def test_after_every_epoch_the_score_is_logged_and_the_best_weights_are_kept(tmp_path):
    stage = Fit()
    watch = fit_with_scores(stage, tmp_path, [None, 10.0, 30.0, 20.0])
    assert watch.asked == [0, 1, 2, 3]
    scored = [(entry["step"], entry["epoch"], entry["miou"]) for entry in log_of(tmp_path) if "miou" in entry]
    assert scored == [(2, 1, 10.0), (5, 2, 30.0), (8, 3, 20.0)]
    tensors, facts = load_tensors(tmp_path / BEST)
    assert facts == {"epoch": 2}
    assert not same(tensors, parameters(stage))


def test_scoring_changes_nothing_of_the_training(tmp_path):
    plain, scored = Fit(), Fit()
    fit(plain, tmp_path / "plain")
    fit_with_scores(scored, tmp_path / "scored", [0.0, 1.0, 2.0, 3.0])
    assert same(parameters(plain), parameters(scored))


@pytest.mark.parametrize("fail_at", [2, 3, 4, 7])
def test_a_resumed_run_keeps_the_best_of_before(tmp_path, fail_at):
    scores = [5.0, 30.0, 10.0, 20.0]
    fit_with_scores(Fit(), tmp_path / "whole", scores)
    with pytest.raises(InterruptedRunError):
        fit_with_scores(Fit(fail_at=fail_at), tmp_path / "cut", scores)
    resumed = fit_with_scores(Fit(), tmp_path / "cut", scores)
    assert resumed.asked == list(range(fail_at // 3 + 1, 4))
    assert (tmp_path / "cut" / BEST).read_bytes() == (tmp_path / "whole" / BEST).read_bytes()
    assert without_speed(log_of(tmp_path / "cut")) == without_speed(log_of(tmp_path / "whole"))


def test_the_weights_stay_float32_whatever_the_steps_compute_in(tmp_path):
    whole, half = Fit(), Fit()
    fit(whole, tmp_path / "whole")
    fit(half, tmp_path / "half", replace(LOOP, precision="bfloat16"))
    for name, value in parameters(half).items():
        assert value.dtype == torch.float32
        assert 0 < (value - parameters(whole)[name]).abs().max() < 0.1


def test_a_score_that_is_no_number_is_never_the_best(tmp_path):
    fit_with_scores(Fit(), tmp_path, [None, math.nan, 10.0, math.nan])
    assert load_tensors(tmp_path / BEST)[1] == {"epoch": 2}


@pytest.mark.parametrize("fail_at", [3, 5])
def test_a_run_in_float16_ends_the_same_after_a_resume(tmp_path, fail_at):
    half = replace(LOOP, precision="float16")
    whole = fit(Fit(), tmp_path / "whole", half)
    with pytest.raises(InterruptedRunError):
        fit(Fit(fail_at=fail_at), tmp_path / "cut", half)
    assert same(parameters(fit(Fit(), tmp_path / "cut", half)), parameters(whole))
    assert not same(parameters(whole), parameters(fit(Fit(), tmp_path / "full")))


def test_tensorboard_gets_the_numbers_of_the_log(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    fit(Fit(), tmp_path, replace(LOOP, runtime=RuntimeConfig(checkpoint_seconds=0, tensorboard=True)))
    read = events.EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    assert [each.step for each in read.Scalars("loss")] == list(range(9))
    assert [each.value for each in read.Scalars("loss")] == pytest.approx([entry["loss"] for entry in log_of(tmp_path)])


@pytest.mark.parametrize(
    "facts", [{"steps": "3"}, {"steps": None}, {"steps": -1}, {"best": []}, {"scaler": [1]}, {"scaler": {"a": {}}}]
)
def test_a_checkpoint_without_its_steps_is_refused(tmp_path, facts):
    fit(Fit(), tmp_path)
    tensors, metadata = load_tensors(tmp_path / CHECKPOINT)
    save_tensors(tmp_path / CHECKPOINT, tensors, metadata | facts)
    with pytest.raises(CheckpointError, match="does not say how far its run came"):
        fit(Fit(), tmp_path)


def test_a_checkpoint_whose_identity_is_no_object_is_refused(tmp_path):
    fit(Fit(), tmp_path)
    tensors, metadata = load_tensors(tmp_path / CHECKPOINT)
    save_tensors(tmp_path / CHECKPOINT, tensors, metadata | {"identity": "x"})
    with pytest.raises(CheckpointError, match="belongs to a run with other data, seed, settings"):
        fit(Fit(), tmp_path)
