"""The choice of photographs is the same every time, varied, and holds good and bad ones."""

import pytest

from bana.report.examples import Candidate, choose


def candidate(name, reliable, visible, boxes=2):
    return Candidate(name, reliable, boxes, frozenset(visible))


def test_each_part_of_the_range_gives_one_photograph():
    every = [candidate(f"{number:02}", number / 20, {number}) for number in range(20)]
    chosen = choose(every, 5)
    assert len(chosen) == 5
    assert [int(name) // 4 for name in chosen] == [4, 3, 2, 1, 0]
    assert choose(reversed(every), 5) == chosen


def test_new_classes_come_first():
    every = [
        candidate("a", 0.9, {1}),
        candidate("b", 0.9, {1, 2}),
        candidate("c", 0.5, {1, 2}),
        candidate("d", 0.5, {3}),
    ]
    assert choose(every, 2) == ("b", "d")


def test_crowded_photographs_only_where_there_are_no_others():
    every = [
        candidate("a", 0.9, {1}),
        candidate("b", 0.9, {1, 2, 3}, boxes=30),
        candidate("c", 0.5, {4}, boxes=30),
    ]
    assert choose(every, 1) == ("a",)
    assert choose(every, 3) == ("a", "b", "c")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_fewer_photographs_than_rows_are_all_chosen(count):
    every = [candidate(f"{number}", 0.5, {1}) for number in range(count)]
    assert set(choose(every, 8)) == {each.image_id for each in every}
