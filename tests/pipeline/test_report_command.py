"""`bana report` as a user meets it: the file, and the page in a browser."""

import io
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from bad_data import refused
from bana.data.label_folder import LabeledBox
from bana.data.reading import read_dataset
from bana.pipeline.recipe import Recipe
from bana.pipeline.report import subject_of, write_report
from bana.pipeline.run import run_pipeline
from bana.presets import load_preset
from bana.report.page.images import uncertainty
from headless import violations
from shapes_data import CLASSES, IMAGES

SILENT = Console(file=io.StringIO())
EVIL = "<img src=x onerror=document.title=1>\"'&"


@pytest.fixture(scope="module")
def evil_data(data, tmp_path_factory):
    """The tiny data set, one of whose classes has a name that would do harm if it were not escaped."""
    root = tmp_path_factory.mktemp("evil") / "voc"
    shutil.copytree(data, root)
    escaped = EVIL.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for file in (root / "Annotations").glob("*.xml"):
        file.write_text(file.read_text().replace(f"<name>{CLASSES[0]}</name>", f"<name>{escaped}</name>"))
    classes = root / "labels.txt"
    classes.write_text(classes.read_text().replace(CLASSES[0], EVIL))
    return root


@pytest.fixture(scope="module")
def evil_run(evil_data, preset, tmp_path_factory):
    """A run on it, of two epochs a stage."""
    out = tmp_path_factory.mktemp("evil_run") / "run"
    recipe = load_preset(str(preset), Recipe)
    run_pipeline(read_dataset(evil_data, "train"), None, recipe, out, workers=1, console=SILENT)
    return out


@pytest.fixture(scope="module")
def page(evil_run):
    subject = subject_of(evil_run, None, None, None)
    result = write_report(subject, evil_run / "report.html", workers=1, console=SILENT)
    assert (result.images, result.shown) == (len(IMAGES), len(IMAGES))
    return result.file


def test_the_file_fetches_nothing(page):
    html = page.read_text()
    fetched = re.findall(r"""(?:src|href)=["'](?!#|data:)([^"']*)""", html.split('<script type="application/json"')[0])
    assert fetched == []
    assert "default-src 'none'" in html
    assert EVIL not in html


def test_the_page_is_the_same_with_any_number_of_processes(run_cli, evil_run, page, tmp_path):
    assert run_cli("report", evil_run, "--workers", 2, "--out", evil_run / "again.html").status == 0
    assert (evil_run / "again.html").read_bytes() == page.read_bytes()


def test_scores_are_those_of_the_run(page, evil_run):
    metrics = json.loads((evil_run / "run.json").read_text())["metrics"]
    html = page.read_text()
    for score in (metrics["labels"]["y_crf"]["miou"], metrics["network"]["crf"]["miou"]):
        assert f"<strong>{score:.1f} %</strong>" in html


def test_fewer_images_are_chosen_evenly(run_cli, evil_run, page):
    answer = run_cli("report", evil_run, "--images", 2, "--out", evil_run / "few.html", "--workers", 1, "--json")
    assert json.loads(answer.out)["shown"] == 2

    def gallery(file):
        data = re.search(r'id="data">(.*?)</script>', file.read_text(), re.DOTALL)[1]
        return {image["id"]: image["uncertainty"] for image in json.loads(data)["images"]}

    ranked = sorted(gallery(page).items(), key=lambda item: (-item[1], item[0]))
    assert sorted(gallery(evil_run / "few.html").items()) == sorted([ranked[0], ranked[3]])


def test_crowds_and_images_without_boxes_are_not_uncertain(evil_data):
    record = read_dataset(evil_data, "train")[1]
    boxes = tuple(LabeledBox(1, "ok", confidence, 0.5, None, {}) for confidence in (0.9, 0.2))
    assert uncertainty(record, boxes) == pytest.approx(1 - 0.55)
    crowd = replace(record, crowd=np.array([False, True]))
    assert uncertainty(crowd, boxes) == pytest.approx(0.1)
    assert uncertainty(replace(record, crowd=np.zeros(0, bool)), ()) is None


def test_a_label_folder_with_its_data_makes_a_page(run_cli, evil_run, evil_data, tmp_path):
    file = tmp_path / "page.html"
    answer = run_cli(
        "report", evil_run / "labels", "--data", evil_data, "--split", "train", "--out", file, "--workers", 1
    )
    assert answer.status == 0, answer.err
    html = file.read_text()
    assert "Table 1" in html
    assert "Table 3" not in html


def test_a_page_takes_the_place_of_a_page_and_of_nothing_else(run_cli, evil_run, evil_data, tmp_path):
    file = tmp_path / "notes.html"
    command = ("report", evil_run / "labels", "--data", evil_data, "--split", "train", "--out", file, "--workers", 1)
    file.write_text("<html>Notes of a person</html>")
    refused(run_cli(*command), str(file), "no report of bana")
    assert file.read_text() == "<html>Notes of a person</html>"
    file.unlink()
    assert run_cli(*command).status == 0
    first = file.read_bytes()
    assert run_cli(*command).status == 0
    assert file.read_bytes() == first
    refused(run_cli(*command[:-4], "--out", tmp_path, "--workers", 1), str(tmp_path), "cannot be read")


def test_a_folder_that_is_no_finished_run_is_refused(run_cli, evil_run, data, tmp_path):
    refused(run_cli("report", evil_run / "labels"), str(evil_run / "labels"), "--data")
    refused(run_cli("report", tmp_path), "labels.json")
    refused(run_cli("report", evil_run, "--data", data, "--split", "train"), "class 1", "disk")
    (tmp_path / "run.json").write_text(json.dumps({"steps": {"labels": {"done": False}}}))
    refused(run_cli("report", tmp_path), "labels is not done")
    (tmp_path / "run.json").write_text(json.dumps({"steps": {"labels": 3, "segment": {}}}))
    refused(run_cli("report", tmp_path), "run.json")


@pytest.mark.slow
def test_gallery_filters_and_viewer_work_in_a_browser(browser, page):
    browser.get(page.as_uri())
    run = browser.execute_script
    assert run("return document.querySelectorAll('#tiles .tile').length") == len(IMAGES)
    assert run("return document.title") != "1"
    names = run("return [...document.querySelectorAll('#class option')].map((each) => each.textContent)")
    assert EVIL in names
    run("const s = document.getElementById('class'); s.value = 1; s.dispatchEvent(new Event('input'))")
    with_disk = sorted(name for name, (_, shapes) in IMAGES.items() if any(kind == CLASSES[0] for kind, _ in shapes))
    shown = run("return [...document.querySelectorAll('#tiles b')].map((each) => each.textContent)")
    assert sorted(shown) == with_disk
    run("document.querySelector('#tiles').scrollIntoView()")
    wait = """
        const done = arguments[0];
        const look = () => (document.querySelector("#tiles img")?.complete ? done() : setTimeout(look, 20));
        look();
    """
    browser.execute_async_script(wait)
    run("document.querySelector('#tiles button').click()")
    assert run("return document.querySelectorAll('#boxes tr').length") >= 1
    wide = "return [...document.querySelectorAll('#large img')].map((each) => each.naturalWidth > 0)"
    assert all(run(wide))
    before = run("return document.getElementById('viewer-title').textContent")
    run("document.getElementById('viewer').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}))")
    assert run("return document.getElementById('viewer-title').textContent") != before
    run("document.getElementById('viewer').dispatchEvent(new KeyboardEvent('keydown', {key: '1'}))")
    assert run("return document.querySelectorAll('#large .side.right img').length") == 1  # the photograph alone
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_accessibility_violations(browser, page, scheme):
    feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
    browser.get(page.as_uri())
    browser.execute_script("for (const each of document.querySelectorAll('details')) each.open = true")
    assert violations(browser) == []
    browser.execute_script("document.querySelector('#tiles button').click()")
    assert violations(browser) == []
