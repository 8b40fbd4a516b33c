import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bana.data.records import pixel_slices
from bana.label.unaries import background_unary, label_probabilities, object_unary
from reference import unaries_naive as naive

HEIGHT, WIDTH = 12, 17
boxes_of = st.lists(
    st.tuples(st.integers(0, 10), st.integers(0, 6), st.integers(2, 9), st.integers(2, 7)).map(
        lambda b: (b[0], b[1], min(b[0] + b[2], WIDTH), min(b[1] + b[3], HEIGHT))
    ),
    min_size=1,
    max_size=4,
)


def places(boxes):
    return [pixel_slices(box) for box in boxes]


def regions(boxes):
    masks = torch.zeros(len(boxes), HEIGHT, WIDTH, dtype=torch.bool)
    for mask, box in zip(masks, boxes, strict=True):
        mask[pixel_slices(box)] = True
    return masks


def a_map(seed):
    return torch.rand(HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=25, deadline=None)
@given(boxes_of, st.integers(0, 100), st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]))
def test_background_unary_is_equation_7(boxes, seed, threshold):
    attention = a_map(seed)
    found = background_unary(attention, ~regions(boxes).any(0), threshold)
    torch.testing.assert_close(found, torch.tensor(naive.background(attention.tolist(), boxes, threshold)))


@settings(max_examples=25, deadline=None)
@given(boxes_of, st.integers(0, 100), st.booleans())
def test_object_unary_is_equation_5(boxes, seed, per_box):
    activation = (a_map(seed) - 0.3).relu()
    found = object_unary(activation, places(boxes), per_box)
    torch.testing.assert_close(found, torch.tensor(naive.of_class(activation.tolist(), boxes, per_box)))


@settings(max_examples=10, deadline=None)
@given(boxes_of, st.integers(0, 100))
def test_probabilities_are_a_softmax_inside_and_background_outside(boxes, seed):
    unaries = torch.stack([a_map(seed), a_map(seed + 1), a_map(seed + 2)])
    found = label_probabilities(unaries, ~regions(boxes).any(0))
    torch.testing.assert_close(found, torch.tensor(naive.probabilities(unaries.tolist(), boxes)))
    torch.testing.assert_close(found.sum(0), torch.ones(HEIGHT, WIDTH))


def test_the_threshold_1_keeps_the_maximum_alone():
    attention = a_map(3)
    kept = background_unary(attention, torch.zeros(HEIGHT, WIDTH, dtype=torch.bool), 1.0)
    assert (kept > 0).sum() == 1
    assert kept.max() == attention.max()


def test_no_attention_at_all_is_no_background_inside():
    background_mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    assert (background_unary(torch.zeros(HEIGHT, WIDTH), background_mask, 0.99) == 0).all()


@pytest.mark.parametrize("per_box", [True, False])
def test_a_class_without_activation_has_a_unary_of_0(per_box):
    unary = object_unary(torch.zeros(HEIGHT, WIDTH), places([(1, 1, 5, 5)]), per_box)
    assert (unary == 0).all()


def test_every_box_reaches_1_on_its_own_or_only_the_strongest():
    activation = torch.zeros(HEIGHT, WIDTH)
    activation[2, 2], activation[8, 12] = 0.5, 2.0
    boxes = places([(1, 1, 4, 4), (10, 6, 15, 10)])
    assert [object_unary(activation, boxes, per_box=True)[y, x].item() for y, x in ((2, 2), (8, 12))] == [1, 1]
    assert [object_unary(activation, boxes, per_box=False)[y, x].item() for y, x in ((2, 2), (8, 12))] == [0.25, 1]
