"""The attribution table of the sample set, made from its annotation file.

``python -m bana.data.sample.attribution > ATTRIBUTION.md`` writes it anew.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from bana.data.sample import FOLDER

_HEAD = """\
# Photographs of the sample set

{count} photographs of [MS-COCO 2017](https://cocodataset.org), each by the person whose Flickr page the table links to
and under the licence that it names:

{licences}

**What was changed.** Every photograph was scaled to 480 pixels on the longer side. Of the annotations
(`instances.json`) the thing segments of these photographs were kept and scaled with them, and the description in the
file was corrected to the {count} photographs that there are. Annotations and masks are MS-COCO's, by the COCO
Consortium, under [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/).

Pictures that `bana demo` makes of the photographs are adaptations of them and keep their licences.

| file | licence | photographer's page | source | MS-COCO id |
|---|---|---|---|---|
"""
_SHORT = {4: "CC BY 2.0", 5: "CC BY-SA 2.0", 7: "No known copyright restrictions"}
"""Names of COCO's licence ids that tell the version, which COCO's own names leave out."""


def attribution(content: dict[str, Any]) -> str:
    """The table in Markdown, one row an image, in the order of the file names.

    Args:
        content: The annotation file: ``images`` with ``license``, ``flickr_url`` and ``coco_url``, and ``licenses``.
    """
    images = sorted(content["images"], key=lambda image: image["file_name"])
    counts = Counter(image["license"] for image in images)
    licences = {entry["id"]: entry for entry in content["licenses"] if entry["id"] in counts}
    lines = (
        f"- [{_SHORT[number]}]({entry['url']}) ({entry['name']}): {counts[number]} photographs"
        if counts[number] > 1
        else f"- [{_SHORT[number]}]({entry['url']}): 1 photograph"
        for number, entry in licences.items()
    )
    rows = "".join(_row(image, licences[image["license"]]) for image in images)
    return _HEAD.format(count=len(images), licences="\n".join(lines)) + rows


def _row(image: dict[str, Any], licence: dict[str, Any]) -> str:
    # Flickr's file names begin with the photograph's number, by which its page is found.
    number = image["flickr_url"].rsplit("/", 1)[1].split("_")[0]
    cells = (
        f"`{image['file_name']}`",
        f"[{_SHORT[licence['id']]}]({licence['url']})",
        f"[photo {number}](https://www.flickr.com/photo.gne?id={number})",
        image["flickr_url"],
        f"[{image['id']}]({image['coco_url']})",
    )
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    print(attribution(json.loads((FOLDER / "instances.json").read_bytes())), end="")
