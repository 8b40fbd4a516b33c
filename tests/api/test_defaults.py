import pytest

from bana.api import defaults
from bana.errors import SettingsError

GIBIBYTE = 2**30


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many cores and so much memory."""

    def make(cores, memory, processes="1"):
        monkeypatch.setattr(defaults, "cores", lambda: cores)
        monkeypatch.setattr(defaults, "available_memory", lambda: memory)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)

    return make


@pytest.mark.parametrize(
    ("cores", "memory", "expected"),
    [
        (8, 100 * GIBIBYTE, 8),
        (8, None, 8),
        (8, 7 * GIBIBYTE, 3),
        (8, GIBIBYTE, 1),
        (1, 100 * GIBIBYTE, 1),
    ],
)
def test_there_is_a_worker_a_core_if_memory_does(machine, cores, memory, expected):
    machine(cores, memory)
    assert defaults.worker_count(None) == expected


def test_what_a_person_wants_is_done(machine):
    machine(2, GIBIBYTE)
    assert defaults.worker_count(5) == 5
    assert defaults.worker_count(5, "cuda") == 5


def test_a_gpu_has_a_single_worker(machine):
    machine(8, None)
    assert defaults.worker_count(None, "cuda") == 1


@pytest.mark.parametrize("name", ["cuda:99", "gpu"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(SettingsError, match=f"device '{name}' .*; choose cpu"):
        defaults.choose_device(name)


@pytest.mark.parametrize(("processes", "expected"), [("2", 4), ("3", 2), ("9", 1), ("many", 8)])
def test_processes_of_a_launcher_share_cores(machine, processes, expected):
    machine(8, 100 * GIBIBYTE, processes)
    assert defaults.worker_count(None) == expected


def test_processes_of_a_launcher_share_memory(machine):
    machine(8, 8 * GIBIBYTE, "2")
    assert defaults.worker_count(None) == 2
