import json
import os
import signal
import time
from pathlib import Path

import pytest
import yaml

from bana.engine.distributed import DistContext, RuntimeConfig
from bana.engine.plan import LoopConfig
from bana.errors import SettingsError

STEPS = 20
TIMED = "images_per_second"


def log_of(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def assert_same_steps(first, second):
    assert len(first) == len(second) == STEPS
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {TIMED}:
            assert one[name] == pytest.approx(other[name], abs=1e-5), (one["step"], name)


def ended(process):
    """What a process printed, which must have ended well."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


@pytest.fixture
def preset(tiny_settings, tiny_segment_settings, tmp_path):
    """A recipe of 20 steps for the images of the tiny data set, gentle enough that rounding is not blown up.

    AdamW, which divides gradients by their own size, makes a difference of rounding in a gradient that should be 0 one
    of the whole learning rate.
    """
    common = {"batch_size": 4, "epochs": STEPS // 2, "optimizer": "sgd", "lr_head": 0.0003}
    recipe = {
        "classify": tiny_settings.model_dump(mode="json") | common,
        "segment": tiny_segment_settings.model_dump(mode="json") | common,
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


@pytest.mark.parametrize("samples", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("accumulate", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_parts_of_all_processes_make_up_the_batch(samples, accumulate, count):
    batch = [(0, index) for index in range(samples)]
    loops = [
        LoopConfig(1, 20, 0, runtime=RuntimeConfig(accumulate=accumulate), context=DistContext(rank, count))
        for rank in range(count)
    ]
    parts = [loop.parts(batch) for loop in loops]
    assert {len(each) for each in parts} == {min(accumulate, max(1, samples // count))}
    assert all(part.keys for each in parts for part in each)  # every process has something to work on
    taken = sorted(key for each in parts for part in each for key in part.keys)
    assert set(taken) == set(batch)
    assert taken == batch or samples < count
    for each in parts:
        assert sum(part.weight for part in each) == pytest.approx(1)
        assert [part.weight for part in each] == [part.weight for part in parts[0]]


def test_each_process_has_its_own_noise_and_the_main_one_that_of_a_single_process():
    seeds = {LoopConfig(1, 4, 7, context=DistContext(rank, 2)).seed_of_step(3) for rank in (0, 1)}
    assert len(seeds) == 2
    assert LoopConfig(1, 4, 7).seed_of_step(3) in seeds


def test_accumulating_in_no_part_is_refused():
    with pytest.raises(SettingsError, match="accumulate is 0"):
        RuntimeConfig(accumulate=0)


@pytest.mark.slow
def test_two_processes_train_a_classifier_as_one_does(torchrun, preset, shapes_voc, tmp_path):
    options = [shapes_voc, "--preset", preset, "--seed", 3, "--out"]
    process = torchrun("classify", *options, tmp_path / "two")
    assert process.wait() == 0, process.stderr.read()
    assert process.stdout.read().splitlines() == [str(tmp_path / "two" / "labeler.safetensors")]
    ended(torchrun("classify", *options, tmp_path / "one", processes=1))
    assert_same_steps(log_of(tmp_path / "one"), log_of(tmp_path / "two"))


@pytest.mark.slow
def test_two_processes_train_a_segmenter_as_one_does(torchrun, preset, shapes_voc, tiny_labels, tmp_path):
    options = [shapes_voc, "--labels", tiny_labels, "--preset", preset, "--pictures", 1, "--out"]
    ended(torchrun("segment", *options, tmp_path / "two"))
    ended(torchrun("segment", *options, tmp_path / "one", processes=1))
    assert_same_steps(log_of(tmp_path / "one"), log_of(tmp_path / "two"))
    assert len(list((tmp_path / "two" / "sigma").rglob("*.png"))) == len(
        list((tmp_path / "one" / "sigma").rglob("*.png"))
    )


@pytest.mark.slow
def test_a_killed_process_is_started_again_and_training_goes_on(torchrun, preset, shapes_voc, tmp_path):
    options = [shapes_voc, "--preset", preset, "--checkpoint-seconds", 0, "--out"]
    ended(torchrun("classify", *options, tmp_path / "whole"))
    launcher = torchrun("classify", *options, tmp_path / "cut", options=("--max-restarts=1",))
    log = tmp_path / "cut" / "log.jsonl"
    while launcher.poll() is None and not (log.exists() and len(log.read_text().splitlines()) > 4):
        time.sleep(0.01)
    before = sorted(children(launcher.pid))
    os.kill(before[-1], signal.SIGKILL)
    ended(launcher)
    steps = [entry["step"] for entry in log_of(tmp_path / "cut")]
    assert steps == list(range(STEPS))
    file = "labeler.safetensors"
    assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


@pytest.mark.slow
def test_a_killed_run_continues_when_it_is_called_again(torchrun, preset, shapes_voc, tmp_path):
    options = [shapes_voc, "--preset", preset, "--checkpoint-seconds", 0, "--out"]
    ended(torchrun("classify", *options, tmp_path / "whole", processes=1))
    launcher = torchrun("classify", *options, tmp_path / "cut", processes=1)
    log = tmp_path / "cut" / "log.jsonl"
    while launcher.poll() is None and not (log.exists() and len(log.read_text().splitlines()) > 4):
        time.sleep(0.01)
    for process in (*children(launcher.pid), launcher.pid):
        os.kill(process, signal.SIGKILL)
    launcher.communicate()
    ended(torchrun("classify", *options, tmp_path / "cut", processes=1))
    assert [entry["step"] for entry in log_of(tmp_path / "cut")] == list(range(STEPS))
    file = "labeler.safetensors"
    assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
