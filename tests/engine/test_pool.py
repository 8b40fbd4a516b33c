import pickle

import pytest
import torch

from bana.engine.pool import map_in_order
from bana.errors import DataError, OutputError
from pool_workers import Ends, Half


def answers(workers):
    found = []
    for item, result in map_in_order(Half(), [4, 3, 2], workers):
        try:
            found.append((item, result()))
        except DataError as error:
            found.append((item, str(error)))
    return found


def test_results_and_errors_come_in_order():
    assert answers(1) == [(4, 2), (3, "3 is odd"), (2, 1)]


@pytest.mark.slow
def test_two_processes_give_the_same_results_and_errors():
    assert answers(2) == answers(1)


def test_items_are_taken_one_by_one():
    taken = []

    def items():
        for number in (2, 4, 6):
            taken.append(number)
            yield number

    results = map_in_order(Half(), items(), 1)
    next(results)
    assert taken == [2]


def test_what_a_worker_has_loaded_is_not_sent():
    worker = Half(sent=(1,))
    assert worker(4) == 2
    assert vars(worker) == {"sent": (1,), "divisor": 2}
    received = pickle.loads(pickle.dumps(worker))
    assert vars(received) == {"sent": (1,)}
    assert received(4) == 2


def test_one_thread_in_this_process_and_as_many_as_before_afterwards():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for _, result in map_in_order(lambda _: torch.get_num_threads(), [2], 1):
            assert result() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_a_killed_process_is_an_error_and_not_a_hang():
    with pytest.raises(OutputError, match="a worker process was killed"):
        list(map_in_order(Ends(), range(2), 2))
