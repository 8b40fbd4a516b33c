"""Text fits its room, has a font that can write it, and no characters that would break a line."""

import pytest

from bana.report.text import fitted, font_for, plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [("traffic  light\n", "traffic light"), ("a\x00b\x1b[0m", "ab[0m"), ("\u200b", ""), ("naïve 名前", "naïve 名前")],
)
def test_plain_text_has_one_line_and_printable_letters(text, expected):
    assert plain(text) == expected


def test_text_that_fits_stays():
    assert fitted("dining table", 15, 200) == "dining table"


@pytest.mark.parametrize("text", ["a long class name indeed", "ein Überlänge-Wort"])
def test_text_is_cut_to_its_room(text):
    for width in (20, 50, 90):
        cut = fitted(text, 15, width)
        assert cut.endswith("…")
        assert text.startswith(cut[:-1])
        assert font_for(cut, 15).getlength(cut) <= width
    assert fitted(text, 15, 3) == ""


def test_letters_that_the_built_in_font_lacks_come_from_another():
    assert font_for("dog", 20).getname()[0] == "Aileron"
    assert font_for("Überholverbot Ж", 20).getname()[0] == "DejaVu Sans"
