"""Defaults that estimates from products depend on: a change is seen here."""

import inspect

import pytest

from ntk_aug import spectrum

ENDS = {"tolerance": 1e-5, "max_iterations": 300}  # float32 products do not get below 1e-6
ARGUMENTS = {
    "appended_spectrum": {
        "rows": "logits",
        "dtype": "float32",
        "memory_bytes": 2 * 2**30,
        "mesh": None,
        "blocks_folder": None,
    },
    "estimate_entropy_rank": {"num_samples": 30, "num_steps": 30, "relative_error": None},
    "estimate_moments": {"num_samples": 100, "relative_error": None},
    "kernel_alignment": {"centered": False},
    "label_alignment": {"centered": False},
    "largest_singular_triplets": ENDS,
    "smallest_singular_triplets": ENDS,
}
"""All options with a default, but for `progress`."""


@pytest.mark.parametrize("name", ARGUMENTS)
def test_options_default_to_what_is_said(name):
    parameters = inspect.signature(getattr(spectrum, name)).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    defaults.pop("progress", None)
    assert defaults == ARGUMENTS[name]
