"""Selects examples that represent the whole data set, by gradients, losses or at random."""

from ntk_aug.coreset.baselines import herd, k_center_greedy
from ntk_aug.coreset.budgets import class_budgets
from ntk_aug.coreset.examples import Examples
from ntk_aug.coreset.facility.facility_location import ALGORITHMS, facility_location
from ntk_aug.coreset.facility.per_class import facility_location_per_class
from ntk_aug.coreset.gradient_errors import gradient_error, random_gradient_errors
from ntk_aug.coreset.gradient_factors import GradientFactors
from ntk_aug.coreset.gradient_matching import match_gradients
from ntk_aug.coreset.network_gradients import network_examples
from ntk_aug.coreset.proxies import PROXIES, last_layer_logit_gradients, last_layer_weight_gradients
from ntk_aug.coreset.selection import select
from ntk_aug.coreset.selectors import SELECTORS
from ntk_aug.coreset.subset import Subset, mean_one_weights

# From what most users call first to what few need.
__all__ = [  # noqa: RUF022
    "select",
    "SELECTORS",
    "Subset",
    "network_examples",
    "Examples",
    "PROXIES",
    "facility_location",
    "facility_location_per_class",
    "ALGORITHMS",
    "herd",
    "k_center_greedy",
    "match_gradients",
    "gradient_error",
    "random_gradient_errors",
    "mean_one_weights",
    "class_budgets",
    "last_layer_logit_gradients",
    "last_layer_weight_gradients",
    "GradientFactors",
]
