"""The numbered statements of the paper's supplement: printed form, corrected form, instances."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ntk_aug.checks import check_choice
from ntk_aug.theory.corollary_4_2 import equation_18, equation_19
from ntk_aug.theory.descent import fact_5, fact_6
from ntk_aug.theory.equation_44 import equation_44
from ntk_aug.theory.instances import descent, gradient_descent, gradients, spectral
from ntk_aug.theory.lemma_4_1 import lemma_4_1
from ntk_aug.theory.lemma_5_1 import lemma_5_1
from ntk_aug.theory.lemma_b_3 import lemma_b_3
from ntk_aug.theory.lemma_b_4 import corollary_b_5, lemma_b_4
from ntk_aug.theory.perturbation import fact_1, fact_2, fact_3, fact_4
from ntk_aug.theory.second_order import claim_c_2
from ntk_aug.theory.sides import Sides
from ntk_aug.theory.theorem_5_2 import theorem_5_2, theorem_b_2
from ntk_aug.theory.theorem_b_1 import theorem_b_1
from ntk_aug.theory.theorem_b_6 import theorem_b_6

HOLDS, SILENT, FALSE = "HOLDS", "SILENT", "FALSE"

STATUSES = {
    HOLDS: "true as stated",
    SILENT: "true only with an unstated assumption",
    FALSE: "a counterexample meets all stated assumptions",
}


@dataclass(frozen=True)
class Statement:
    """A statement and its instances.

    Attributes:
      title: name and equations.
      function: evaluates both sides at an instance; its docstring explains the statement.
      status: a key of `STATUSES`.
      reason: the reason for the status, in one line.
      printed: the printed form in plain text; empty if the paper has none.
      corrected: the form that holds.
      random: evaluates a random instance, drawn from a generator.
      counterexamples: instances that meet the written assumptions and violate the printed form.
      attained: instances at which a corrected bound is (nearly) an equality.
      dropped: for each assumption, an instance that lacks only it and violates the corrected form.
    """

    title: str
    function: Callable[..., Sides]
    status: str
    reason: str
    printed: str
    corrected: str
    random: Callable[[np.random.Generator], Sides]
    counterexamples: tuple[Callable[[], Sides], ...] = ()
    attained: tuple[Callable[[], Sides], ...] = ()
    dropped: Mapping[str, Callable[[], Sides]] = field(default_factory=dict)


STATEMENTS: dict[str, Statement] = {
    "4.1": Statement(
        "Lemma 4.1, Eq. (1)-(15)",
        lemma_4_1,
        SILENT,
        "exact inside its model for sigma >= e; the law itself is an assumption that real "
        "Jacobians do not follow",
        "E lambda~ = sigma^2 + sigma (1 - 2p) e + e^2 / 3",
        "E lambda~ = sigma^2 + sigma (-p m + (1 - p) e) + (p m^2 + (1 - p) e^2) / 3, "
        "m = min(sigma, e)",
        spectral.lemma_4_1_random,
        counterexamples=(spectral.lemma_4_1_truncated,),
        attained=(spectral.lemma_4_1_inside,),
    ),
    "4.2-18": Statement(
        "Corollary 4.2, main terms of Eq. (17)-(18)",
        equation_18,
        HOLDS,
        "y'K^-1 y <= ||y||^2 / lambda_min, and ||y||^2 <= n; the remainder O(log 1/delta) bounds "
        "nothing, and (16) has four typos",
        "sqrt(2 y'K^-1 y / n) <= sqrt(2 / sigma_min^2)",
        "the same",
        spectral.eq18_random,
        attained=(spectral.eq18_scaled,),
        dropped={"targets": spectral.eq18_targets},
    ),
    "4.2-19": Statement(
        "Corollary 4.2, main terms of Eq. (19)",
        equation_19,
        FALSE,
        "the best case is written as an upper bound",
        "sqrt2 / sigma~_min <= sqrt2 / (sigma_min + sqrt(n) L eps0)",
        "sqrt2 / (sigma_min + e) <= sqrt2 / sigma~_min <= sqrt2 / (sigma_min - e), e >= ||E||",
        spectral.eq19_random,
        counterexamples=(spectral.eq19_shrunk,),
        attained=(spectral.eq19_shrunk,),
        dropped={"e": spectral.eq19_understated, "sigma_min > e": spectral.eq19_beyond},
    ),
    "5.1": Statement(
        "Lemma 5.1, Eq. (20)-(27)",
        lemma_5_1,
        SILENT,
        "the residual is frozen and has to be at most sqrt n; false without either",
        "||J~'r - J~_S'Gamma r_S|| <= xi + 2 n^(3/2) L eps0 <= xi + 2 sqrt L",
        "(a) xi + rho LJ eps0 sum_i |1 - gamma_i|; (b) for true gradients "
        "xi + (rho~ LJ + B Lf) eps0 sum_i |1 - gamma_i|",
        gradients.lemma_5_1_random,
        counterexamples=(gradients.lemma_5_1_large_residuals, gradients.lemma_5_1_true_gradients),
        attained=(gradients.lemma_5_1_attained, gradients.lemma_5_1_true_gradients),
        dropped={
            "lipschitz": gradients.lemma_5_1_without_lipschitz,
            "output lipschitz": gradients.lemma_5_1_without_output_lipschitz,
            "xi": gradients.lemma_5_1_without_xi,
        },
    ),
    "5.2": Statement(
        "Theorem 5.2, Eq. (28)-(43)",
        theorem_5_2,
        FALSE,
        "a factor sqrt(2 Lam) is missing, the step size is twice too large, and weights are "
        "dropped in (40)-(41)",
        "E||grad L(W^t)|| <= alpha^(-1/2) (1 - alpha eta/2)^(t/2) (2 G0 + xi + sigma_max Lbar "
        "sqrt(n) eps0 + sigma_max O(n eps0^2)) + sqrt(2n) Lbar eps0, eta = alpha / (Lam beta)",
        "sqrt(2 Lam / alpha) (1 - alpha eta/2)^(t/2) (2 G0 + xi + sigma_max(sqrt(Gamma) J_c) "
        "sqrt(n) Lf eps0 + rho~ n LJ eps0), eta <= alpha / (2 Lam beta)",
        descent.t52_random,
        counterexamples=(descent.t52_prefactor, descent.t52_step_size),
        attained=(descent.t52_step_size,),
        dropped=descent.without_assumptions(theorem_5_2),
    ),
    "A.5": Statement(
        "A.5, Eq. (44)",
        equation_44,
        FALSE,
        "rows have to be differences g_i - g_pi(i), and a factor sqrt(n - k) is missing",
        "||sum_i g_i - sum_j gamma_j g_j|| <= ||G_pi||_F, rows g_pi(i)",
        "||sum_i g_i - sum_j gamma_j g_j|| <= sum_i ||D_i|| <= sqrt(n - k) ||D||_F, "
        "rows g_i - g_pi(i)",
        gradients.eq44_random,
        counterexamples=(gradients.eq44_zero_gradient,),
        attained=(gradients.eq44_equal_differences,),
    ),
    "B.1": Statement(
        "Theorem B.1, Eq. (45)-(51)",
        theorem_b_1,
        FALSE,
        "Jensen is reversed from (49) to (50)",
        "E||y - f(X_aug, W^t)|| <= sqrt(sum_i (1 - eta E lambda~_i)^(2t) "
        "((u_i'y)^2 + 2 n sqrt2 e / gap0))",
        "(a) sqrt(sum_i E(1 - eta lambda~_i)^(2t) c_i), c_i = min(||y||^2, (u_i'y)^2 + 2 sqrt2 "
        "||y||^2 e / gap_i); (b) by the chord; (c) (1 - eta max(sigma_i - e, 0)^2)^(2t); "
        "(d) without gaps",
        gradient_descent.b1_random,
        counterexamples=(gradient_descent.b1_mean_rate, gradient_descent.b1_two_rows),
        attained=(gradient_descent.b1_narrow, gradient_descent.b1_slowed),
        dropped={"eta": gradient_descent.b1_fast_step, "e": gradient_descent.b1_understated},
    ),
    "B.2": Statement(
        "Theorem B.2, Eq. (52)-(59)",
        theorem_b_2,
        FALSE,
        "inherits 5.2; its eps0 does not give O(Lbar / sigma_max)",
        "E||grad L(W^t)|| <= alpha^(-1/2) (1 - alpha eta/2)^(t/2) (2 G0 + 2 xi + "
        "O(Lbar / sigma_max)), eta = alpha / (Lam beta)",
        "that of 5.2 with 2 G0 + 2 xi + sigma_max(sqrt(Gamma) J_c) sqrt(n) Lf eps0 + "
        "rho~ n LJ eps0 in brackets",
        descent.b2_random,
        counterexamples=(descent.b2_step_size,),
        attained=(descent.b2_equality,),
        dropped=descent.without_assumptions(theorem_b_2),
    ),
    "B.3": Statement(
        "Lemma B.3, Eq. (60)-(65)",
        lemma_b_3,
        FALSE,
        "weights vanish at (63), and the absolute value at (65) is wrong",
        "sqrt(sum_i lambda_i) >= | ||J'r|| - xi | / ||r_S||",
        "sqrt(sum_i lambda_i) >= max(0, ||J'r|| - xi) / ||Gamma r_S||; (a) sigma_1(Gamma J_S), "
        "(b) sigma_1(sqrt(Gamma) J_S), (c) sigma_1(J_S)",
        gradients.b3_random,
        counterexamples=(gradients.b3_equal_points, gradients.b3_loose_xi),
        attained=(gradients.b3_equal_points,),
        dropped={"xi": gradients.b3_without_xi},
    ),
    "B.4": Statement(
        "Lemma B.4, Eq. (66)-(74)",
        lemma_b_4,
        FALSE,
        "z_i of the sum over all data is dropped at (70); the right constant is 2",
        "||sum_i grad l_i(F x_i) - sum_j gamma_j grad l_j(F x_j)|| <= ||F|| (xi + sqrt(d) n omega)",
        "(a) ||F|| (xi + R omega sum_i |1 - gamma_i|); (b) ||F|| (xi + 2 n R omega)",
        gradients.b4_random,
        counterexamples=(gradients.b4_family, gradients.b4_large_family),
        attained=(gradients.b4_large_family,),
        dropped=gradients.without_assumptions(lemma_b_4),
    ),
    "B.5": Statement(
        "Corollary B.5, Eq. (75)-(80)",
        corollary_b_5,
        FALSE,
        "inherits B.4",
        "clean and augmented together <= (||F|| + 1) xi + sqrt(d) ||F|| n omega",
        "(a) (||F|| + 1) xi + R ||F|| omega sum_i |1 - gamma_i|; (b) with 2 n for the sum",
        gradients.b5_random,
        counterexamples=(gradients.b5_family, gradients.b5_large_family),
        attained=(gradients.b5_large_family,),
        dropped=gradients.without_assumptions(corollary_b_5),
    ),
    "B.6": Statement(
        "Theorem B.6, Eq. (81)-(87)",
        theorem_b_6,
        FALSE,
        "inherits B.4, B.5 and 5.2",
        "E||grad L(W^t)|| <= alpha^(-1/2) (1 - alpha eta/2)^(t/2) (G0' + (||F|| + 1) xi + "
        "sqrt(d) ||F|| n omega), eta = alpha / (Lam beta)",
        "sqrt(2 Lam / alpha) (1 - alpha eta/2)^(t/2) (G0' + (||F|| + 1) xi + 2 n R ||F|| omega), "
        "eta <= alpha / (2 Lam beta)",
        descent.b6_random,
        counterexamples=(descent.b6_step_size, descent.b6_bracket),
        attained=(descent.b6_step_size, descent.b6_bracket),
        dropped=descent.B6_WITHOUT,
    ),
    "C.2": Statement(
        "C.2: small singular values grow relatively more",
        claim_c_2,
        FALSE,
        "an observation on strong augmentation, and no theorem; only trace and top-k sums grow on "
        "average",
        "sigma~_1 / sigma_1 <= sigma~_N / sigma_N",
        "mean over E and -E: sum_i lambda~_i = sum_i lambda_i + ||E||_F^2; "
        "sum_{i<=k} lambda~_i >= sum_{i<=k} lambda_i",
        spectral.c2_random,
        counterexamples=(spectral.c2_merging, spectral.c2_always_down),
        attained=(spectral.c2_merging,),
    ),
    "F1": Statement(
        "Fact F1 (Weyl)",
        fact_1,
        HOLDS,
        "used in Lemma 4.1 and Corollary 4.2",
        "",
        "|sigma~_i - sigma_i| <= ||E||",
        spectral.f1_random,
        attained=(spectral.f1_aligned,),
    ),
    "F2": Statement(
        "Fact F2: the size of E",
        fact_2,
        SILENT,
        "L has to be the Lipschitz constant of x -> J(W, x), which ReLU networks do not have",
        "||E|| <= sqrt(n) L eps0, L of the outputs",
        "||E|| <= sqrt(n) LJ eps0, LJ of the Jacobian",
        spectral.f2_random,
        counterexamples=(spectral.f2_relu,),
        attained=(spectral.f2_linear,),
        dropped={"lipschitz": spectral.f2_relu_without_lipschitz},
    ),
    "F3": Statement(
        "Fact F3 (Wedin)",
        fact_3,
        HOLDS,
        "with explicit constants; gaps decide, and not sizes",
        "",
        "sin angle(u_i, u~_i) <= min(1, 2 sqrt2 ||E|| / gap_i)",
        spectral.f3_random,
        attained=(spectral.f3_swap,),
    ),
    "F4": Statement(
        "Fact F4: the slack of Eq. (49)",
        fact_4,
        SILENT,
        "needs ||y||^2 <= n, as of targets within 1",
        "(u~_i'y)^2 <= (u_i'y)^2 + 2 n sqrt2 ||E|| / gap0",
        "(u~_i'y)^2 <= (u_i'y)^2 + ||y||^2 sin angle(u_i, u~_i)",
        spectral.f4_random,
        counterexamples=(spectral.f4_targets,),
        attained=(spectral.f4_swap,),
    ),
    "F5": Statement(
        "Fact F5: gradients of smooth losses",
        fact_5,
        HOLDS,
        "the factor 2 Lam that (28) lacks",
        "",
        "||grad h||^2 <= 2 beta h",
        descent.f5_random,
        attained=(descent.f5_single_record,),
    ),
    "F6": Statement(
        "Fact F6: the contraction of SGD",
        fact_6,
        FALSE,
        "with the printed step size the loss need not fall at all",
        "E L(W^t) <= (1 - alpha eta/2)^t L(W^0), eta = alpha / (Lam beta)",
        "the same for eta <= alpha / (2 Lam beta)",
        descent.f6_random,
        counterexamples=(descent.f6_orthonormal,),
        attained=(descent.f6_orthonormal,),
        dropped={
            "PL": descent.f6_without_pl,
            "interpolation": descent.f6_without_interpolation,
            "eta": descent.f6_without_eta,
        },
    ),
}
"""The statements by number."""


def chosen_statements(names: str | Sequence[str]) -> list[str]:
    """Returns the numbers of the named statements, or of all if `names` is empty.

    Args:
      names: numbers or their prefixes: "4.2" stands for 4.2-18 and 4.2-19.

    Raises:
      InputError: a name matches no statement.
    """
    if not names:
        return list(STATEMENTS)
    names = (names,) if isinstance(names, str) else names
    for name in names:
        if not any(_fits(number, name) for number in STATEMENTS):
            check_choice(name, STATEMENTS, "statement")
    return [number for number in STATEMENTS if any(_fits(number, name) for name in names)]


def _fits(number, name):
    return number.lower() == name.lower() or number.lower().startswith(f"{name.lower()}-")
