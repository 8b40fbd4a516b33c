"""How a page of `bana report` loads and scrolls, in headless Chromium.

    pip install selenium    # and chromium with its driver from the system's packages
    bana report labels --data DATA --split train --out report.html
    python benchmarks/report.py report.html --pictures shots

The gallery is scrolled from its begin to its end, one screen a second. Printed are the seconds until the page is
ready, the share of frames that came later than a thirtieth of a second after the one before, the longest time
without a frame, the share of tiles on the screen that had no picture yet, how many pictures were in the page at most,
and the memory that its JavaScript holds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path

from selenium import webdriver

SCROLL = """
const [seconds, done] = arguments, frames = [];
const begin = document.querySelector("#tiles").getBoundingClientRect().top + scrollY;
const end = document.body.scrollHeight - innerHeight;
let most = 0, seen = 0, empty = 0, first = null, last = null;
requestAnimationFrame(function step(now) {
  first ??= now;
  if (last !== null) frames.push(now - last);
  last = now;
  most = Math.max(most, document.querySelectorAll(".stack img").length);
  for (const stack of document.querySelectorAll("#tiles .stack")) {
    const { top, bottom } = stack.getBoundingClientRect();
    if (bottom < 0 || top > innerHeight) continue;
    seen += 1;
    empty += ![...stack.querySelectorAll("img")].some((each) => each.complete);
  }
  const share = Math.min(1, (now - first) / (1000 * seconds));
  scrollTo({ top: begin + share * (end - begin), behavior: "instant" });
  if (share < 1) requestAnimationFrame(step);
  else done({ frames, most, empty: empty / seen, screens: (end - begin) / innerHeight });
});
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder for screenshots")
    options = parser.parse_args()
    settings = webdriver.ChromeOptions()
    settings.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1280,900"):
        settings.add_argument(argument)
    browser = webdriver.Chrome(options=settings, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        browser.set_script_timeout(600)
        began = time.monotonic()
        browser.get(options.page.absolute().as_uri())
        ready = time.monotonic() - began
        tiles = browser.execute_script("return document.querySelectorAll('#tiles .tile').length")
        screens = browser.execute_script("return document.querySelector('#tiles').offsetHeight / innerHeight")
        seen = browser.execute_async_script(SCROLL, max(5.0, screens))
        frames = seen["frames"]
        result = {
            "megabytes": round(options.page.stat().st_size / 1e6, 1),
            "images": tiles,
            "ready_seconds": round(ready, 2),
            "screens": round(seen["screens"], 1),
            "frames": len(frames),
            "late_frames": round(sum(frame > 1000 / 30 for frame in frames) / len(frames), 4),
            "longest_frame_ms": round(max(frames)),
            "empty_tiles": round(seen["empty"], 4),
            "most_pictures": seen["most"],
            "script_megabytes": round(browser.execute_script("return performance.memory.usedJSHeapSize") / 1e6, 1),
        }
        if options.pictures:
            options.pictures.mkdir(parents=True, exist_ok=True)
            for name, place in (("begin", 0), ("middle", 0.5), ("end", 1)):
                browser.execute_script(
                    "scrollTo({top: arguments[0] * document.body.scrollHeight, behavior: 'instant'})", place
                )
                time.sleep(1.0)
                browser.save_screenshot(str(options.pictures / f"{name}.png"))
    finally:
        browser.quit()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
