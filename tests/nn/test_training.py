import pytest

from bana.nn.settings import TrainingSettings


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
    assert TrainingSettings(epochs=2, batch_size=10, min_steps=100).for_images(images).epochs == epochs


def test_without_a_least_number_of_steps_epochs_stay():
    assert TrainingSettings(epochs=2, batch_size=10).for_images(5).epochs == 2
