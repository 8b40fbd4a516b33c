"""Losses whose batch two processes share: what each has adds up to what one process would have, and so do gradients."""

import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing

from bana.engine.distributed import DistContext
from bana.segment.attention import attention_weighted_loss
from bana.segment.box_masking import box_masking_loss
from bana.segment.em_fixed import em_fixed_loss
from bana.segment.filling_rate import filling_rate_loss
from bana.segment.losses import (
    bootstrapping_loss,
    entropy_regularized_loss,
    noise_aware_loss,
    partial_cross_entropy,
)

CLASSES = 4


def batch():
    """Cosines and labels of three images, of which the last has no pixel that two maps label differently."""
    generator = torch.Generator().manual_seed(0)
    cosine = torch.rand(3, CLASSES, 5, 6, generator=generator, dtype=torch.float64) * 1.6 - 0.8
    y_crf = torch.randint(0, CLASSES, (3, 5, 6), generator=generator)
    y_ret = torch.where(torch.rand(3, 5, 6, generator=generator) < 0.6, y_crf, (y_crf + 1) % CLASSES)
    y_crf[:, 0, :2] = 255
    y_ret[2] = y_crf[2]
    return cosine.requires_grad_(), y_crf, y_ret


def losses(cosine, y_crf, y_ret, **shared):
    rates = torch.linspace(0.2, 0.8, CLASSES, dtype=torch.float64)
    boxes = y_crf.where(y_crf != 255, 0)
    regions = torch.stack([(boxes == each) | (boxes == 1) for each in range(CLASSES)], 1)
    logits = 3 * cosine[:, 1:]
    return {
        "em fixed": em_fixed_loss(cosine, y_crf, regions | (boxes[:, None] >= 0), **shared),
        "attention weighted": attention_weighted_loss(cosine, logits, y_crf, regions, rates, **shared),
        "box masking": box_masking_loss(cosine, logits, y_crf, boxes, regions, rates, **shared),
        "nal": noise_aware_loss(cosine, y_crf, y_ret, **shared),
        "agreed": partial_cross_entropy(cosine, y_crf, **shared),
        "entropy": entropy_regularized_loss(cosine, y_crf, y_ret, **shared),
        "bootstrapping": bootstrapping_loss(cosine, y_crf, y_ret, hard=False, **shared),
        "filling rate": filling_rate_loss(cosine, y_crf, boxes, rates, **shared),
    }


def share_of(rank, folder):
    """What a process computes of the batch: the first has one image, the other two."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    cosine, y_crf, y_ret = batch()
    mine = slice(0, 1) if rank == 0 else slice(1, 3)
    found = losses(cosine[mine], y_crf[mine], y_ret[mine], all_reduce=DistContext(rank, 2).all_reduce)
    gradients = {name: torch.autograd.grad(loss, cosine, retain_graph=True)[0] for name, loss in found.items()}
    torch.save(({name: loss.detach() for name, loss in found.items()}, gradients), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def shares(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shares")
    multiprocessing.spawn(share_of, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize(
    "name",
    [
        "nal",
        "agreed",
        "entropy",
        "bootstrapping",
        "filling rate",
        "em fixed",
        "attention weighted",
        "box masking",
    ],
)
def test_shares_add_up(shares, name):
    cosine, y_crf, y_ret = batch()
    loss = losses(cosine, y_crf, y_ret)[name]
    (gradient,) = torch.autograd.grad(loss, cosine)
    (first, first_gradients), (second, second_gradients) = shares
    torch.testing.assert_close(first[name] + second[name], loss.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(first_gradients[name] + second_gradients[name], gradient, rtol=1e-10, atol=1e-13)
    assert first[name] > 0
    assert second[name] > 0
