"""How much memory a process has had at most, and how much there is."""

import subprocess
import sys

import pytest

from bana.engine.memory import available_memory

SCRIPT = """
import numpy as np
from bana.engine.memory import peak_memory, reset_peak
first = np.ones(25_000_000)  # 200 MB
whole = peak_memory()
del first
reset_peak()
low = peak_memory()
second = np.ones(12_500_000)
high = peak_memory()
del second
print(whole, high - low, peak_memory() - low)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak can be reset on Linux alone")
def test_the_peak_is_of_what_came_since_the_reset():
    answer = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    whole, rise, later = map(int, answer.stdout.split())
    assert whole > 200_000_000
    assert 90_000_000 < rise < 150_000_000
    assert later > 90_000_000  # what was freed stays counted


def system(root, **files):
    """The files of a Linux system, with the names' dots as underscores."""
    places = {"meminfo": "proc/meminfo"}
    for name, content in files.items():
        file = root / places.get(name, f"sys/fs/cgroup/{name.replace('_', '.', 1)}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


MEMINFO = "MemTotal: 8000 kB\nMemFree: 10 kB\nMemAvailable: 5000 kB\n"


def test_the_memory_that_the_system_can_give(tmp_path):
    assert available_memory(system(tmp_path, meminfo=MEMINFO)) == 5000 * 1024


@pytest.mark.parametrize(
    ("limit", "expected"), [("max\n", 5000 * 1024), ("3000000\n", 3_000_000 - 1_000_000 + 200_000), ("5\n", 0)]
)
def test_a_container_has_no_more_than_its_limit(tmp_path, limit, expected):
    stat = "anon 800000\ninactive_file 200000\n"
    root = system(tmp_path, meminfo=MEMINFO, memory_max=limit, memory_current="1000000\n", memory_stat=stat)
    assert available_memory(root) == expected


def test_a_system_may_not_say(tmp_path):
    assert available_memory(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="Linux says")
def test_this_machine_has_memory_left():
    assert available_memory() > 50_000_000
