"""Which examples stand for all: budgets, gradient proxies and facility location."""

from ntk_aug.coreset.budgets import SPLITS, budget_of, class_budgets
from ntk_aug.coreset.classes import ClassSelection, facility_location_per_class
from ntk_aug.coreset.examples import Examples
from ntk_aug.coreset.facility import DEFAULT_MEMORY_BYTES, FacilityLocation, facility_location
from ntk_aug.coreset.proxies import (
    last_layer_logit_gradients,
    last_layer_weight_gradients,
)
from ntk_aug.coreset.similarity import GradientFactors

__all__ = [
    "DEFAULT_MEMORY_BYTES",
    "SPLITS",
    "ClassSelection",
    "Examples",
    "FacilityLocation",
    "GradientFactors",
    "budget_of",
    "class_budgets",
    "facility_location",
    "facility_location_per_class",
    "last_layer_logit_gradients",
    "last_layer_weight_gradients",
]
