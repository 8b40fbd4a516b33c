"""The data set that the tutorial learns from."""

import re

from bana.data.check import check
from bana.data.reading import read_dataset
from doc_blocks import ROOT

NUCLEI = ROOT / "examples/nuclei"


def test_the_nuclei_are_what_the_tutorial_says():
    counts = {split: read_dataset(NUCLEI, split) for split in ("train", "val")}
    text = (ROOT / "docs/tutorial.md").read_text()
    stated = {split: int(boxes) for split, boxes in re.findall(r"instances_(\w+)\.json +(\d+) boxes", text)}
    assert {split: sum(len(record) for record in each) for split, each in counts.items()} == stated
    assert [len(each) for each in counts.values()] == [30, 15]
    assert all(segmentation is None for record in counts["train"] for segmentation in record.segmentations)
    assert all(segmentation is not None for record in counts["val"] for segmentation in record.segmentations)


def test_nothing_is_wrong_with_the_nuclei():
    for split in ("train", "val"):
        report = check(NUCLEI, split)
        assert not report.faults
        assert not report.dataset.notes
