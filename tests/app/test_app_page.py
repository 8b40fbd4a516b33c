"""The page in a browser, in front of the real command."""

import signal

import numpy as np
import pytest
from PIL import Image

from bana import read_dataset
from bana.data.images import open_image
from bana.data.label_folder import LabelFolder
from bana.data.masks import decode_mask
from headless import violations
from shapes_data import IMAGES, draw, write_shapes

pytest.importorskip("selenium")

from selenium.webdriver import Keys
from selenium.webdriver.support.ui import Select

from page_driver import Page, Server


@pytest.fixture(scope="module")
def server(shapes_voc, tiny_run, tmp_path_factory):
    started = Server(shapes_voc, tmp_path_factory.mktemp("page") / "labels", tiny_run)
    yield started
    if started.process.poll() is None:
        started.end(signal.SIGKILL)


@pytest.fixture
def page(browser, server):
    browser.set_window_size(1280, 900)
    yield Page(browser, server)
    assert not Page(browser, server).faults()


def test_a_box_drawn_with_the_mouse_gets_the_mask_of_bana_label(page, server, run_cli, tiny_run, tmp_path):
    page.open("c")
    page.press("1")
    page.drag((3, 5), (27, 40))
    page.until(lambda: len(page.boxes()) == 2)
    page.at_rest()
    objects = server.review("c")["draft"]["objects"]
    assert objects[0]["box"] == [30, 10, 80, 60]
    assert np.abs(np.array(objects[1]["box"]) - [3, 5, 27, 40]).max() <= 1  # a pixel of the screen is less than one
    box = tuple(map(int, objects[1]["box"]))
    name = objects[1]["class_name"]
    images = {"c": (IMAGES["c"][0], (*IMAGES["c"][1], (name, box)))}
    data = write_shapes(tmp_path / "voc", images)
    (data / "JPEGImages" / "c.jpg").write_bytes(read_dataset(server.data)[2].path.read_bytes())
    assert run_cli("label", data, "--labeler", tiny_run, "--out", tmp_path / "labels", "--workers", 1).status == 0
    real = LabelFolder(tmp_path / "labels").boxes(read_dataset(data)[0])
    assert [each.mask["counts"] for each in real] == [each["mask"]["counts"] for each in objects]


def test_brush_undo_and_accept_are_found_again_after_a_reload(page, server):
    page.open("d")
    page.press(".", "p", "]")
    page.drag((8, 8), (26, 12))
    page.until(lambda: "painted" in page.text("objects"))
    painted = decode_mask(server.review("d")["draft"]["objects"][0]["added"], 64, 64)
    assert painted[8:12, 9:26].all()
    assert not painted[:, 30:].any()  # the box ends there
    page.press("e")
    page.drag((10, 20), (20, 20))
    page.until(lambda: (server.review("d")["draft"]["objects"][0]["removed"] or {}) != {})
    page.at_rest()
    page.press_with((Keys.CONTROL,), "z")
    page.until(lambda: server.review("d")["draft"]["objects"][0]["removed"] is None)
    page.at_rest()
    page.press_with((Keys.CONTROL, Keys.SHIFT), "z")
    page.until(lambda: server.review("d")["draft"]["objects"][0]["removed"] is not None)
    page.at_rest()
    kept = server.review("d")["draft"]["objects"]
    page.press(Keys.ENTER)
    page.until(lambda: not page.text("status-text").startswith("d "))  # the next image
    page.open("d")
    assert "accepted" in page.text("status-text")
    assert "painted" in page.text("objects")
    assert page.element("undo").is_enabled()
    assert not page.element("redo").is_enabled()
    assert server.review("d")["draft"]["objects"] == kept
    assert "1 accepted" in page.text("progress-text")


def test_boxes_are_moved_resized_renamed_and_deleted(page, server):
    page.open("e")
    page.press(".", "b")
    page.drag((78, 25), (70, 28))  # inside it: it moves
    page.until(lambda: server.review("e")["revision"] == 1)
    page.at_rest()
    moved = server.review("e")["draft"]["objects"][0]["box"]
    assert np.abs(np.array(moved) - [52, 11, 87, 46]).max() <= 1
    page.drag((moved[2], moved[3]), (95, 60))  # its corner: it is resized
    page.until(lambda: server.review("e")["revision"] == 2)
    page.at_rest()
    resized = server.review("e")["draft"]["objects"][0]["box"]
    assert resized[:2] == moved[:2]
    assert np.abs(np.array(resized[2:]) - [95, 60]).max() <= 1
    page.press_with((Keys.SHIFT,), Keys.ARROW_UP)
    page.press("j")  # before it was sent
    page.until(lambda: not page.text("status-text").startswith("e "))
    page.press("k")
    page.until(lambda: page.text("status-text").startswith("e "))
    assert server.review("e")["revision"] == 3
    page.press(".")
    page.at_rest()
    assert server.review("e")["draft"]["objects"][0]["box"][1] == resized[1] - 10
    page.press("c", "squa", Keys.ENTER)
    page.until(lambda: page.boxes()[:1] == ["1 square"])
    page.at_rest()
    page.press(Keys.DELETE)
    page.until(lambda: page.boxes() == ["1 disk"])


def test_an_uploaded_photograph_is_labeled(page, server, tmp_path):
    page.open("a")
    file = tmp_path / "my photo.png"
    Image.fromarray(draw(*IMAGES["a"], seed=7)).save(file)
    page.element("upload-file").send_keys(str(file))
    page.until(lambda: page.text("status-text").startswith("uploaded-my-photo "))
    page.drag((10, 12), (50, 52))
    page.until(lambda: len(page.boxes()) == 1)
    page.at_rest()
    assert server.masks("uploaded-my-photo")[0].sum() > 600
    assert open_image(server.labels / "uploads" / "my-photo.jpg").shape == (72, 96, 3)


def test_export_shows_the_folder(page, server):
    page.open("f")
    page.press("x")
    page.until(lambda: server.review("f")["draft"]["state"] == "rejected")
    page.element("export-button").click()
    Select(page.element("export-which")).select_by_value("not_rejected")
    page.element("export-form").submit()
    folder = server.labels / "exports" / "coco-1"
    page.until(lambda: str(folder) in page.text("export-result"))
    assert "f" not in [record.image_id for record in read_dataset(folder)]


def test_a_change_in_another_window_is_not_overwritten(page, server, browser):
    page.open("b")
    script = """
        const headers = { "content-type": "application/json" };
        const body = { image: "b", revision: 0, action: { do: "state", state: "accepted" } };
        return fetch("/api/act", { method: "POST", headers, body: JSON.stringify(body) }).then((each) => each.status);
    """
    assert browser.execute_script(script) == 200
    page.press("i")
    page.until(lambda: "loaded again" in page.text("toast"))
    page.until(lambda: "accepted" in page.text("status-text"))
    assert len(page.boxes()) == 2
    assert [fault for fault in page.faults() if "409" not in fault] == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_has_no_accessibility_violations(page, browser, width, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        page.open("a")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert violations(browser) == []
        page.press("?")
        assert page.element("help").is_displayed()
        assert violations(browser) == []
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_click_and_an_alt_click_correct_the_mask(page, server):
    page.open("b")
    page.press(".", "o")
    x0, y0, x1, y1 = 8, 20, 40, 60
    page.click((x0 + 4, y0 + 4))
    page.until(lambda: "1 point" in page.text("objects"))
    page.at_rest()
    page.click((x1 - 4, y1 - 4), Keys.ALT)
    page.until(lambda: "2 points" in page.text("objects"))
    page.at_rest()
    first, second = server.review("b")["draft"]["objects"][0]["points"]
    assert np.abs(np.array(first[:2]) - [x0 + 4, y0 + 4]).max() <= 1
    assert np.abs(np.array(second[:2]) - [x1 - 4, y1 - 4]).max() <= 1
    assert (first[2], second[2]) == (True, False)
    assert server.masks("b")[0][y0 + 4, x0 + 4]
    page.drag((x0 + 3, y1 - 4), (x1 - 8, y1 - 4))
    page.until(lambda: "5 points" in page.text("objects"))  # where the drag began, went through, and ended
    page.at_rest()
    for left in ("2 points", "1 point", "square"):
        page.press_with((Keys.CONTROL,), "z")
        page.until(lambda left=left: left in page.text("objects"))
        page.at_rest()
    assert "point" not in page.text("objects")


def test_a_box_is_tightened_to_its_mask(page, server):
    page.open("c")
    page.press(".", "b")
    page.drag((80, 60), (86, 66))  # looser
    page.until(lambda: server.review("c")["draft"]["objects"][0]["box"][2] > 82)
    page.at_rest()
    rows, columns = (np.flatnonzero(server.masks("c")[0].any(axis)) for axis in (1, 0))
    page.press("t")
    tight = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    page.until(lambda: server.review("c")["draft"]["objects"][0]["box"] == tight)
    page.at_rest()


def test_painting_by_the_keyboard(page, server):
    page.open("a")
    page.press(".", "p", *[Keys.ARROW_LEFT] * 3, "y")
    page.until(lambda: "painted" in page.text("objects"))
    page.at_rest()
    x0, y0, x1, y1 = server.review("a")["draft"]["objects"][0]["box"]
    painted = decode_mask(server.review("a")["draft"]["objects"][0]["added"], 72, 96)
    rows, columns = np.nonzero(painted)
    assert abs(columns.mean() + 0.5 - ((x0 + x1) / 2 - 3)) < 0.6
    assert abs(rows.mean() + 0.5 - (y0 + y1) / 2) < 0.6
    page.press("o", Keys.ARROW_UP)
    page.press_with((Keys.SHIFT,), "y")
    page.until(lambda: "1 point" in page.text("objects"))
    page.at_rest()
    assert server.review("a")["draft"]["objects"][0]["points"][0][2] is False


def test_boxes_of_one_class_alone(page):
    page.choose("filter-state", "all")
    page.open("b")
    assert len(page.boxes()) == 2
    page.choose("filter-state", "all")
    page.choose("filter-class", "1")
    page.element("only-class").click()
    page.until(lambda: len(page.boxes()) == 1)
    page.element("only-class").click()
    page.until(lambda: len(page.boxes()) == 2)


def test_as_labeled_and_now_side_by_side(page, server):
    page.open("f")
    page.press(".", "p", "]", "]", "]", "]")
    page.press("v")
    page.until(lambda: page.element("compare").get_attribute("aria-pressed") == "true")
    page.at_rest()
    page.press("e", Keys.ARROW_UP, "y")
    page.until(lambda: "painted" in page.text("objects"))
    page.at_rest()
    half = page.element("canvas").rect["width"] / 2
    x, y = page.on_canvas((36, 34))
    page.until(lambda: page.pixel((x, y)) != page.pixel((x + half, y)))  # erased on the right alone
    x, y = page.on_canvas((3, 3))
    assert page.pixel((x, y)) == page.pixel((x + half, y))
    page.press("v")


def test_a_page_that_only_shows(browser, server, shapes_voc, tiny_run, tmp_path):
    shown = Server(shapes_voc, tmp_path / "labels", tiny_run, "--read-only")
    try:
        page = Page(browser, shown)
        page.open("b")
        for name in ("accept", "undo", "upload-button", "export-button", "tools"):
            assert not page.element(name).is_displayed()
        page.click((24, 40))
        page.until(lambda: "true" in page.element("objects").get_attribute("innerHTML"))
        page.press("x", "t", Keys.DELETE, "b")
        page.drag((3, 3), (30, 30))
        page.until(lambda: "read-only" in page.text("toast"))
        assert len(page.boxes()) == 2
        assert not (tmp_path / "labels" / "review").exists()
    finally:
        shown.end(signal.SIGKILL)


def test_a_second_server_is_refused_and_a_killed_one_has_lost_nothing(page, server, run_cli, tiny_run):
    options = ("--labels", server.labels, "--labeler", tiny_run, "--no-open", "--port", 0)
    second = run_cli("app", server.data, *options)
    assert second.status == 2
    assert "another run writes there" in second.err
    page.open("a")
    page.press("2")
    page.drag((60, 30), (85, 60))
    page.until(lambda: len(page.boxes()) == 2)
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    server.start()
    page.open("a")
    assert page.boxes()[1].startswith("2 ")
    assert "edited" in page.text("status-text")
    assert server.end(signal.SIGINT) == 0
