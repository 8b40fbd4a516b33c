"""What runs on a GPU gives there what it gives on the CPU. BANA_TEST_DEVICE names another device than ``cuda``."""

import os

import numpy as np
import pytest
import torch

from bana.classify.pooling import background_attention, background_aware_pool, background_queries
from bana.data.images import open_image
from bana.data.sample import FOLDER
from bana.label.labeler import Labeler
from bana.label.upsampled import UpsampledFeatures
from bana.segment.losses import noise_aware_loss
from densecrf import DenseCRF

DEVICE = os.environ.get("BANA_TEST_DEVICE", "cuda")
HERE = torch.cuda.is_available() if DEVICE.startswith("cuda") else True
pytestmark = pytest.mark.skipif(not HERE, reason=f"needs {DEVICE}")


def near(found, expected, tolerance=1e-4):
    assert found.device.type == DEVICE.partition(":")[0]
    torch.testing.assert_close(found.cpu(), expected, rtol=tolerance, atol=tolerance)


def test_background_aware_pooling():
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(2, 16, 12, 15, generator=generator)
    background = (torch.rand(2, 1, 12, 15, generator=generator) < 0.5).float()
    boxes = torch.tensor([[0, 1.0, 2.0, 9.0, 8.0], [1, 0.0, 0.0, 14.0, 11.0]])

    def pooled(device):
        maps = features.to(device)
        attention = background_attention(maps, *background_queries(maps, background.to(device), grid_size=4))
        return background_aware_pool(maps, attention, boxes.to(device), 2)

    near(pooled(DEVICE), pooled("cpu"))


def test_upsampled_features():
    features = torch.rand(8, 7, 9, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(2, 50, 63, dtype=torch.bool)
    masks[0, 5:20, 10:40] = masks[1, 30:, :20] = True
    here, there = (UpsampledFeatures(features.to(device), (50, 63)) for device in ("cpu", DEVICE))
    near(there.mean(masks.to(DEVICE)), here.mean(masks))
    vectors = features[:, 2:4, 3].T.contiguous()
    near(there.cosine(vectors.to(DEVICE)), here.cosine(vectors))


def test_noise_aware_loss_and_its_gradient():
    generator = torch.Generator().manual_seed(0)
    cosine = torch.rand(2, 5, 20, 21, generator=generator) * 1.8 - 0.9
    y_crf, y_ret = torch.randint(0, 5, (2, 2, 20, 21), generator=generator)

    def loss(device):
        given = cosine.to(device).requires_grad_()
        value = noise_aware_loss(given, y_crf.to(device), y_ret.to(device))
        value.backward()
        return value.detach(), given.grad

    for found, expected in zip(loss(DEVICE), loss("cpu"), strict=True):
        near(found, expected)


def test_a_batch_of_crfs():
    generator = np.random.default_rng(0)
    images = torch.from_numpy(generator.integers(0, 256, (2, 24, 30, 3), dtype=np.uint8))
    unaries = torch.from_numpy(generator.random((2, 3, 24, 30), dtype=np.float32))
    crf = DenseCRF()
    for image, unary in zip(images, unaries, strict=True):
        near(crf(image.to(DEVICE), unary.to(DEVICE)), torch.from_numpy(np.asarray(crf(image.numpy(), unary.numpy()))))


def test_a_labeler():
    image = open_image(next(iter(sorted((FOLDER / "images").glob("*.jpg")))))
    height, width = image.shape[:2]
    boxes, class_ids = np.array([[width / 8, height / 8, width / 2, 7 * height / 8]]), np.array([15])
    here, there = (Labeler.pretrained(device=device)(image, boxes, class_ids) for device in ("cpu", DEVICE))
    assert (here.y_crf == there.y_crf).mean() > 0.999
    assert (here.y_ret == there.y_ret).mean() > 0.999
