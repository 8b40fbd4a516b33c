"""Which photographs the picture of a run shows: sure ones and the most doubtful."""

import json
import shutil

import pytest

from bana.data.reading import read_dataset
from bana.pipeline import picture
from bana.segment.segmenter import PredictSettings


@pytest.mark.parametrize("key", ["expected_iou", "confidence"])
def test_the_most_doubtful_photographs_come_last(shapes_voc, true_labels, tiny_segment_run, tmp_path, monkeypatch, key):
    dataset, labels = read_dataset(shapes_voc), shutil.copytree(true_labels, tmp_path / "labels")
    boxed = [record.image_id for record in dataset if len(record)]
    scores = {name: 0.3 + number / 10 for number, name in enumerate(reversed(boxed))}
    for name, score in scores.items():
        file = labels / f"instances/{name}.json"
        content = json.loads(file.read_text())
        content["instances"] = [each | {key: score} for each in content["instances"]]
        file.write_text(json.dumps(content))
    shown = []
    monkeypatch.setattr(picture, "EXAMPLES", 4)
    monkeypatch.setattr(picture, "run_sheet", lambda rows, *_, **words: shown.extend(row.caption for row in rows))
    picture.run_picture(dataset, labels, tiny_segment_run, PredictSettings(scales=(1.0,), flip=False, crf=None))
    doubtful = boxed[-(len(boxed) // 2) :][-3:]
    assert len(shown) == 4
    assert shown[1:] == [f"{name} · score {scores[name]:.2f}" for name in doubtful]
