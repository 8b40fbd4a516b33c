from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from bana.nn.sampling import BalancedSamples, repeat_factors


class Keys:
    """Samples that say which one was asked for."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, key):
        return key


def images(*classes):
    return [SimpleNamespace(class_ids=np.array(each, dtype=np.int64)) for each in classes]


RECORDS = images(*[[1]] * 90, *[[1, 2, 2]] * 9, [3])


def epoch_of(samples, epoch):
    return [samples[(epoch, place)] for place in range(len(samples))]


def test_the_rarest_class_of_an_image_decides():
    factors = repeat_factors([np.array(each) for each in ([1], [1, 2], [1], [1])])
    assert factors.tolist() == pytest.approx([1, 2, 1, 1])
    assert repeat_factors([np.empty(0, np.int64), np.array([1])]).tolist() == pytest.approx([1, 2**0.5])


def test_an_epoch_has_its_length_and_rare_classes_come_more_often():
    samples = BalancedSamples(Keys(len(RECORDS)), RECORDS, seed=0)
    assert len(samples) == 100
    counts = Counter()
    for epoch in range(200):
        counts.update(index for _, index in epoch_of(samples, epoch))
    factors = repeat_factors([np.unique(record.class_ids) for record in RECORDS])
    assert [counts[index] / 200 for index in range(100)] == pytest.approx((factors / factors.mean()).tolist(), abs=0.1)
    assert counts[99] > 5 * counts[0]


def test_images_come_as_often_as_their_share_rounded_down_or_up():
    samples = BalancedSamples(Keys(len(RECORDS)), RECORDS, seed=0)
    factors = repeat_factors([np.unique(record.class_ids) for record in RECORDS])
    share = factors / factors.mean()
    for epoch in range(5):
        counts = Counter(index for _, index in epoch_of(samples, epoch))
        assert all(np.floor(share[index]) <= counts[index] <= np.ceil(share[index]) for index in range(100))


def test_repetitions_in_an_epoch_are_different_samples():
    samples = BalancedSamples(Keys(len(RECORDS)), RECORDS, seed=0)
    keys = [key for epoch in range(3) for key in epoch_of(samples, epoch)]
    assert len(set(keys)) == len(keys)


def test_a_key_always_gives_the_same_sample_and_another_seed_others():
    first, again = (BalancedSamples(Keys(100), RECORDS, seed=0) for _ in range(2))
    assert epoch_of(first, 4) == epoch_of(again, 4)
    assert epoch_of(first, 4) != epoch_of(BalancedSamples(Keys(100), RECORDS, seed=1), 4)


def test_images_of_one_class_come_once_each():
    samples = BalancedSamples(Keys(30), images(*[[5]] * 30), seed=0)
    assert sorted(index for _, index in epoch_of(samples, 0)) == list(range(30))
