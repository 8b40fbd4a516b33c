"""Commands that meet faults, by the program that measures it at length (see benchmarks/faults.py)."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "faults.py"


@pytest.fixture
def preset(tiny_settings, tiny_segment_settings, tmp_path):
    path = tmp_path / "tiny.yaml"
    objects = {
        "backbone": "lite0",
        "train_backbone": "none",
        "width": 16,
        "box_samples": 32,
        "crop_size": 97,
        "epochs": 2,
    }
    content = {
        "classify": tiny_settings.model_dump(mode="json") | {"epochs": 10},
        "label": {"image_side": 129},
        "segment": tiny_segment_settings.model_dump(mode="json") | {"epochs": 3},
        "instance": objects | {"optimizer": "adamw", "lr_head": 0.001, "batch_size": 3},
    }
    path.write_text(yaml.safe_dump(content))
    return path


COMMANDS = "classify,label,merge,segment,predict,convert"
"""One of each kind; the others take the same ways, and minutes (see docs/reliability.md)."""


def meet(faults, commands, data, preset, folder, moments):
    options = {"split": "train", "preset": preset, "faults": faults, "commands": commands, "moments": moments}
    return subprocess.run(
        [sys.executable, SCRIPT, data, *(f"--{name}={value}" for name, value in options.items())],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TMPDIR": str(folder), "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
@pytest.mark.parametrize(("faults", "moments"), [("ended", 2), ("vanished,clock,damaged", 1)])
def test_commands_that_met_a_fault_end_with_the_same_bytes(data, preset, tmp_path, faults, moments):
    run = meet(faults, COMMANDS, data, preset, tmp_path, moments)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count(f"{moments} trials, 0 failed") == len(COMMANDS.split(",")) * len(faults.split(","))


@pytest.mark.slow
def test_a_full_or_unwritable_disk_is_named_and_the_command_resumes(data, preset, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "tmpfs", disk]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    subprocess.run(["umount", disk], check=True)
    run = meet("disk,read-only", "classify,label,predict", data, preset, tmp_path, 1)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("1 trials, 0 failed") == 6


@pytest.mark.parametrize(("how", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_killed_command_resumes(run_cli, shapes_voc, preset, tmp_path, how, status):
    command = ["classify", str(shapes_voc), "--preset", str(preset), "--checkpoint-seconds", "0", "--out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bana", *command, str(tmp_path / "ended"), "--epochs", "1000"],
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not (tmp_path / "ended" / "checkpoint.safetensors").exists():
        time.sleep(0.01)
    process.send_signal(how)
    _, said = process.communicate()
    assert process.returncode == status
    assert ("interrupted; run the same command again to go on" in said) == (how == signal.SIGTERM)
    assert not (tmp_path / "ended" / "labeler.safetensors").exists()
