"""Arguments that every public function of the theory takes, from which tests spoil one."""

from functools import partial

import numpy as np

from ntk_aug import theory
from ntk_aug.theory import AugmentedExamples, TanhMLP, WeightedLeastSquares
from ntk_aug.theory.smooth_network import random_network

EYE, ONES = np.eye(2), np.ones(2)
COLUMN, TIMES = np.ones((2, 1)), [0, 1]
J = np.arange(1.0, 13.0).reshape(3, 2, 2)
R = np.ones((3, 2))
CORESET = {"subset": [0, 2], "gamma": [1.0, 2.0]}
CONSTANTS = {"jacobian_lipschitz": 1.0, "eps0": 0.5, "xi": 100.0}
NETWORK = {"J": J, "r": R, **CORESET}
LINEAR = {"X": EYE, "Y": COLUMN, "F": EYE, "subset": [0, 1], "gamma": [1.0, 1.0]}
SGD = {
    "X": EYE,
    "Y": ONES,
    "X_augmented": EYE,
    "subset": [0, 1],
    "gamma": [1.0, 1.0],
    "W0": np.zeros(2),
    "steps": 2,
    "alpha": 1.0,
    "eta": 0.01,
    "xi": 0.1,
    "eps0": 0.1,
    "order_constant": 1.0,
}
PROBLEM = WeightedLeastSquares.from_arrays(EYE, ONES, ONES, np.zeros(2))
TANH = random_network(np.random.default_rng(0), 2, 3, 1)


def gradients(J_aug, residuals, J_own, own_residuals, **given):
    """`lemma_5_1_gradients` with the parts of its networks as arguments."""
    return theory.lemma_5_1_gradients(
        augmented=AugmentedExamples(J_aug, residuals),
        of_subset=AugmentedExamples(J_own, own_residuals),
        **given,
    )


def from_params(kernel, bias, output_kernel, output_bias):
    return TanhMLP.from_params(
        {
            "hidden": {"kernel": np.asarray(kernel), "bias": bias},
            "output": {"kernel": np.asarray(output_kernel), "bias": output_bias},
        }
    )


# From each public function to arguments that it takes.
GOOD = {
    theory.shift_moments: {"sigma": 1.0, "e": 0.5, "p": 0.5},
    theory.lemma_4_1: {"sigma": 1.0, "e": 0.5, "p": 0.5},
    theory.draw_shifts: {"key": 0, "e": 0.5, "p": 0.5, "count": 3},
    theory.arora_kernel: {"X": EYE},
    theory.main_term: {"kernel": EYE, "y": ONES},
    theory.equation_18: {"kernel": EYE, "y": ONES},
    theory.equation_19: {"J": EYE, "E": 0.1 * EYE, "e": 0.2},
    theory.lemma_5_1: {**NETWORK, "J_augmented": J + 0.1, "J_subset": J[[0, 2]] + 0.1, **CONSTANTS},
    gradients: {
        **NETWORK,
        "J_aug": J,
        "residuals": R,
        "J_own": J[[0, 2]],
        "own_residuals": R[:2],
        **CONSTANTS,
        "output_lipschitz": 1.0,
    },
    theory.theorem_5_2: SGD,
    theory.theorem_b_2: SGD,
    theory.assign: {"gradients": EYE, "subset": [0]},
    theory.equation_44: {"gradients": EYE, "subset": [0]},
    theory.theorem_b_1: {
        "sigma": [2.0, 1.0],
        "e": 0.1,
        "p": [0.5, 0.5],
        "y": [1.0, 0.0],
        "eta": 0.1,
        "times": TIMES,
    },
    theory.theorem_b_1_deterministic: {
        "J": EYE,
        "E": 0.1 * EYE,
        "y": ONES,
        "times": TIMES,
        "eta": 0.1,
        "e": 0.2,
    },
    theory.lemma_b_3: {**NETWORK, "xi": 100.0},
    theory.lemma_b_4: {**LINEAR, "W": COLUMN, "xi": 1.0, "omega": 1.0},
    theory.corollary_b_5: {**LINEAR, "W": COLUMN, "xi": 1.0, "omega": 1.0},
    theory.theorem_b_6: {
        **LINEAR,
        "W0": COLUMN,
        "xi": 1.0,
        "omega": 1.0,
        "steps": 2,
        "alpha": 1.0,
        "eta": 0.01,
    },
    theory.claim_c_2: {"J": EYE, "E": EYE},
    theory.second_order: {"sigma": [2.0, 1.0], "num_params": 3, "s": 0.1},
    theory.measure_perturbed: {
        "key": 0,
        "sigma": [2.0, 1.0],
        "num_params": 3,
        "s": 0.1,
        "draws": 2,
    },
    theory.fact_1: {"J": EYE, "E": EYE},
    theory.fact_2: {
        "E": 0.1 * J / 12,
        "distances": np.ones(3),
        "jacobian_lipschitz": 1.0,
        "output_lipschitz": 1.0,
    },
    theory.fact_3: {"J": EYE, "E": EYE},
    theory.fact_4: {"J": EYE, "E": EYE, "y": ONES},
    WeightedLeastSquares.from_arrays: {"X": EYE, "Y": ONES, "w": ONES, "W0": np.zeros(2)},
    partial(theory.fact_5, PROBLEM): {"W": COLUMN},
    partial(theory.fact_6, PROBLEM): {"steps": 2, "alpha": 1.0, "eta": 0.01},
    PROBLEM.moments: {"eta": 0.1, "steps": 2},
    TANH.outputs: {"X": EYE},
    TANH.jacobians: {"X": EYE},
    TANH.jacobian_lipschitz: {"radius": 1.0},
    from_params: {
        "kernel": EYE,
        "bias": ONES,
        "output_kernel": EYE,
        "output_bias": ONES,
    },
    theory.random_instances: {"key": 0, "number": "4.1", "count": 1},
    theory.check_statement: {"key": 0, "number": "4.1", "instances": 1},
}
# How messages call what has no name of its own
CALLED = {
    "kernel": "kernel",
    "J_aug": "augmented.J",
    "residuals": "augmented.residuals",
    "J_own": "of_subset.J",
    "own_residuals": "of_subset.residuals",
    "bias": "hidden bias",
    "output_kernel": "output kernel",
    "output_bias": "output bias",
    "p": "p",
    "count": "",  # (draws) or instances
    "gamma": "gamma",
}
INDICES = ("subset", "times")
WORDS = ("key", "number")


def name_of(function):
    inner = function.func if isinstance(function, partial) else function
    return getattr(inner, "__qualname__", str(inner))
