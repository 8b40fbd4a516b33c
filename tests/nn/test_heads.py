import pytest
import torch
import torch.nn.functional as F

from bana.nn.heads import FusingHead


@pytest.fixture
def head():
    """With statistics and biases that are not those of a new head."""
    torch.manual_seed(0)
    head = FusingHead((3, 5), 4).eval()
    for norm in head.normalise:
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2.0)
    for layer in (*head.project, head.mix):
        torch.nn.init.normal_(layer.bias)
    return head


def test_fused_maps_are_normalized_projected_aligned_and_summed(head):
    generator = torch.Generator().manual_seed(1)
    fine, coarse = torch.rand(2, 3, 9, 13, generator=generator), torch.rand(2, 5, 5, 7, generator=generator)
    projected = []
    for maps, norm, layer in zip((fine, coarse), head.normalise, head.project, strict=True):
        mean, var = norm.running_mean.view(1, -1, 1, 1), norm.running_var.view(1, -1, 1, 1)
        projected.append(F.conv2d((maps - mean) / (var + 1e-5).sqrt(), layer.weight, layer.bias))
    lifted = F.interpolate(projected[1], (9, 13), mode="bilinear", align_corners=True)
    torch.testing.assert_close(lifted[:, :, ::2, ::2], projected[1])  # its cells sit on every second one
    fused = (projected[0] + lifted).relu()
    expected = F.conv2d(fused, head.mix.weight, head.mix.bias).relu()
    assert (expected == 0).any()
    torch.testing.assert_close(head([fine, coarse]), expected, rtol=1e-4, atol=1e-5)


def test_a_new_head_keeps_the_size_of_what_it_fuses():
    """Several maps together have the variance of one, as He's initialization of a single layer would give."""
    torch.manual_seed(0)
    head = FusingHead((64, 64, 64, 64), 128)
    maps = [torch.randn(1, 64, 8, 8) for _ in range(4)]
    total = sum(layer(each) for layer, each in zip(head.project, maps, strict=True))
    assert total.var().item() == pytest.approx(2.0, rel=0.15)
