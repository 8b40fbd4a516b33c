"""How much memory a process has had at most, and how much there is."""

import subprocess
import sys

import pytest

from bana.engine import memory
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


KEPT_AND_RETURNED = """
from pathlib import Path
from bana.engine.memory import keep_freed_memory, return_freed_memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
keep_freed_memory()
blocks = [bytearray(400_000) for _ in range(1000)]
last = bytearray(400_000)  # so that the rest is not at the end of the heap
del blocks
print(resident())
return_freed_memory()
print(resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what a process holds is read from /proc")
def test_freed_memory_is_kept_at_hand_and_returned_when_asked():
    output = subprocess.run([sys.executable, "-c", KEPT_AND_RETURNED], stdout=subprocess.PIPE, text=True, check=True)
    kept, returned = map(int, output.stdout.split())
    assert kept > 400_000_000
    assert returned < kept - 300_000_000


def test_other_c_libraries_are_left_as_they_are(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    memory.keep_freed_memory()
    memory.return_freed_memory()
