"""`bana app` in a process of its own, and what a person does with its page."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from bana.data.masks import decode_mask

NOTHING_DONE = {"revision": 0, "draft": {"state": "todo", "objects": []}}


class Server:
    """`bana app` in a process of its own, on a free port."""

    def __init__(self, data: Path, labels: Path, labeler: Path, *more: str) -> None:
        self.data, self.labels = data, labels
        options = ["--labels", labels, "--labeler", labeler, "--port", 0, "--no-open", *more]
        self._command = [sys.executable, "-m", "bana", "app", *map(str, (data, *options))]
        self.start()

    def start(self) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, env=environment)
        first = self.process.stdout.readline()
        assert first.startswith("http://127.0.0.1:"), first
        self.address = first.split()[0]

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        status = self.process.wait(30)
        self.process.stdout.close()
        return status

    def review(self, image_id: str) -> dict:
        file = self.labels / "review" / f"{image_id}.json"
        return json.loads(file.read_text()) if file.is_file() else NOTHING_DONE

    def masks(self, image_id: str) -> list[np.ndarray]:
        """The masks of an image's objects as they are kept, without paint."""
        objects = self.review(image_id)["draft"]["objects"]
        return [decode_mask(each["mask"], *each["mask"]["size"]) for each in objects]


class Page:
    """What a person does."""

    def __init__(self, browser, server: Server) -> None:
        self._browser, self._server = browser, server

    def open(self, image_id: str) -> None:
        self._browser.get("about:blank")
        self._browser.get(f"{self._server.address}#{image_id}")
        self.until(lambda: self.text("status-text").startswith(f"{image_id} "))

    def until(self, condition) -> None:
        WebDriverWait(self._browser, 20, 0.02).until(lambda _: condition())

    def at_rest(self) -> None:
        self.until(lambda: not self.element("busy").is_displayed())

    def element(self, name: str):
        return self._browser.find_element(By.ID, name)

    def text(self, name: str) -> str:
        return self.element(name).text

    def press(self, *keys: str) -> None:
        actions = ActionChains(self._browser)
        for key in keys:
            actions.send_keys(key)
        actions.perform()

    def press_with(self, modifiers: tuple[str, ...], key: str) -> None:
        actions = ActionChains(self._browser)
        for each in modifiers:
            actions.key_down(each)
        actions.send_keys(key)
        for each in reversed(modifiers):
            actions.key_up(each)
        actions.perform()

    def click(self, place, modifier: str | None = None) -> None:
        """Click a place of the image."""
        actions = ActionChains(self._browser)
        if modifier:
            actions.key_down(modifier)
        actions.w3c_actions.pointer_action.move_to_location(*map(round, self._on_screen(place)))
        actions.w3c_actions.pointer_action.click()
        if modifier:
            actions.w3c_actions.key_action.pause(0.1)
            actions.key_up(modifier)
        actions.perform()

    def _on_screen(self, place) -> tuple[float, float]:
        stage, (x, y) = self.element("canvas").rect, self.on_canvas(place)
        return stage["x"] + x, stage["y"] + y

    def on_canvas(self, place) -> tuple[float, float]:
        """A place of the image on the canvas, or on its left half, in pixels of the screen."""
        script = "return import('/static/view.js').then(({ view }) => [view.scale, view.x, view.y])"
        scale, left, top = self._browser.execute_script(script)
        return left + place[0] * scale, top + place[1] * scale

    def pixel(self, place) -> list[int]:
        """The color of the canvas at a place in pixels of the screen: [R, G, B, alpha], 0..255."""
        script = """const canvas = document.getElementById("canvas");
        const at = arguments[0].map((value) => Math.round(value * devicePixelRatio));
        return [...canvas.getContext("2d").getImageData(...at, 1, 1).data]"""
        return self._browser.execute_script(script, list(place))

    def choose(self, name: str, value: str) -> None:
        """Choose an entry of a list."""
        Select(self.element(name)).select_by_value(value)

    def drag(self, start, end) -> None:
        """Drag from one place of the image to another."""
        points = [self._on_screen(place) for place in (start, end)]
        actions = ActionChains(self._browser, duration=10)
        pointer = actions.w3c_actions.pointer_action
        pointer.move_to_location(*map(round, points[0]))
        pointer.pointer_down()
        pointer.move_to_location(*(round((a + b) / 2) for a, b in zip(*points, strict=True)))
        pointer.move_to_location(*map(round, points[1]))
        pointer.pointer_up()
        actions.perform()

    def boxes(self) -> list[str]:
        script = "return [...document.querySelectorAll('#objects .name')].map((each) => each.textContent)"
        return self._browser.execute_script(script)  # at once: the list may be made anew at any moment

    def faults(self) -> list[str]:
        return [entry["message"] for entry in self._browser.get_log("browser") if entry["level"] == "SEVERE"]
