"""SIGKILL at random moments, by the program that measures it at length (see benchmarks/kill.py)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kill.py"


@pytest.mark.slow
def test_killed_runs_end_with_the_same_bytes(shapes_voc, tiny_settings, tmp_path):
    preset = tmp_path / "tiny.yaml"
    content = {"classify": tiny_settings.model_dump(mode="json"), "label": {"image_side": 193}}
    preset.write_text(yaml.safe_dump(content))
    run = subprocess.run(
        [sys.executable, SCRIPT, shapes_voc, "--preset", preset, "--kills", "1", "--epochs", "20", "--workers", "1"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert [line.split()[-1] for line in run.stdout.splitlines() if line.split()[0] == "1"] == ["yes", "yes"]
