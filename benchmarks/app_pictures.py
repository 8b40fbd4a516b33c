"""Take the pictures of docs/app.md: `PYTHONPATH=tests/helpers python benchmarks/app_pictures.py`, in the top folder.

The photographs that come with bana are shown by the real command in headless Chromium. Labels go to a folder that is
removed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from selenium.webdriver import ActionChains

from headless import start_browser

DOCS = Path(__file__).parents[1] / "docs"
SHOTS = (
    # file, width, height, scheme, image, keys
    ("app.jpg", 1280, 760, "light", "000000000785", "."),
    ("app-phone.jpg", 390, 844, "dark", "000000000471", ""),
)


def main() -> None:
    """Start the command, take every picture, end it."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bana", "app", "demo", "--labels", folder, "--port", "0", "--no-open"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        browser = start_browser()
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[0]
            _wait_until_labeled(browser, address)
            for shot in SHOTS:
                _take(browser, address, *shot)
        finally:
            browser.quit()
            server.terminate()
            server.wait()


def _wait_until_labeled(browser: Any, address: str) -> None:
    browser.get(address)
    asking = "return fetch('/api/images').then((each) => each.json())"
    while not all(row["labeled"] for row in browser.execute_script(asking)):
        time.sleep(0.5)


def _take(browser: Any, address: str, name: str, width: int, height: int, scheme: str, image: str, keys: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get("about:blank")
    browser.get(f"{address}#{image}")
    while not browser.find_element("id", "status-text").text.startswith(image):
        time.sleep(0.1)
    if keys:
        ActionChains(browser).send_keys(keys).perform()
    time.sleep(1)  # thumbnails come as they are seen
    picture = Image.open(BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    picture.save(DOCS / name, quality=88, optimize=True)


if __name__ == "__main__":
    main()
