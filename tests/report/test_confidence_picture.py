"""The picture of a run's confidence maps, from the files that it left."""

import shutil

from bana.data.label_folder import LabelFolder
from bana.data.reading import read_dataset
from bana.report.confidence import draw_confidence
from bana.segment.samples import Targets


def test_an_epoch_with_a_missing_map_is_left_out_of_the_picture(tiny_segment_run, tiny_labels, shapes_voc, tmp_path):
    run = shutil.copytree(tiny_segment_run, tmp_path / "run")
    dataset = read_dataset(shapes_voc)
    targets = Targets(dataset.class_table, LabelFolder(tiny_labels), {})
    maps = sorted((run / "sigma").rglob("*.png"))
    assert draw_confidence(targets, dataset, run) == run / "sigma.png"
    whole = (run / "sigma.png").read_bytes()
    maps[1].unlink()
    assert draw_confidence(targets, dataset, run) == run / "sigma.png"
    assert (run / "sigma.png").read_bytes() != whole
    for path in maps[: len(maps) // 2]:  # of one of the two images none is left
        path.unlink(missing_ok=True)
    assert draw_confidence(targets, dataset, run) is None
