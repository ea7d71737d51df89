"""Defaults that kernels and dynamics depend on, each with its reason: a change is seen here."""

import inspect
from operator import attrgetter

import pytest

from ntk_aug import ntk

# neural_tangents, where it is fastest on a CPU.
BACKEND = {
    "rows": "logits",
    "implementation": "structured-derivatives",
    "batch_size": 20,
    "dtype": "float32",
}
ROWS = {"rows": "logits", "dtype": "float32", "select": None}
HELD = {**ROWS, "memory_bytes": 2 * 2**30, "mesh": None, "blocks_folder": None}
# He's initialisation for ReLU, and no biases.
NETWORK = {"depth": 1, "activation": "relu", "W_std": 2**0.5, "b_std": 0.0}

ARGUMENTS = {
    "empirical_kernel": {**HELD, "traced": False, "labels": None, "other_labels": None},
    "neural_tangents.kernels.estimate_neural_tangents": {**BACKEND, "versions": 1},
    "row_store.images_per_tile": {"versions": 2},
    "kernel_regression": {"test_kernel": None, "ridge": 0.0, "traced": None},
    "kernel_triples": HELD,
    "linearized_predictions": {
        "test_kernel": None,
        "test_outputs": None,
        "traced": None,
        "loss": "squared",
        "momentum": 0.0,
    },
    "neural_tangents_kernel": BACKEND,
    "neural_tangents.kernels.neural_tangents_triples": BACKEND,
    "stax_cnn": {**NETWORK, "pooling": False},
    "stax_mlp": NETWORK,
    "width_convergence": {"seeds": 10},
}
"""All arguments with a default, but for `progress` and what follows the images by position."""


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_default_to_what_is_said(name):
    parameters = inspect.signature(attrgetter(name)(ntk)).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    defaults.pop("progress", None)
    required = {name for name, value in defaults.items() if value is inspect.Parameter.empty}
    assert {name: defaults[name] for name in set(defaults) - required} == ARGUMENTS[name]
