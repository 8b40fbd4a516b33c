"""The deliberate mistakes of ``benchmarks/mistakes.py`` still have their places and their guards."""

import ast
from functools import cache
from pathlib import Path

import pytest
from benchmarks.mistakes import MISTAKES

ROOT = Path(__file__).resolve().parents[1]


@cache
def text_of(file):
    return (ROOT / file).read_text()


@cache
def functions_of(file):
    return {node.name for node in ast.parse(text_of(file)).body if isinstance(node, ast.FunctionDef)}


def test_names_are_unique():
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) >= 70


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_has_its_place_and_its_guards(mistake):
    assert mistake.new != mistake.old
    assert text_of(mistake.file).count(mistake.old) == 1, f"{mistake.file} has changed: {mistake.old!r}"
    ast.parse(text_of(mistake.file).replace(mistake.old, mistake.new))
    assert mistake.tests
    for test in mistake.tests:
        file, name = test.split("::")
        assert name in functions_of(file), f"{test} does not exist"
