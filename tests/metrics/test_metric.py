"""Looking metrics up by name."""

import pickle

import pytest

from harness.errors import ConfigError, UnknownNameError
from harness.metrics import METRICS, get_metric, metric_names

LABELS = ("neutral", "joy", "anger")


def test_every_listed_name_can_be_looked_up_and_is_its_own_name():
    names = metric_names(LABELS, "neutral")
    assert set(METRICS) < set(names) and {"micro_f1_no_neutral", "f1:joy"} < set(names)
    for name in names:
        metric = get_metric(name, LABELS, "neutral")
        assert metric.name == name and metric.title and metric.description.endswith(".") and metric.higher_is_better


def test_metrics_travel_to_other_processes():
    for name in metric_names(LABELS, "neutral"):
        assert pickle.loads(pickle.dumps(get_metric(name, LABELS, "neutral"))).name == name


def test_a_misspelt_name_gets_a_suggestion_and_all_names():
    with pytest.raises(UnknownNameError, match=r"'weigted_f1'; did you mean 'weighted_f1'.*accuracy.*f1:joy"):
        get_metric("weigted_f1", LABELS)


def test_a_metric_without_neutral_needs_a_neutral_label():
    with pytest.raises(UnknownNameError, match="needs a neutral label"):
        get_metric("micro_f1_no_neutral", LABELS)


def test_an_f1_of_a_label_outside_the_set_is_unknown():
    with pytest.raises(UnknownNameError, match="did you mean 'f1:joy'"):
        get_metric("f1:jou", LABELS)


def test_neutral_must_be_a_label():
    with pytest.raises(ConfigError, match="'calm'; allowed: one of the labels neutral, joy, anger"):
        get_metric("accuracy", LABELS, "calm")
