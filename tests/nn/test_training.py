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
