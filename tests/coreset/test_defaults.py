"""Defaults that results depend on, each with where it comes from: a change is seen here."""

import inspect
from operator import attrgetter

import pytest

from ntk_aug import coreset

PUBLISHED = {
    "gradient_matching.DEFAULT_RIDGE": 0.5,  # GRAD-MATCH
    "facility.facility_location.DEFAULT_ALGORITHM": "incremental",  # exact, fastest in memory
    "facility.facility_location.DEFAULT_MEMORY_BYTES": 2 * 2**30,
    "selectors.DEFAULT_SELECTOR": "coreset",
}

FACILITY = {
    "algorithm": "incremental",
    "epsilon": 0.1,  # within 0.1 of greedy's bound, in expectation
    "memory_bytes": 2 * 2**30,
    "algorithm_key": None,
    "tolerance": None,
}

ARGUMENTS = {
    "class_budgets": {"fraction": None, "count": None, "allocation": "proportional"},
    "facility_location": {**FACILITY, "count": None, "constant": None},
    "facility_location_per_class": {
        **FACILITY,
        "num_classes": None,
        "fraction": None,
        "count": None,
        "allocation": "proportional",
        "num_threads": None,
        "backend": None,
        "mesh": None,
    },
    "facility.on_device.facility_location_on_device": {
        "memory_bytes": 2 * 2**30,
        "tolerances": None,
        "mesh": None,
    },
    "last_layer_logit_gradients": {"loss": "cross-entropy"},
    "last_layer_weight_gradients": {"bias": True, "loss": "cross-entropy"},
    "match_gradients": {"ridge": 0.5, "tolerance": 0.0},
    "random_gradient_errors": {"draws": 100},
    "select": {
        "selector": "coreset",
        "fraction": None,
        "count": None,
        "allocation": "proportional",
        "per_class": None,
        "num_threads": None,
    },
    "selection.selection_budgets": {
        "selector": "coreset",
        "fraction": None,
        "count": None,
        "allocation": "proportional",
        "per_class": None,
    },
}
"""All arguments that have a default, but for `progress`."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_constant_is_the_published_one(name):
    assert attrgetter(name)(coreset) == PUBLISHED[name]


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_default_to_the_published(name):
    parameters = inspect.signature(attrgetter(name)(coreset)).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    defaults.pop("progress", None)
    assert defaults == ARGUMENTS[name]
