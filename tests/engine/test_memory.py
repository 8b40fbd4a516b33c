"""How much memory a process has had at most."""

import subprocess
import sys

import pytest

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
