from types import SimpleNamespace

import numpy as np
import pytest

from bana.nn.settings import MagnifiedTrainingSettings, TrainingSettings


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("step", [1, 1, 1, 0.1, 0.1, 0.1]),
        ("multistep", [1, 1, 1, 0.1, 0.1, 0.01]),
        ("poly", [1, 0.9**0.9, 0.4**0.9, 0.3**0.9, 0.1**0.9, 0.05**0.9]),
    ],
)
def test_learning_rates_fall_as_the_schedule_says(schedule, factors):
    settings = TrainingSettings(schedule=schedule)
    assert [settings.lr_factor(share) for share in (0, 0.1, 0.6, 0.7, 0.9, 0.95)] == pytest.approx(factors)


def test_learning_rates_first_rise_during_warmup():
    settings = TrainingSettings(warmup=0.1)
    assert [settings.lr_factor(share) for share in (0, 0.025, 0.05, 0.1, 0.5, 0.7)] == pytest.approx(
        [0, 0.25, 0.5, 1, 1, 0.1]
    )


@pytest.mark.parametrize(("images", "epochs"), [(60, 17), (61, 15), (599, 2), (10_000, 2), (1, 100), (0, 100)])
def test_few_images_get_the_epochs_that_make_enough_steps(images, epochs):
    assert TrainingSettings(epochs=2, batch_size=10, min_steps=100).for_images([None] * images).epochs == epochs


def test_without_a_least_number_of_steps_epochs_stay():
    assert TrainingSettings(epochs=2, batch_size=10).for_images([None] * 5).epochs == 2


def boxes_of(*sides, crowd=None):
    corners = np.array([[5.0, 5.0, 5 + width, 5 + height] for width, height in sides], np.float32).reshape(-1, 4)
    return SimpleNamespace(boxes=corners, crowd=np.zeros(len(sides), bool) if crowd is None else np.array(crowd))


@pytest.mark.parametrize(
    ("records", "factor"),
    [
        ([boxes_of((12, 12), (24, 24)), boxes_of((8, 18), (300, 300))], 1.75),  # sides 12, 12, 24 and 300: median 18
        ([boxes_of((100, 80), (48, 48))], 1.0),
        ([boxes_of((3, 3))], 4.0),
        ([boxes_of((24, 24), (300, 300), crowd=[False, True])], 1.25),
        ([boxes_of()], 1.0),
        ([], 1.0),
    ],
)
def test_small_objects_are_magnified(records, factor):
    settings = MagnifiedTrainingSettings(magnification="auto", scale_range=(0.5, 2.0))
    assert settings.scale_of(100, 100) == (0.5, 2.0)
    known = settings.for_images(records)
    assert known.magnification == factor
    assert known.scale_of(100, 100) == (0.5 * factor, 2.0 * factor)


def test_a_magnification_that_is_asked_for_stays():
    settings = MagnifiedTrainingSettings(magnification=1.5).for_images([boxes_of((3, 3))])
    assert settings.magnification == 1.5
