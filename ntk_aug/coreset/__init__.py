"""Which examples stand for all: budgets, gradient proxies and facility location."""

from ntk_aug.coreset.budgets import SPLITS, budget_of, class_budgets

__all__ = [
    "SPLITS",
    "budget_of",
    "class_budgets",
]
