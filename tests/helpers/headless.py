"""A browser without a window, for the pages that bana makes, and axe to check who can use them."""

import os
import shutil
from pathlib import Path

import pytest


def start_browser():
    """A headless Chromium that reaches this machine only, or a skip where there is none (see CONTRIBUTING.md)."""
    webdriver = pytest.importorskip("selenium.webdriver")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless=new",
        "--no-sandbox",  # tests may run as root
        "--disable-dev-shm-usage",
        "--force-device-scale-factor=1",
        "--window-size=1280,900",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def violations(browser) -> list[str]:
    """What axe finds wrong with the page that is open: rule and element of each; a skip without axe."""
    script = os.environ.get("BANA_TEST_AXE")
    if not script or not Path(script).is_file():
        pytest.skip("BANA_TEST_AXE does not name axe.min.js of the npm package axe-core")
    browser.execute_script(Path(script).read_text(encoding="utf-8"))
    found = browser.execute_async_script("axe.run(document).then(arguments[0])")
    return [f"{rule['id']}: {node['html']}" for rule in found["violations"] for node in rule["nodes"]]
