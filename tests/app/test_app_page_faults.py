"""The page where things go wrong or come at an unlucky time."""

import shutil
import signal
import socket
from contextlib import ExitStack
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from bana.app.serve import CONNECTIONS
from shapes_data import IMAGES, write_shapes

pytest.importorskip("selenium")

from selenium.webdriver import Keys
from selenium.webdriver.common.by import By

from page_driver import Page, Server

HELD = """
    const [key, done] = arguments;
    let time = 0;
    const press = () => {
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, repeat: time > 0 }));
        if (++time < 6) setTimeout(press, 150);
        else done();
    };
    press();
"""


@pytest.fixture(scope="module")
def server(tiny_run, labeled, tmp_path_factory):
    """Six images that are labeled, and one whose file was damaged since."""
    folder = tmp_path_factory.mktemp("faults")
    data = write_shapes(folder / "voc", IMAGES | {"g": IMAGES["a"]})
    damaged = data / "JPEGImages" / "g.jpg"
    damaged.write_bytes(damaged.read_bytes()[:700])
    shutil.copytree(labeled, folder / "labels")
    started = Server(data, folder / "labels", tiny_run)
    yield started
    started.end(signal.SIGKILL)


@pytest.fixture
def page(browser, server):
    browser.set_window_size(1280, 900)
    yield Page(browser, server)
    assert [each for each in Page(browser, server).faults() if "422" not in each] == []


def state_of(server, image_id):
    return server.review(image_id)["draft"]["state"]


def test_accepting_after_a_nudge_keeps_both(page, server):
    page.open("a")
    page.press(Keys.ENTER)
    page.until(lambda: not page.text("status-text").startswith("a "))
    page.open("a")
    page.press(".", Keys.ARROW_RIGHT, Keys.ENTER)
    page.until(lambda: not page.text("status-text").startswith("a "))
    assert server.review("a")["revision"] == 3
    assert server.review("a")["draft"]["objects"][0]["box"] == [11, 12, 51, 52]
    assert state_of(server, "a") == "accepted"


def test_a_key_that_is_held_decides_one_image(page, server, browser):
    page.open("b")
    browser.execute_async_script(HELD, "x")
    page.until(lambda: not page.text("status-text").startswith("b "))
    page.at_rest()
    assert [each for each in IMAGES if state_of(server, each) == "rejected"] == ["b"]


def test_deleting_twice_deletes_once_and_says_nothing(page, server):
    page.open("d")
    page.press(".", Keys.DELETE, Keys.DELETE)
    page.until(lambda: server.review("d")["revision"] == 1)
    page.at_rest()
    assert page.text("toast") == ""
    assert len(page.boxes()) == 1


def test_enter_after_a_click_on_a_row_accepts_it(page, server, browser):
    page.open("d")
    browser.find_element(By.CSS_SELECTOR, "#rows button[data-image=c]").click()
    page.until(lambda: page.text("status-text").startswith("c "))
    page.at_rest()
    page.press(Keys.ENTER)
    page.until(lambda: state_of(server, "c") == "accepted")


def test_a_late_list_of_rows_does_not_undo_newer_ones(page, browser):
    page.open("e")
    states = browser.execute_async_script("""
        const done = arguments[0];
        const real = window.fetch;
        let release = null;
        const gate = new Promise((resolve) => (release = resolve));
        import("/static/state.js").then(async ({ act, loadRows, state }) => {
            window.fetch = async (path, options) => {
                const response = await real(path, options);
                if (path === "/api/images") await gate;
                return response;
            };
            const rows = loadRows(false);
            await real("/api/images"); // the server has answered the one before
            await act({ do: "state", state: "accepted" });
            const row = () => state.rows.find((each) => each.image_id === "e").state;
            const before = row();
            release();
            await rows;
            window.fetch = real;
            done([before, row()]);
        });
    """)
    assert states == ["accepted", "accepted"]


def test_a_damaged_image_is_named_with_its_reason(page, browser):
    page.open("f")
    row = browser.find_element(By.CSS_SELECTOR, "#rows button[data-image=g]")
    row.click()
    page.until(lambda: "g.jpg" in page.text("toast"))
    page.until(lambda: "g.jpg" in browser.find_element(By.CSS_SELECTOR, "#rows button[data-image=g]").text)
    assert "of 6 done" in page.text("progress-text")


def test_the_keyboard_stays_on_the_class_that_was_chosen(page, browser):
    page.open("f")
    browser.execute_script("document.querySelectorAll('#classes button')[1].focus()")
    page.press(Keys.ENTER)
    focused = "return document.activeElement.closest('#classes') && document.activeElement.getAttribute('aria-pressed')"
    assert browser.execute_script(focused) == "true"


def test_the_page_rounds_boxes_as_the_server_does(page, browser):
    page.open("a")  # 96 by 72
    script = """
        const done = arguments[0];
        Promise.all([import("/static/tools.js"), import("/static/masks.js")]).then(([tools, masks]) =>
            done([
                tools.moved([0.5, 1.5, 20, 30], -9, 99),
                masks.centersIn([0.4, 0.6, 3.5, 3.6]),
                masks.centersIn([2.6, 2.6, 3.4, 3.4]),
            ]));
    """
    box, region, least = browser.execute_async_script(script)
    assert box == [0, 43.5, 19.5, 72]
    assert region == {"x": 0, "width": 3, "y": 1, "height": 3}
    assert least == {"x": 3, "width": 1, "y": 3, "height": 1}


def test_a_long_queue_makes_only_rows_around_the_current_one(page, browser):
    page.open("a")
    shown = browser.execute_async_script("""
        const done = arguments[0];
        import("/static/state.js").then(({ state, set }) => {
            const [row] = state.rows;
            const facts = { fault: "none", state: "todo" };
            const rows = [...Array(3000).keys()].map((number) => ({ ...row, ...facts, image_id: `n${number}` }));
            const here = state.rows.find((each) => each.image_id === "a");
            set({ rows: [...rows, here] }, "rows");
            const list = document.getElementById("rows");
            const images = () => [...list.querySelectorAll("button")].map((each) => each.dataset.image);
            const first = images();
            list.scrollTop = 0;
            list.dispatchEvent(new Event("scroll"));
            done([first.length, first.at(-1), images().length, images().at(-1)]);
        });
    """)
    assert shown[0] <= 60
    assert shown[1] == shown[3] == "a"
    assert shown[0] < shown[2] <= 120


def test_a_page_with_nothing_open_and_nothing_kept_works(page, server, browser):
    blocked = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('blocked'); } });"
    refuse = """
        const real = window.fetch;
        const other = (path) => (path.startsWith("/api/review") ? "/api/review?image=g" : path);
        window.fetch = (path, ...more) => real(other(path), ...more);
    """
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": blocked + refuse})
    try:
        browser.get("about:blank")
        browser.get(server.address)
        page.until(lambda: "g.jpg" in page.text("toast"))
        page.press(Keys.ESCAPE, "i", "x", ".", Keys.DELETE, Keys.ENTER)
        for name in ("undo", "redo", "accept", "reject"):
            assert not page.element(name).is_enabled()
        assert page.element("brush-size").get_attribute("textContent") == "10"
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_too_many_connections_are_turned_away_until_others_end(server):
    host, port = urlsplit(server.address).hostname, urlsplit(server.address).port
    assert asked(host, port) == 200
    with ExitStack() as held:
        for _ in range(CONNECTIONS):
            held.enter_context(socket.create_connection((host, port), timeout=20))
        assert asked(host, port) == 503
    assert any(asked(host, port) == 200 for _ in range(50))


def asked(host, port):
    connection = HTTPConnection(host, port, timeout=20)
    connection.request("GET", "/")
    status = connection.getresponse().status
    connection.close()
    return status
