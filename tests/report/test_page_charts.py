"""Charts of a page: SVG elements in the page's colors."""

import re
from xml.etree import ElementTree

import pytest

from bana.errors import SettingsError
from bana.evaluate.calibration import CalibrationBin
from bana.report.page.charts import calibration_svg, curve_svg, violins_svg

SVG = "{http://www.w3.org/2000/svg}"


def texts(drawn):
    return ["".join(each.itertext()) for each in ElementTree.fromstring(drawn).iter(f"{SVG}text")]


def test_a_curve_is_named_and_in_the_colors_of_the_page():
    points = [(step, 1 / (1 + step)) for step in range(50)]
    drawn = curve_svg("one", points, x="step", y="loss", title='loss "<of> & one"')
    assert ElementTree.fromstring(drawn).attrib["aria-label"] == 'loss "<of> & one"'
    assert {"step", "loss"} <= set(texts(drawn))
    assert "var(--series-1)" in drawn
    assert not re.search(r"#0102\d\d|<script|<image", drawn)


def test_charts_of_one_page_share_no_id():
    bins = [CalibrationBin(0.5, 0.4, 0.2), CalibrationBin(0.9, 0.95, 0.8)]
    ids = [set(re.findall(r'\bid="([^"]*)"', calibration_svg(name, bins, title=name))) for name in ("one", "two")]
    assert ids[0]
    assert not ids[0] & ids[1]


@pytest.mark.filterwarnings("error")
def test_class_names_stay_text(recwarn):
    name = r"$\foo$ 犬 <b>"
    rates = {made_by: {name: [0.1 * k for k in range(9)]} for made_by in ("truth", "labels")}
    assert f"{name} (9)" in texts(violins_svg("rates", rates, title="rates"))
    with pytest.raises(SettingsError, match="no class has"):
        violins_svg("rates", {"truth": {name: [0.5]}, "labels": {name: [0.5]}}, title="rates")
