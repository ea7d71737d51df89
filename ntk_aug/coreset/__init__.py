"""Which examples stand for all: budgets, gradient proxies and facility location."""

from ntk_aug.coreset.baselines import herd, k_center_greedy, largest_scores, random_subset
from ntk_aug.coreset.budgets import ALLOCATIONS, budget_of, class_budgets
from ntk_aug.coreset.examples import Examples
from ntk_aug.coreset.facility.facility_location import (
    ALGORITHMS,
    DEFAULT_ALGORITHM,
    DEFAULT_MEMORY_BYTES,
    facility_location,
)
from ntk_aug.coreset.facility.on_device import device_bytes, facility_location_on_device
from ntk_aug.coreset.facility.per_class import facility_location_per_class
from ntk_aug.coreset.gradient_errors import error_estimate, gradient_error, random_gradient_errors
from ntk_aug.coreset.gradient_factors import GradientFactors
from ntk_aug.coreset.gradient_matching import DEFAULT_RIDGE, match_gradients
from ntk_aug.coreset.network_gradients import ExamplesProgram, network_examples
from ntk_aug.coreset.proxies import (
    PROXIES,
    last_layer_logit_gradients,
    last_layer_weight_gradients,
)
from ntk_aug.coreset.selection import select, selection_budgets
from ntk_aug.coreset.selectors import (
    DEFAULT_SELECTOR,
    SELECTORS,
    Selector,
    SelectorEntry,
    find_selector,
)
from ntk_aug.coreset.subset import Subset, mean_one_weights

__all__ = [
    "ALGORITHMS",
    "ALLOCATIONS",
    "DEFAULT_ALGORITHM",
    "DEFAULT_MEMORY_BYTES",
    "DEFAULT_RIDGE",
    "DEFAULT_SELECTOR",
    "PROXIES",
    "SELECTORS",
    "Examples",
    "ExamplesProgram",
    "GradientFactors",
    "Selector",
    "SelectorEntry",
    "Subset",
    "budget_of",
    "class_budgets",
    "device_bytes",
    "error_estimate",
    "facility_location",
    "facility_location_on_device",
    "facility_location_per_class",
    "find_selector",
    "gradient_error",
    "herd",
    "k_center_greedy",
    "largest_scores",
    "last_layer_logit_gradients",
    "last_layer_weight_gradients",
    "match_gradients",
    "mean_one_weights",
    "network_examples",
    "random_gradient_errors",
    "random_subset",
    "select",
    "selection_budgets",
]
