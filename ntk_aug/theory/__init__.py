"""The paper's theory, statement by statement, as numbers: both sides, assumptions, constants.

`STATEMENTS` lists all of them with their status. A statement's function computes both sides at one
instance; `check_statement` does so at hundreds of random ones and at the constructed ones.
"""

from ntk_aug.theory.checking import (
    DEFAULT_INSTANCES,
    Constructed,
    StatementReport,
    Tally,
    check_statement,
    random_instances,
)
from ntk_aug.theory.corollary_4_2 import arora_kernel, equation_18, equation_19, main_term
from ntk_aug.theory.descent import Moments, WeightedLeastSquares, fact_5, fact_6
from ntk_aug.theory.equation_44 import Assignment, assign, equation_44
from ntk_aug.theory.lemma_4_1 import ShiftMoments, draw_shifts, lemma_4_1, shift_moments
from ntk_aug.theory.lemma_5_1 import AugmentedExamples, lemma_5_1, lemma_5_1_gradients
from ntk_aug.theory.lemma_b_3 import lemma_b_3
from ntk_aug.theory.lemma_b_4 import corollary_b_5, lemma_b_4
from ntk_aug.theory.network_spectra import (
    CoresetSpectra,
    Shifts,
    coreset_spectra,
    measure_shifts,
)
from ntk_aug.theory.networks import (
    NETWORK_STATEMENTS,
    MeasuredNetwork,
    measure_network,
    network_sides,
)
from ntk_aug.theory.perturbation import fact_1, fact_2, fact_3, fact_4
from ntk_aug.theory.second_order import (
    Expansion,
    MeasuredGains,
    claim_c_2,
    measure_perturbed,
    second_order,
)
from ntk_aug.theory.sides import Assumption, AssumptionError, Bound, Sides
from ntk_aug.theory.smooth_network import TanhMLP
from ntk_aug.theory.statements import STATEMENTS, STATUSES, Statement, chosen_statements
from ntk_aug.theory.theorem_5_2 import theorem_5_2, theorem_b_2
from ntk_aug.theory.theorem_b_1 import theorem_b_1, theorem_b_1_deterministic
from ntk_aug.theory.theorem_b_6 import theorem_b_6
from ntk_aug.theory.training_dynamics import Dynamics, network_dynamics

__all__ = [
    "DEFAULT_INSTANCES",
    "NETWORK_STATEMENTS",
    "STATEMENTS",
    "STATUSES",
    "Assignment",
    "Assumption",
    "AssumptionError",
    "AugmentedExamples",
    "Bound",
    "Constructed",
    "CoresetSpectra",
    "Dynamics",
    "Expansion",
    "MeasuredGains",
    "MeasuredNetwork",
    "Moments",
    "ShiftMoments",
    "Shifts",
    "Sides",
    "Statement",
    "StatementReport",
    "Tally",
    "TanhMLP",
    "WeightedLeastSquares",
    "arora_kernel",
    "assign",
    "check_statement",
    "chosen_statements",
    "claim_c_2",
    "coreset_spectra",
    "corollary_b_5",
    "draw_shifts",
    "equation_18",
    "equation_19",
    "equation_44",
    "fact_1",
    "fact_2",
    "fact_3",
    "fact_4",
    "fact_5",
    "fact_6",
    "lemma_4_1",
    "lemma_5_1",
    "lemma_5_1_gradients",
    "lemma_b_3",
    "lemma_b_4",
    "main_term",
    "measure_network",
    "measure_perturbed",
    "measure_shifts",
    "network_dynamics",
    "network_sides",
    "random_instances",
    "second_order",
    "shift_moments",
    "theorem_5_2",
    "theorem_b_1",
    "theorem_b_1_deterministic",
    "theorem_b_2",
    "theorem_b_6",
]
