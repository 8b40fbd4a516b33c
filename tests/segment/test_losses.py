import functools
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bana.errors import SettingsError
from bana.segment import losses
from bana.segment.filling_rate import filling_rate_loss
from reference import losses_naive

ON_TWO_MAPS = {
    "noise aware": ("noise_aware_loss", {}),
    "constant confidence": ("noise_aware_loss", {"detach_confidence": True}),
    "over pixels": ("noise_aware_loss", {"mean_over": "pixel", "lam": 0.7}),
    "undamped": ("noise_aware_loss", {"gamma": 1.0, "temperature": 3.0}),
    "agreed alone": ("noise_aware_loss", {"lam": 0.0}),
    "entropy": ("entropy_regularized_loss", {"lam": 0.5}),
    "soft bootstrapping": ("bootstrapping_loss", {"hard": False, "lam": 0.5}),
    "hard bootstrapping": ("bootstrapping_loss", {"hard": True, "lam": 0.5}),
    "chosen beta": ("bootstrapping_loss", {"hard": True, "beta": 0.3}),
}


def ways(module):
    return {name: functools.partial(getattr(module, loss), **options) for name, (loss, options) in ON_TWO_MAPS.items()}


OURS, NAIVE = ways(losses), ways(losses_naive)
every_loss = pytest.mark.parametrize("name", ON_TWO_MAPS)


def batch(classes=5, seed=0, size=(7, 9), images=3, dtype=torch.float32, ignore_index=255):
    """Cosines and two maps that differ in about a third of the pixels and ignore some, not all in the same places."""
    generator = torch.Generator().manual_seed(seed)
    shape = (images, *size)
    cosine = torch.rand(images, classes, *size, generator=generator, dtype=dtype) * 2 - 1
    y_crf, other = (torch.randint(classes, shape, generator=generator) for _ in range(2))
    y_ret = torch.where(torch.rand(shape, generator=generator) < 0.4, other, y_crf)
    for labels in (y_crf, y_ret):
        labels[torch.rand(shape, generator=generator) < 0.1] = ignore_index
    return cosine, y_crf, y_ret


def value_and_gradient(loss, cosine, *labels, **options):
    leaf = cosine.detach().requires_grad_()
    value = loss(leaf, *labels, **options)
    value.backward()
    return value.detach(), leaf.grad


def assert_same(found, expected, tolerance=1e-5):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


@every_loss
@pytest.mark.parametrize("classes", [1, 2, 5, 21])
@pytest.mark.parametrize("seed", range(3))
def test_value_and_gradient_are_those_of_the_flattened_version(name, classes, seed):
    case = batch(classes, seed)
    assert_same(value_and_gradient(OURS[name], *case), value_and_gradient(NAIVE[name], *case))


@settings(deadline=None, max_examples=40)
@given(
    classes=st.integers(2, 9),
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    images=st.integers(1, 3),
    temperature=st.floats(0.5, 50),
    gamma=st.floats(1, 12),
    lam=st.floats(0, 2),
)
def test_noise_aware_loss_of_any_batch(classes, seed, size, images, temperature, gamma, lam):
    case = batch(classes, seed, size, images, torch.float64)
    options = {"temperature": temperature, "gamma": gamma, "lam": lam}
    found = value_and_gradient(losses.noise_aware_loss, *case, **options)
    assert_same(found, value_and_gradient(losses_naive.noise_aware_loss, *case, **options), 1e-9)


@pytest.mark.parametrize("name", [name for name in ON_TWO_MAPS if name != "constant confidence"])
def test_derivative_is_that_of_the_value(name):
    cosine, y_crf, y_ret = batch(4, size=(3, 4), images=2, dtype=torch.float64)
    assert torch.autograd.gradcheck(OURS[name], (cosine.requires_grad_(), y_crf, y_ret))


def test_derivatives_of_the_losses_on_one_map():
    cosine, labels, boxes = batch(4, size=(3, 4), images=2, dtype=torch.float64)
    rates = torch.tensor([0.0, 0.3, 0.5, 1.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(losses.partial_cross_entropy, (cosine.requires_grad_(), labels))
    assert torch.autograd.gradcheck(filling_rate_loss, (cosine, labels, boxes, rates))
    assert torch.autograd.gradcheck(losses.confidence_map, (cosine, labels))


@every_loss
def test_gradient_is_scaled_by_what_follows(name):
    case = batch()
    _, once = value_and_gradient(OURS[name], *case)
    _, scaled = value_and_gradient(lambda *inputs: OURS[name](*inputs) * -3, *case)
    torch.testing.assert_close(scaled, once * -3)


def test_way_back_can_be_taken_twice():
    cosine, y_crf, y_ret = batch()
    cosine.requires_grad_()
    loss = losses.noise_aware_loss(cosine, y_crf, y_ret)
    first, second = (torch.autograd.grad(loss, cosine, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


@every_loss
def test_without_a_pixel_the_loss_is_0(name):
    cosine, y_crf, _ = batch()
    nothing = torch.full_like(y_crf, 255)
    for labels in ((nothing, nothing), (y_crf, nothing), (nothing, y_crf)):
        value, gradient = value_and_gradient(OURS[name], cosine, *labels)
        assert value == 0
        assert not gradient.any()


@every_loss
def test_one_region_may_be_empty(name):
    cosine, y_crf, _ = batch()
    y_crf = y_crf.where(y_crf != 255, 0)
    nowhere_agreed = (y_crf + 1) % 5
    for y_ret in (y_crf, nowhere_agreed):
        case = (cosine, y_crf, y_ret)
        assert_same(value_and_gradient(OURS[name], *case), value_and_gradient(NAIVE[name], *case))


def test_nothing_differs_is_partial_cross_entropy():
    cosine, labels, _ = batch()
    expected = value_and_gradient(losses.partial_cross_entropy, cosine, labels)
    assert_same(value_and_gradient(losses.noise_aware_loss, cosine, labels, labels), expected)
    assert_same(value_and_gradient(losses_naive.partial_cross_entropy, cosine, labels), expected)


@pytest.mark.parametrize("gamma", [1.0, 1.5, 7.0, 100.0])
@pytest.mark.parametrize("best", [1.0, -1.0, -1.0001])
def test_confidence_of_nothing_is_not_nan(gamma, best):
    """All sigma 0 (the label's cosine is -1), and max D 0 or below by rounding."""
    cosine = torch.full((1, 3, 2, 2), -1.0001)
    cosine[:, 1] = best
    y_crf, y_ret = torch.zeros(2, 1, 2, 2, dtype=torch.int64).unbind()
    value, gradient = value_and_gradient(losses.noise_aware_loss, cosine, y_crf, y_ret + 1, gamma=gamma)
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@every_loss
def test_half_precision_is_computed_in_float32(name, dtype):
    cosine, y_crf, y_ret = batch()
    cosine = cosine.to(dtype)
    value, gradient = value_and_gradient(OURS[name], cosine, y_crf, y_ret)
    expected, exact = value_and_gradient(OURS[name], cosine.float(), y_crf, y_ret)
    assert (value.dtype, gradient.dtype) == (torch.float32, dtype)
    torch.testing.assert_close(value, expected)
    # On ~S two summands are rounded; a tie of two coarse cosines is broken alike in both types.
    rounding = 2 * torch.finfo(dtype).eps
    torch.testing.assert_close(gradient.float(), exact, atol=rounding * float(exact.abs().max()), rtol=rounding)


@every_loss
def test_autocast_changes_nothing(name):
    case = batch()
    expected = value_and_gradient(OURS[name], *case)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = value_and_gradient(OURS[name], *case)
    assert found[0].dtype == torch.float32
    assert_same(found, expected)


def test_double_precision_stays():
    value, gradient = value_and_gradient(losses.noise_aware_loss, *batch(dtype=torch.float64))
    assert value.dtype == gradient.dtype == torch.float64


LAYOUTS = {
    "channels last": lambda cosine: cosine.contiguous(memory_format=torch.channels_last),
    "transposed": lambda cosine: cosine.transpose(2, 3).contiguous().transpose(2, 3),
    "every second": lambda cosine: cosine.repeat_interleave(2, 3)[..., ::2],
    "of another order": lambda cosine: cosine.permute(3, 0, 2, 1).contiguous().permute(1, 3, 2, 0),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_layout_does_not_matter(layout, dtype):
    cosine, *labels = batch(dtype=torch.float32)
    laid_out = LAYOUTS[layout](cosine.to(dtype))
    assert not laid_out.is_contiguous()
    expected = value_and_gradient(losses.noise_aware_loss, cosine.to(dtype), *labels)
    leaf = laid_out.detach().requires_grad_()
    value = losses.noise_aware_loss(leaf, *(numbers.mT.contiguous().mT for numbers in labels))
    assert_same((value.detach(), torch.autograd.grad(value, leaf)[0]), expected)


def test_cosines_may_be_expanded():
    cosine, *labels = batch()
    one = cosine[:1].clone().requires_grad_()
    losses.noise_aware_loss(one.expand_as(cosine), *labels).backward()
    _, expected = value_and_gradient(losses.noise_aware_loss, cosine[:1].repeat(3, 1, 1, 1), *labels)
    torch.testing.assert_close(one.grad, expected.sum(0, keepdim=True))


@every_loss
def test_any_number_can_be_the_ignored_one(name):
    expected = value_and_gradient(OURS[name], *batch())
    found = value_and_gradient(OURS[name], *batch(ignore_index=65535), ignore_index=65535)
    assert_same(found, expected)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # raised by torch.compile itself
@pytest.mark.slow
@pytest.mark.parametrize("name", ["noise aware", "entropy", "hard bootstrapping"])
def test_compiled_losses_equal_eager_ones(name):
    case = batch()
    torch.compiler.reset()
    assert_same(value_and_gradient(torch.compile(OURS[name]), *case), value_and_gradient(OURS[name], *case))


def test_agreed_and_differing_pixels_are_disjoint_regions():
    y_crf = torch.tensor([[[1, 1, 255, 1, 255]]])
    y_ret = torch.tensor([[[1, 2, 1, 255, 255]]])
    assert losses.agreed_labels(y_crf, y_ret).tolist() == [[[1, 255, 255, 255, 255]]]
    assert losses.differing(y_crf, y_ret).tolist() == [[[False, True, False, False, False]]]


@pytest.mark.parametrize("gamma", [1.0, 7.0])
def test_confidence_map_is_that_of_the_loop(gamma):
    cosine, labels, _ = batch()
    found = losses.confidence_map(cosine, labels, gamma=gamma)
    torch.testing.assert_close(found, losses_naive.confidence_map(cosine, labels, gamma=gamma), atol=1e-5, rtol=1e-5)
    assert losses.confidence_map(cosine.bfloat16(), labels).dtype == torch.float32


def test_confidence_is_1_for_the_best_class_and_falls_with_gamma():
    cosine, labels, _ = batch()
    best = cosine.argmax(1)
    assert (losses.confidence_map(cosine, best) == 1).all()
    maps = [losses.confidence_map(cosine, labels, gamma=gamma) for gamma in (1.0, 2.0, 7.0, 50.0)]
    wrong = (labels != best) & (labels != 255)
    for milder, stricter in itertools.pairwise(maps):
        assert (milder >= stricter).all()
        assert (milder > stricter)[wrong & (milder > 0)].all()
    assert all(not found[labels == 255].any() for found in maps)


def test_unlikely_labels_weigh_less():
    """A wrong label pulls less on its pixel than with the same weight for all."""
    cosine = torch.tensor([[0.9, -0.5], [0.8, 0.9]]).view(1, 2, 1, 2)  # the label is plausible left, not right
    y_crf, y_ret = torch.tensor([[[0, 0]]]), torch.tensor([[[1, 1]]])
    _, gradient = value_and_gradient(losses.noise_aware_loss, cosine, y_crf, y_ret, detach_confidence=True)
    assert gradient[..., 1].norm() < 0.1 * gradient[..., 0].norm()


def test_filling_rate_keeps_exactly_the_best_pixels():
    score = torch.tensor([0.1, 0.5, 0.3, 0.9, 0.7, 0.2])
    cosine = torch.stack([torch.zeros(6), score]).view(1, 2, 1, 6)
    labels = torch.tensor([[[1, 1, 1, 1, 0, 255]]])
    boxes = torch.tensor([[[1, 1, 1, 1, 1, 0]]])
    _, gradient = value_and_gradient(filling_rate_loss, cosine, labels, boxes, torch.tensor([0.0, 0.4]))
    assert (gradient[0, 0, 0] != 0).tolist() == [False, True, False, True, True, False]


@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_filling_rate_loss_is_that_of_the_loops(classes, seed):
    cosine, labels, boxes = batch(classes, seed)
    rates = torch.rand(classes, generator=torch.Generator().manual_seed(seed))
    case = (cosine, labels, boxes, rates)
    kept = losses_naive.filling_rate_labels(*case)
    assert classes == 1 or not torch.equal(kept, labels)
    found = value_and_gradient(filling_rate_loss, *case)
    assert_same(found, value_and_gradient(losses_naive.filling_rate_loss, *case))
    assert torch.equal(found[1].abs().sum(1) > 0, kept != 255) or classes == 1


def test_a_filling_rate_of_0_keeps_nothing_and_of_1_all():
    cosine, labels, _ = batch()
    outside = torch.zeros_like(labels)
    background = labels.where((labels == 0) | (labels == 255), 255)
    for boxes, rates, kept in (
        (labels, torch.ones(5), labels),
        (labels, torch.zeros(5), background),
        (outside, torch.ones(5), background),
    ):
        found = value_and_gradient(filling_rate_loss, cosine, labels, boxes, rates)
        assert_same(found, value_and_gradient(losses.partial_cross_entropy, cosine, kept))


def test_filling_rate_ignores_what_all_maps_ignore():
    cosine, labels, boxes = batch(ignore_index=65535)
    rates = torch.full((5,), 0.4)
    found = filling_rate_loss(cosine, labels, boxes, rates, ignore_index=65535)
    torch.testing.assert_close(found, filling_rate_loss(*batch(), rates))
    nothing = torch.full_like(labels, 255)
    value, gradient = value_and_gradient(filling_rate_loss, cosine, nothing, nothing, rates)
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize(
    "broken",
    [
        lambda cosine, y_crf, y_ret: (cosine[0], y_crf, y_ret),
        lambda cosine, y_crf, y_ret: (cosine[:, :0], y_crf, y_ret),
        lambda cosine, y_crf, y_ret: (cosine.long(), y_crf, y_ret),
        lambda cosine, y_crf, y_ret: (cosine, y_crf[:, ::2], y_ret[:, ::2]),
        lambda cosine, y_crf, y_ret: (cosine, y_crf[:1], y_ret),
        lambda cosine, y_crf, y_ret: (cosine, y_crf, y_ret[..., 1:]),
        lambda cosine, y_crf, y_ret: (cosine, y_crf.to(torch.uint8), y_ret),
        lambda cosine, y_crf, y_ret: (cosine, y_crf.float(), y_ret),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(broken):
    cosine, y_crf, y_ret = broken(*batch())
    rates = torch.ones(5)
    for name in ON_TWO_MAPS:
        with pytest.raises(SettingsError, match=r"^[^\n]+$"):
            OURS[name](cosine, y_crf, y_ret)
    with pytest.raises(SettingsError):
        filling_rate_loss(cosine, y_crf, y_ret, rates)


def test_numbers_and_shapes_that_are_not_allowed():
    cosine, y_crf, y_ret = batch()
    for options in ({"temperature": 0.0}, {"gamma": 0.5}, {"lam": -1.0}, {"lam": float("nan")}):
        with pytest.raises(SettingsError, match=next(iter(options))):
            losses.noise_aware_loss(cosine, y_crf, y_ret, **options)
    with pytest.raises(SettingsError, match="beta"):
        losses.bootstrapping_loss(cosine, y_crf, y_ret, hard=True, beta=1.5)
    with pytest.raises(SettingsError, match="gamma"):
        losses.confidence_map(cosine, y_crf, gamma=0.0)
    with pytest.raises(SettingsError, match="upsample"):
        losses.partial_cross_entropy(cosine, y_crf[:, 1:])
    with pytest.raises(SettingsError, match="filling rates"):
        filling_rate_loss(cosine, y_crf, y_ret, torch.ones(4))
    for regions in (losses.agreed_labels, losses.differing):
        with pytest.raises(SettingsError, match="one shape"):
            regions(y_crf, y_ret[:1])
