"""Damaged files of all kinds: read, or refused in one line; ``benchmarks/fuzz.py`` tries hundreds of thousands."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bana.errors import BanaError
from fuzz_mutations import changed_bytes
from fuzz_targets import TARGETS

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow and torch warn of what they then read


@pytest.mark.parametrize("name", TARGETS)
def test_valid_files_are_read(name, tmp_path):
    read = TARGETS[name].opened(tmp_path)
    for content in TARGETS[name].seeds():
        read(content)


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_is_read_or_refused_in_one_line(name, tmp_path):
    target = TARGETS[name]
    read, refusals = target.opened(tmp_path), []

    @settings(max_examples=40, derandomize=True, deadline=None, database=None)
    @given(st.sampled_from(target.seeds()), st.integers(0, 2**32), st.integers(1, 3), st.booleans())
    def try_one(content, seed, changes, flipped):
        random = Random(seed)
        for _ in range(changes):
            content = target.mutate(content, random)
        try:
            read(changed_bytes(content, random) if flipped else content)
        except BanaError as error:
            refusals.append(str(error).splitlines())

    try_one()
    assert refusals
    assert all(len(lines) == 1 for lines in refusals)
