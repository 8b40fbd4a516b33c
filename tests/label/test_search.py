import json

import pytest

from bana.label.search import PARAMETERS, Search, Trial, best_trial
from bana.label.settings import LabelSettings

PRESENT = LabelSettings()
REFINING = LabelSettings(refinements=1)


def carried_out(search, most, score, at_once=True):
    """The trials of a whole search, proposals taken all at once or one by one."""
    trials = []
    while proposals := search.proposals(trials, most):
        trials += [Trial(values, score(values)) for values in (proposals if at_once else proposals[:1])]
    return trials


def distance(values):
    """A score with one summit, on the grid's points 0.5 and 80."""
    return 100 - abs(values["attention_threshold"] - 0.5) - abs(values["crf.bilateral_sxy"] - 80) / 100


def test_all_parameters_are_settings_and_grids_lie_in_their_ranges():
    for parameter in PARAMETERS:
        assert parameter.low < parameter.high
        assert all(parameter.low <= value <= parameter.high for value in parameter.grid)
        assert parameter.at(0.0) == parameter.low
        assert parameter.at(1.0) == parameter.high
        for value in (parameter.low, parameter.high):
            Search("random", REFINING, 0).settings({parameter.name: value})  # allowed


def test_logarithms_are_uniform_where_that_is_said():
    sxy, threshold = PARAMETERS[3], PARAMETERS[0]
    assert sxy.at(0.5) == pytest.approx((sxy.low * sxy.high) ** 0.5, rel=1e-3)
    assert threshold.at(0.5) == 0.5


def test_only_what_labels_depend_on_is_searched():
    names = [parameter.name for parameter in Search("random", REFINING, 0).parameters]
    assert names == [parameter.name for parameter in PARAMETERS]
    assert "refinement_scale" not in Search("random", PRESENT, 0).proposals([], 1)[0]
    assert "attention_threshold" not in Search("random", LabelSettings(u0="cam"), 0).proposals([], 1)[0]


@pytest.mark.parametrize("method", ["random", "grid"])
def test_the_present_settings_are_the_first_trial_and_alone(method):
    present = REFINING.with_options(attention_threshold=0.123, crf={"bilateral_sxy": 33})
    search = Search(method, present, 0)
    (first,) = search.proposals([], 60)
    assert (first["attention_threshold"], first["crf.bilateral_sxy"]) == (0.123, 33)
    assert search.settings(first) == present


def test_settings_that_are_not_searched_stay():
    present = LabelSettings(image_side=129, cam_norm="class", crf={"iterations": 3})
    search = Search("random", present, 0)
    changed = search.settings({"attention_threshold": 0.5, "crf.gaussian_sxy": 2.0})
    assert changed == present.with_options(attention_threshold=0.5, crf={"iterations": 3, "gaussian_sxy": 2})


def test_random_proposals_are_within_their_ranges_and_reproducible():
    trials = carried_out(Search("random", REFINING, 7), 200, distance)
    assert len(trials) == 200
    assert trials == carried_out(Search("random", REFINING, 7), 200, distance, at_once=False)
    assert trials[:50] == carried_out(Search("random", REFINING, 7), 50, distance)
    for parameter in PARAMETERS:
        values = [trial.values[parameter.name] for trial in trials[1:]]
        assert all(parameter.low <= value <= parameter.high for value in values)
        assert len(set(values)) > 150 or (parameter.whole and set(values) == set(parameter.grid))
    assert trials[1:] != carried_out(Search("random", REFINING, 8), 200, distance)[1:]


def test_a_grid_search_goes_from_parameter_to_parameter_until_nothing_is_better():
    search = Search("grid", PRESENT, 0)
    trials = carried_out(search, 1000, distance)
    best = best_trial(trials).values
    assert (best["attention_threshold"], best["crf.bilateral_sxy"]) == (0.5, 80.0)
    assert best["crf.gaussian_sxy"] == PRESENT.crf.gaussian_sxy  # equals do not replace what there is
    tried = [tuple(trial.values.values()) for trial in trials]
    assert len(set(tried)) == len(tried) < 60
    first_round = trials[1:6]
    assert {trial.values["attention_threshold"] for trial in first_round} == {0.0, 0.3, 0.5, 0.7, 0.9}
    assert all(trial.values["crf.bilateral_sxy"] == 55 for trial in first_round)
    assert search.proposals(trials, 1000) == []


def test_a_grid_search_is_the_same_one_by_one_and_from_its_written_trials():
    search = Search("grid", REFINING, 0)
    whole = carried_out(search, 23, distance)
    assert len(whole) == 23
    assert whole == carried_out(search, 23, distance, at_once=False)
    for done in (1, 4, 9, 17):
        values = json.loads(json.dumps([trial.values for trial in whole[:done]]))
        read = [Trial(each, trial.miou) for each, trial in zip(values, whole, strict=False)]
        assert search.proposals(read, 23)[0] == whole[done].values


@pytest.mark.parametrize("method", ["random", "grid"])
def test_no_more_than_asked_for(method):
    search = Search(method, PRESENT, 0)
    trials = carried_out(search, 5, distance)
    assert len(trials) == 5
    assert search.proposals(trials, 5) == search.proposals(trials, 3) == []
    assert search.proposals([], 0) == []


def test_the_first_of_equals_is_best():
    trials = [Trial({"a": 1.0}, 50.0), Trial({"a": 2.0}, 60.0), Trial({"a": 3.0}, 60.0)]
    assert best_trial(trials) is trials[1]
    assert best_trial([Trial({"a": 1.0}, 60.0), *trials]).values == {"a": 1.0}
