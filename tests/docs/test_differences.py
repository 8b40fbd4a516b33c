"""The page of differences says what the presets hold."""

import re
from pathlib import Path

import pytest

from bana.pipeline.recipe import Recipe
from bana.presets import load_preset

PAGE = Path(__file__).parents[2] / "docs" / "differences.md"
VALUES = re.findall(r"`([\w-]+): ([\w.]+) = ([^`]+)`", PAGE.read_text(encoding="utf-8"))


def test_the_page_states_values_of_all_stages():
    assert {key.partition(".")[0] for _, key, _ in VALUES} == {"classify", "label", "segment", "predict", "instance"}
    assert {preset for preset, _, _ in VALUES} == {"vgg16", "vgg16-text", "resnet101", "coco"}


@pytest.mark.parametrize(("preset", "key", "text"), VALUES, ids=[f"{preset} {key}" for preset, key, _ in VALUES])
def test_a_preset_has_the_value_that_the_page_states(preset, key, text):
    found = load_preset(preset, Recipe)
    for part in key.split("."):
        found = getattr(found, part)
    assert str(found) == text
