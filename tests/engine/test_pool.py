import os

import pytest
import torch

from bana.engine.pool import each_in_order
from bana.errors import DataError, OutputError


class Ends:
    """A job whose process ends without a word."""

    def prepare(self):
        return os._exit


def half(number):
    if number % 2:
        raise DataError(f"{number} is odd")
    return number // 2


def test_results_and_errors_come_in_order():
    answers = []
    for item, result in each_in_order(None, [4, 3, 2], 1, half):
        try:
            answers.append((item, result()))
        except DataError as error:
            answers.append((item, str(error)))
    assert answers == [(4, 2), (3, "3 is odd"), (2, 1)]


def test_items_are_taken_one_by_one():
    taken = []

    def items():
        for number in (2, 4, 6):
            taken.append(number)
            yield number

    results = each_in_order(None, items(), 1, half)
    next(results)
    assert taken == [2]


def test_one_thread_in_this_process_and_as_many_as_before_afterwards():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for _, result in each_in_order(None, [2], 1, lambda _: torch.get_num_threads()):
            assert result() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_a_killed_process_is_an_error_and_not_a_hang():
    with pytest.raises(OutputError, match="a worker process was killed"):
        list(each_in_order(Ends(), range(2), 2, half))
