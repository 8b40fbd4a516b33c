"""The losses that learn from boxes: EM-Fixed, attention-weighted, and class-wise masks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bana.errors import SettingsError
from bana.segment.attention import attention_terms, attention_weighted_loss
from bana.segment.box_masking import box_masking_loss, mask_error
from bana.segment.em_fixed import em_fixed_loss, estimated_labels
from bana.segment.filling_rate import filling_rate_loss
from bana.segment.losses import partial_cross_entropy
from reference import box_losses_naive

CLASSES = 4


def batch(seed=0, classes=CLASSES, size=(5, 6), images=2):
    """Cosines, logits, labels that ignore some pixels, boxes of every image, and filling rates."""
    generator = torch.Generator().manual_seed(seed)
    cosine = torch.rand(images, classes, *size, generator=generator, dtype=torch.float64) * 1.8 - 0.9
    logits = torch.randn(images, classes - 1, *size, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (images, *size), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.1] = 255
    regions = torch.zeros(images, classes, *size, dtype=torch.bool)
    regions[:, 0] = True
    for n in range(images):
        for c in range(1, classes):
            y, x, h, w = (int(torch.randint(limit, (), generator=generator)) for limit in (*size, *size))
            regions[n, c, y : y + h, x : x + w] = True
    boxes = (regions * torch.arange(classes)[:, None, None]).amax(1)
    boxes[torch.rand(boxes.shape, generator=generator) < 0.1] = 255
    rates = torch.rand(classes, generator=generator, dtype=torch.float64)
    return cosine, logits, labels, boxes, regions, rates


def arguments(name, case):
    cosine, logits, labels, boxes, regions, rates = case
    return {
        "em_fixed_loss": (cosine, labels, regions),
        "attention_weighted_loss": (cosine, logits, labels, regions, rates),
        "box_masking_loss": (cosine, logits, labels, boxes, regions, rates),
    }[name]


OURS = {each.__name__: each for each in (em_fixed_loss, attention_weighted_loss, box_masking_loss)}
every_loss = pytest.mark.parametrize("name", OURS)


def value_and_gradients(loss, inputs, **options):
    leaves = [each.detach().clone().requires_grad_(each.dim() == 4 and each.is_floating_point()) for each in inputs]
    value = loss(*leaves, **options)
    value.backward()
    return [
        value.detach(),
        *(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves if leaf.requires_grad),
    ]


@every_loss
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), classes=st.integers(2, 5), images=st.integers(1, 3))
def test_value_and_gradients_are_those_of_the_loops(name, seed, classes, images):
    inputs = arguments(name, batch(seed, classes, images=images))
    found = value_and_gradients(OURS[name], inputs)
    expected = value_and_gradients(getattr(box_losses_naive, name), inputs)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


@every_loss
def test_derivative_is_that_of_the_value(name):
    inputs = [each.requires_grad_() if each.is_floating_point() and each.dim() == 4 else each
              for each in arguments(name, batch(3, size=(3, 4)))]  # fmt: skip
    assert torch.autograd.gradcheck(OURS[name], tuple(inputs))


@every_loss
def test_without_a_pixel_the_loss_is_0(name):
    cosine, logits, labels, _, regions, rates = batch()
    nothing, nowhere = torch.full_like(labels, 255), torch.zeros_like(regions)
    found = value_and_gradients(OURS[name], arguments(name, (cosine, logits, nothing, nothing, nowhere, rates)))
    assert all(not each.any() for each in found)


@every_loss
def test_half_precision_is_computed_in_float32(name):
    inputs = [each.bfloat16() if each.is_floating_point() and each.dim() == 4 else each
              for each in arguments(name, batch())]  # fmt: skip
    exact = [each.float() if each.is_floating_point() else each for each in inputs]
    rounded, wanted = (OURS[name](*each) for each in (inputs, exact))
    assert rounded.dtype == torch.float32
    if name == "em_fixed_loss":  # which decides in the precision of the scores
        torch.testing.assert_close(rounded, wanted, atol=0.5, rtol=0.1)
    else:
        torch.testing.assert_close(rounded, wanted)


@every_loss
def test_what_does_not_fit_is_refused(name):
    case = list(batch())
    case[4] = case[4][:, 1:]
    with pytest.raises(SettingsError, match=r"the regions are bool \(2, 3, 5, 6\): cosines need bool \(2, 4, 5, 6\)"):
        OURS[name](*arguments(name, case))


def test_estimated_labels_stay_in_their_regions():
    cosine, _, _, _, regions, _ = batch(1)
    found = estimated_labels(20 * cosine, regions, 8.0, 3.0)
    assert regions.gather(1, found[:, None]).all()
    assert found[regions[:, 1:].any(1)].any()


def test_a_greater_bias_of_objects_takes_more_of_their_boxes():
    cosine, _, _, _, regions, _ = batch(2)
    shares = [(estimated_labels(20 * cosine, regions, bias, 3.0) > 0).sum() for bias in (-100.0, 3.0, 8.0, 100.0)]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == regions[:, 1:].any(1).sum()


def test_where_regions_are_a_true_mask_em_learns_the_mask():
    cosine, _, labels, *_ = batch()
    mask = labels.where(labels != 255, 0)
    regions = torch.nn.functional.one_hot(mask, CLASSES).permute(0, 3, 1, 2) > 0
    torch.testing.assert_close(em_fixed_loss(cosine, labels, regions), partial_cross_entropy(cosine, labels))


@pytest.mark.parametrize("attention", [0.9, 0.5, 0.2])
def test_attention_is_not_pushed_above_the_filling_rate(attention):
    cosine, _, _, _, regions, _ = batch(4)
    inside, full = regions[:, 1:], torch.full_like(cosine[:, 1:], attention)
    rates = torch.full((CLASSES - 1,), 0.5, dtype=torch.float64)
    _, missing, count = attention_terms(torch.zeros_like(full), full, inside, rates)
    assert count == sum(int(each.any()) for each in inside.flatten(0, 1)) > 0
    assert missing.item() == pytest.approx(int(count) * max(0.5 - attention, 0))


def test_attention_leaves_the_unlikely_pixels_of_a_box():
    """Half of a box looks like its class: by gradient descent attention is that half, for a filling rate of 1/2."""
    cosine = torch.zeros(1, 2, 4, 4, dtype=torch.float64)
    cosine[0, 1, :2], cosine[0, 0, 2:] = 0.5, 0.5
    regions = torch.ones(1, 2, 4, 4, dtype=torch.bool)
    labels = torch.full((1, 4, 4), 255)
    logits = torch.zeros(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([logits], lr=2.0)
    for _ in range(300):
        optimizer.zero_grad()
        attention_weighted_loss(cosine, logits, labels, regions, torch.tensor([0.0, 0.5])).backward()
        optimizer.step()
    attention = logits.detach().sigmoid()[0, 0]
    assert attention[:2].min() > 0.9
    assert attention[2:].max() < 0.1


def test_masks_that_are_the_boxes_have_no_error():
    cosine, _, labels, boxes, regions, rates = batch()
    logits = (regions[:, 1:].double() - 0.5) * 200
    counted = boxes != 255
    assert mask_error(logits.sigmoid(), regions[:, 1:], counted) < 1e-12
    assert mask_error(1 - logits.sigmoid(), regions[:, 1:], counted) == pytest.approx(int(counted.sum()) * 3)
    torch.testing.assert_close(
        box_masking_loss(cosine, logits, labels, boxes, regions, rates),
        filling_rate_loss(cosine, labels, boxes, rates),
    )
