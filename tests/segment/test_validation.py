"""What is measured during training, with cosines that are given."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from bana.data.reading import read_dataset
from bana.data.truth import semantic_truth
from bana.evaluate.confusion import ConfusionMatrix, mean_iou
from bana.segment import validation
from bana.segment.losses import confidence_map
from bana.segment.samples import Targets
from bana.segment.validation import CONFIDENCE, draw_confidence_maps, forget_confidence_maps, network_miou
from shapes_data import write_shapes, write_true_masks


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = write_shapes(tmp_path_factory.mktemp("shapes") / "voc")
    write_true_masks(root)
    return read_dataset(root)


@pytest.fixture
def given_cosines(monkeypatch):
    """Lets the network answer by a function from the image to its cosines (1, C, H, W)."""

    def give(answer):
        monkeypatch.setattr(validation, "mean_cosine", lambda network, image: answer(image))

    return give


def random_cosines(image):
    generator = torch.Generator().manual_seed(image.shape[1])
    return torch.rand(1, 4, *image.shape[:2], generator=generator) * 1.9 - 0.95


@pytest.mark.parametrize("gamma", [1.5, 7.0])
def test_confidence_maps_show_the_confidence_in_y_crf(dataset, given_cosines, tmp_path, gamma):
    """255 where sigma is 1; ignored pixels are black."""
    given_cosines(random_cosines)
    record = dataset[1]
    y_crf = semantic_truth(record, dataset.class_table).copy()
    y_crf[:10] = 255
    labels = SimpleNamespace(label_map=lambda name, _: {"y_crf": y_crf, "y_ret": np.zeros_like(y_crf)}[name])
    targets = Targets(dataset.class_table, labels, {})
    draw_confidence_maps(None, [record], targets, gamma, 3, tmp_path)
    with Image.open(tmp_path / CONFIDENCE / record.image_id / "epoch-003.png") as picture:
        found = np.asarray(picture)
    cosine = random_cosines(np.zeros((record.height, record.width, 3)))
    sigma = confidence_map(cosine, torch.from_numpy(y_crf.astype("int64"))[None], gamma=gamma)[0].numpy()
    np.testing.assert_array_equal(found, np.rint(255 * sigma))
    assert not found[:10].any()
    forget_confidence_maps(tmp_path)
    assert not list(tmp_path.rglob("*.png"))


def test_the_score_is_the_miou_of_the_best_classes_over_all_images(dataset, given_cosines):
    given_cosines(random_cosines)
    confusion = ConfusionMatrix(4)
    for record in dataset:
        best = random_cosines(np.zeros((record.height, record.width, 3))).argmax(1)[0].numpy()
        confusion.update(best, semantic_truth(record, dataset.class_table))
    assert network_miou(None, dataset) == pytest.approx(mean_iou(confusion))


def test_a_network_that_is_right_everywhere_scores_100(dataset, given_cosines):
    truths = {record.width * 1000 + record.height: semantic_truth(record, dataset.class_table) for record in dataset}
    given_cosines(
        lambda image: torch.nn.functional.one_hot(
            torch.from_numpy(truths[image.shape[1] * 1000 + image.shape[0]].astype("int64")), 4
        ).permute(2, 0, 1)[None]
    )
    assert network_miou(None, dataset) == 100
