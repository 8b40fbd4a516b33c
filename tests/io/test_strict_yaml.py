import pytest

from bana.errors import DataError, SettingsError
from bana.io.strict_yaml import parse_yaml
from bana.pipeline.recipe import Recipe
from bana.presets import load_preset

BAD = {
    "an unclosed list": ("a: [1", "line 1: is not YAML"),
    "an alias": ("a: &x 1\nb: *x\n", r"line 2: is not YAML \(an alias"),
    "a merged alias": ("a: &x {b: 1}\nc: {<<: *x}\n", r"line 2: is not YAML \(an alias"),
    "deep nesting": ("a: " + "[" * 3000, r"is not YAML \(RecursionError\)"),
    "a long decimal number": ("a: " + "9" * 5000, "is not YAML"),
    "a long hexadecimal number": ("a: 0x" + "f" * 6000, "line 1: is not YAML .* more than 64 bits"),
    "a day that is none": ("a: 2001-99-99", "is not YAML"),
    "a time that is none": ("a: !!timestamp x", "is not YAML"),
    "no whole number": ('a: !!int ""', "is not YAML"),
    "no number": ("a: !!float x", "is not YAML"),
    "neither true nor false": ("a: !!bool x", "is not YAML"),
    "a Python object": ("a: !!python/object/apply:os.getcwd []", "line 1: is not YAML"),
    "a zero byte": ("a: \0", "is not YAML"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_what_is_no_plain_yaml_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(DataError, match=f"^x: {message}"):
        parse_yaml(text, "x")
    preset = tmp_path / "p.yaml"
    preset.write_text(text)
    with pytest.raises(SettingsError, match=rf"^{preset}: preset: {message}"):
        load_preset(str(preset), Recipe)


@pytest.mark.parametrize("text", ["a: 1\n", b"a: 1\n", "a: 1\n".encode("utf-16")])
def test_plain_values(text):
    assert parse_yaml(text, "x") == {"a": 1}


def test_a_setting_that_is_quoted_is_cut_and_of_one_line(tmp_path):
    preset = tmp_path / "p.yaml"
    preset.write_text('segment: {"a\\nb": [' + "1, " * 5000 + "]}")
    with pytest.raises(SettingsError, match=r"segment\.a b: no such setting") as caught:
        load_preset(str(preset), Recipe)
    assert len(str(caught.value)) < 700
