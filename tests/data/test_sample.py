"""The sample set in the package: it is all there, readable, and every photograph is attributed."""

import json

import numpy as np

from bana.data.check import check
from bana.data.sample import FOLDER, sample_dataset
from bana.data.sample.attribution import attribution
from bana.data.truth import instance_truth


def test_it_holds_what_its_description_says():
    dataset = sample_dataset()
    assert len(dataset) == 52
    assert sum(len(record) for record in dataset) == 355
    assert len(dataset.classes) == 80
    assert len({int(class_id) for record in dataset for class_id in record.class_ids}) == 61
    content = json.loads((FOLDER / "instances.json").read_bytes())
    assert content["info"]["description"].startswith("52 MS-COCO 2017 photographs")


def test_no_image_or_annotation_has_a_fault():
    report = check(FOLDER, format="coco")
    assert report.faults == ()
    assert report.masks == 355
    assert {record.path for record in report.dataset} == set((FOLDER / "images").iterdir())


def test_photographs_are_480_pixels_on_the_longer_side():
    assert {max(record.width, record.height) for record in sample_dataset()} == {480}


def test_masks_lie_in_their_boxes():
    record = next(record for record in sample_dataset() if record.image_id == "000000000092")
    assert sorted(sample_dataset().classes[class_id - 1] for class_id in record.class_ids) == ["cake", "fork"]
    for mask, (x0, y0, x1, y1) in zip(instance_truth(record), record.boxes, strict=True):
        rows, columns = np.nonzero(mask)
        assert (
            abs(np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) - (x0, y0, x1, y1)).max() < 2
        )


def test_attribution_is_made_from_the_annotations():
    content = json.loads((FOLDER / "instances.json").read_bytes())
    assert (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8") == attribution(content)


def test_every_photograph_has_a_row_with_license_and_source():
    content = json.loads((FOLDER / "instances.json").read_bytes())
    text = (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    licenses = {entry["id"]: entry["url"] for entry in content["licenses"]}
    assert rows.keys() == {path.name for path in (FOLDER / "images").iterdir()}
    for image in content["images"]:
        row = rows[image["file_name"]]
        assert licenses[image["license"]] in row
        assert image["flickr_url"] in row
        assert f"[{image['id']}]" in row
    assert "scaled to 480 pixels" in text
    assert "creativecommons.org/licenses/by/4.0" in text
