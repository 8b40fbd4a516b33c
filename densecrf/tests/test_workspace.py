import os
import subprocess
import sys

import numpy as np
import pytest

from densecrf.barrier import abandon, barrier_state, wait
from densecrf.compiled import compiled
from densecrf.lanes import larger, largest_lane, load, power_of_two, splat, store, sum_of_lanes
from densecrf.workspace import Arrays, Workspace


@compiled
def pass_the_sum_on(thread, threads, barrier, rows):
    """Every round each thread writes the sum of what all wrote in the round before."""
    for row in range(1, len(rows)):
        total = 0
        for other in range(threads):
            total += rows[row - 1, other]
        rows[row, thread] = total
        wait(barrier, threads)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_threads_meet_at_the_barrier(threads):
    rows = np.zeros((60 if threads == 1 else 26, threads), dtype=np.int64)
    rows[0] = 1
    with Workspace(threads) as work:
        work.together(pass_the_sum_on, rows)
    np.testing.assert_array_equal(rows[:, 0], np.float64(threads) ** np.arange(len(rows)))


def test_who_waits_for_a_thread_that_never_comes_is_let_go():
    state = barrier_state()
    abandon(state)
    wait(state, 2)  # would otherwise never return


def test_an_error_in_one_thread_reaches_the_caller():
    def fail(item):
        if item == 5:
            raise ValueError("five")
        return item

    with Workspace(3) as work:
        assert work.each(lambda item: 2 * item, range(7)) == [0, 2, 4, 6, 8, 10, 12]
        with pytest.raises(ValueError, match="five"):
            work.each(fail, range(9))


def test_memory_goes_from_call_to_call_but_not_to_two_at_once():
    with Arrays() as arrays:
        one, other = (arrays.empty(70_001, np.float32) for _ in range(2))
        assert not np.shares_memory(one, other)
        assert one.ctypes.data % 64 == 0
        one.fill(3)
    with Arrays() as arrays:
        again = [arrays.zeros((7, 10_001), np.float32) for _ in range(2)]
        assert any(np.shares_memory(one, array) for array in again)
        assert not any(array.any() for array in again)


@compiled
def lanes_of(lanes, values, out):
    here = load(lanes, values, 1)
    there = splat(lanes, values[0])
    store(out, 0, here + there * here - there)
    store(out, len(lanes), larger(here, there))
    out[2 * len(lanes)] = largest_lane(here)
    out[2 * len(lanes) + 1] = sum_of_lanes(here)
    out[2 * len(lanes) + 2] = power_of_two(values[0] + np.float32(1.5 * 2**23))


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_lanes_are_so_many_floats(count):
    values = np.random.default_rng(count).normal(size=count + 1).astype(np.float32) * 4
    values[0] = 3
    out = np.zeros(2 * count + 3, dtype=np.float32)
    lanes_of((0,) * count, values, out)
    here, there = values[1:], values[0]
    np.testing.assert_array_equal(out[:count], here + there * here - there)
    np.testing.assert_array_equal(out[count : 2 * count], np.maximum(here, there))
    assert out[2 * count] == here.max()
    assert out[2 * count + 1] == pytest.approx(here.sum(), abs=1e-5)
    assert out[2 * count + 2] == 8


def test_the_first_compilation_is_announced_once(tmp_path):
    program = (
        "import numpy as np; from densecrf import DenseCRF;"
        "crf = DenseCRF(bilateral_weight=0, iterations=1, threads=1);"
        "[crf(None, np.zeros((classes, 3, 3))) for classes in (2, 3)]"
    )
    texts = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        texts.append(done.stderr)
    assert texts[0].count("compiling for this machine") == 1
    assert texts[1] == ""  # the machine code came from disk
