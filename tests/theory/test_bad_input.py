import inspect
from functools import partial

import numpy as np
import pytest
from theory_arguments import (
    CALLED,
    COLUMN,
    EYE,
    GOOD,
    INDICES,
    ONES,
    PROBLEM,
    TANH,
    WORDS,
    R,
    from_params,
    gradients,
    name_of,
)

from ntk_aug import theory
from ntk_aug.errors import InputError
from ntk_aug.theory import TanhMLP, WeightedLeastSquares


def check_refused(function, arguments, *fragments):
    """Asserts an InputError of one line that holds the fragments."""
    with pytest.raises(InputError) as error:
        function(**arguments)
    message = str(error.value)
    assert "\n" not in message
    for fragment in fragments:
        assert fragment in message, message
    return message


def test_every_public_function_is_in_the_table():
    named = {function for function in GOOD if not isinstance(function, partial)}
    covered = named | {theory.lemma_5_1_gradients, theory.fact_5, theory.fact_6}
    missing = [
        name
        for name in theory.__all__
        if inspect.isfunction(getattr(theory, name)) and getattr(theory, name) not in covered
    ]
    # See test_statements and test_networks
    assert missing == [
        "chosen_statements",
        "coreset_spectra",
        "measure_network",
        "measure_shifts",
        "network_dynamics",
        "network_sides",
    ]


@pytest.mark.parametrize("function", GOOD, ids=name_of)
def test_the_arguments_of_the_table_are_taken(function):
    assert function(**GOOD[function]) is not None


def is_array(name, value):
    return name not in (*INDICES, *WORDS) and np.ndim(value) > 0


ARRAYS = [
    pytest.param(function, name, id=f"{name_of(function)}-{name}")
    for function, arguments in GOOD.items()
    for name, value in arguments.items()
    if is_array(name, value)
]


def with_first(value, bad):
    array = np.array(value, np.result_type(np.float64, type(bad)))
    array[(0,) * array.ndim] = bad
    return array


@pytest.mark.parametrize(("function", "name"), ARRAYS)
def test_arrays_have_to_be_finite_real_and_of_the_right_rank(function, name):
    arguments, value = GOOD[function], np.asarray(GOOD[function][name], np.float64)
    called = CALLED.get(name, name)
    for bad in (np.nan, np.inf, -np.inf):
        check_refused(
            function, arguments | {name: with_first(value, bad)}, called, "NaN or infinity"
        )
    for bad in (value[None], value[:0], np.asarray(1.0).reshape((1,) * (value.ndim + 2))):
        message = check_refused(function, arguments | {name: bad})
        assert "expected" in message
    check_refused(
        function, arguments | {name: with_first(value, 1j)}, called, "expected real numbers"
    )
    check_refused(function, arguments | {name: with_first(value, 1e200)}, called, "float64")
    if function is not from_params:
        check_refused(function, arguments | {name: "text"}, called, "expected an array of numbers")
        ragged = [[1.0], [1.0, 2.0]]
        check_refused(function, arguments | {name: ragged}, called, "expected an array of numbers")


# Arrays that fit all else twice as long, too
FREE = {
    (function, name)
    for name, functions in {
        "X": (theory.arora_kernel, TANH.outputs, TANH.jacobians),
        "gradients": (theory.assign, theory.equation_44),
        "sigma": GOOD,  # it is not descending then
        "kernel": (from_params,),
    }.items()
    for function in functions
}


@pytest.mark.parametrize(("function", "name"), ARRAYS)
def test_arrays_have_to_fit_one_another(function, name):
    arguments = GOOD[function]
    if (function, name) in FREE:
        return
    longer = np.concatenate([np.asarray(arguments[name])] * 2)
    check_refused(function, arguments | {name: longer}, "shape", "expected")


NUMBERS = [
    pytest.param(function, name, id=f"{name_of(function)}-{name}")
    for function, arguments in GOOD.items()
    for name, value in arguments.items()
    if isinstance(value, float)
]


@pytest.mark.parametrize(("function", "name"), NUMBERS)
def test_numbers_have_to_be_finite_and_not_negative(function, name):
    arguments = GOOD[function]
    for bad in (np.nan, -np.inf, -1.0, -1e-300):
        check_refused(function, arguments | {name: bad}, name, f"is {bad}", "expected in ")
    if name == "jacobian_lipschitz" and function is theory.fact_2:
        function(**arguments | {name: np.inf})  # there may be no such constant
    else:
        check_refused(function, arguments | {name: np.inf}, name, "expected in ")
        check_refused(function, arguments | {name: 1e200}, name, "expected in ")
    if name in ("eta", "alpha") and function != PROBLEM.moments:
        check_refused(function, arguments | {name: 0.0}, name, "expected in (0, ")


COUNTS = [
    pytest.param(function, name, id=f"{name_of(function)}-{name}")
    for function, arguments in GOOD.items()
    for name, value in arguments.items()
    if isinstance(value, int) and name not in WORDS
]


@pytest.mark.parametrize(("function", "name"), COUNTS)
def test_counts_have_to_be_large_enough(function, name):
    bad = (-1,) if name == "steps" else (0, -1)
    for count in bad:
        check_refused(function, GOOD[function] | {name: count}, f"is {count}, expected ")


SUBSETS = [function for function, arguments in GOOD.items() if "subset" in arguments]


@pytest.mark.parametrize("function", SUBSETS, ids=name_of)
@pytest.mark.parametrize(
    ("subset", "fragment"),
    [
        ([0, 7], "expected 0 to "),
        ([-1, 0], "expected 0 to "),
        ([1, 1], "subset holds an index twice"),
        ([0.0, 1.0], "expected integers [k]"),
        ([True, False], "expected integers [k]"),
        ([[0, 1]], "expected integers [k]"),
        ([[0], [0, 1]], "subset is list"),
        ([], "expected integers [k]"),
        (0, "expected integers [k]"),
        ("01", "expected integers [k]"),
    ],
)
def test_indices_of_a_subset(function, subset, fragment):
    check_refused(function, GOOD[function] | {"subset": subset}, "subset", fragment)


@pytest.mark.parametrize("function", [f for f in SUBSETS if "gamma" in GOOD[f]], ids=name_of)
def test_weights_of_a_subset(function):
    check_refused(
        function,
        GOOD[function] | {"gamma": [-1.0, 3.0]},
        "gamma has a weight -1, expected at least 0",
    )
    check_refused(function, GOOD[function] | {"gamma": [1.0]}, "gamma has shape (1,), expected (2)")


@pytest.mark.parametrize(
    "function", [f for f, arguments in GOOD.items() if "times" in arguments], ids=name_of
)
@pytest.mark.parametrize("times", [[], [-1], [1, 1], [2, 1], [0.0], 3, [[1]], "1", [[1], [1, 2]]])
def test_numbers_of_steps(function, times):
    check_refused(function, GOOD[function] | {"times": times}, "times", "expected ")


DROPPING = [
    function
    for function in GOOD
    if "drop" in inspect.signature(function).parameters or function is gradients
]


@pytest.mark.parametrize("function", DROPPING, ids=name_of)
def test_a_dropped_assumption_has_to_be_one_of_the_statement(function):
    for drop in (("nonsense",), "nonsense", ["nonsense"]):
        check_refused(
            function,
            GOOD[function] | {"drop": drop},
            "unknown assumption to drop 'nonsense'",
            "known: ",
        )


@pytest.mark.parametrize(
    "function",
    [
        theory.theorem_5_2,
        theory.theorem_b_2,
        theory.theorem_b_6,
        next(f for f in GOOD if isinstance(f, partial) and f.func is theory.fact_6),
        theory.theorem_b_1_deterministic,
    ],
    ids=name_of,
)
def test_a_step_size_that_is_too_large_names_the_interval(function):
    check_refused(function, GOOD[function] | {"eta": 30.0}, "'eta'", "eta in (0, ", "]", "it is 30")


# Function, arguments in place of good ones, what the message says
OTHERS = [
    (theory.lemma_4_1, {"p": 1.5}, "p (probability of a decrease) is 1.5, expected in [0, 1]"),
    (theory.shift_moments, {"p": 1.1}, "expected in [0, 1]"),
    (theory.draw_shifts, {"p": 2.0}, "expected in [0, 1]"),
    (theory.draw_shifts, {"e": -0.1}, "e (half-width of the law) is -0.1"),
    (theory.draw_shifts, {"key": -(2**64)}, "the seed is"),
    (theory.arora_kernel, {"X": 2 * EYE}, "row 0 of X has a norm 1 away from 1"),
    (theory.main_term, {"kernel": np.diag([1.0, 0.0])}, "smallest eigenvalue of the kernel is 0"),
    (theory.main_term, {"kernel": np.diag([1.0, -2.0])}, "expected above 0"),
    (theory.main_term, {"kernel": np.ones((2, 3))}, "expected a square matrix"),
    (theory.equation_18, {"kernel": [[1.0, 0.5], [0.0, 1.0]]}, "expected symmetric"),
    (theory.equation_18, {"kernel": np.zeros((2, 2))}, "expected above 0"),
    (theory.equation_18, {"y": 3 * ONES}, "'targets' fails"),
    (theory.equation_19, {"J": np.ones((3, 2)), "E": np.ones((3, 2))}, "no more rows than columns"),
    (theory.equation_19, {"E": -EYE}, "smallest singular value of J + E is 0"),
    (theory.equation_19, {"e": 0.05}, "the assumption 'e' fails (bound of ||E||): it is 0.05"),
    (theory.lemma_5_1, {"jacobian_lipschitz": 0.1}, "'lipschitz'"),
    (theory.lemma_5_1, {"xi": 0.0}, "'xi'"),
    (gradients, {"residuals": R + 1}, "'output lipschitz'"),
    (theory.theorem_5_2, {"gamma": [1.0, 2.0]}, "'gamma' fails (sum of the weights, n): it is 3"),
    (theory.theorem_5_2, {"alpha": 10.0}, "'PL'"),
    (theory.theorem_b_2, {"alpha": 10.0}, "'PL'"),
    (theory.theorem_5_2, {"eps0": 0.0, "X_augmented": 2 * EYE}, "'eps0'"),
    (theory.theorem_b_6, {"gamma": [0.0, 0.0], "xi": 9.0}, "has the weight 0"),
    (theory.theorem_b_6, {"gamma": [1.0, 1.5]}, "'gamma' fails"),
    (theory.lemma_b_4, {"omega": 0.0, "F": 2 * EYE}, "'omega'"),
    (theory.lemma_b_4, {"xi": 0.0, "gamma": [0.5, 0.5], "W": 9 * COLUMN}, "'xi'"),
    (theory.theorem_b_1, {"p": [0.5, 1.5]}, "p ranges from 0.5 to 1.5, expected in [0, 1]"),
    (theory.theorem_b_1, {"p": -0.1}, "expected in [0, 1]"),
    (theory.theorem_b_1, {"p": np.nan}, "NaN or infinity"),
    (theory.theorem_b_1, {"p": np.float32(1.5)}, "p ranges from 1.5"),
    (theory.theorem_b_1, {"sigma": [1.0, 2.0]}, "descending"),
    (theory.theorem_b_1, {"sigma": [1.0, -2.0]}, "at least 0"),
    (
        theory.theorem_b_1,
        {"sigma": [4.0, 3.0, 2.0, 1.0], "p": 0.5, "y": np.ones(4)},
        "y has 4 values that are not 0, expected at most 3",
    ),
    (
        theory.theorem_b_1_deterministic,
        {"J": np.ones((3, 2)), "E": np.ones((3, 2))},
        "no more rows",
    ),
    (theory.theorem_b_1_deterministic, {"e": 0.05}, "'e' fails"),
    (theory.lemma_b_3, {"r": 0 * R}, "nothing follows"),
    (theory.lemma_b_3, {"xi": 0.0}, "'xi'"),
    (theory.claim_c_2, {"J": np.diag([1.0, 0.0])}, "smallest singular value of J is 0"),
    (theory.second_order, {"sigma": [1.0, 1.0]}, "two singular values are equal"),
    (theory.measure_perturbed, {"sigma": [1.0, 1.0]}, "two singular values are equal"),
    (theory.second_order, {"sigma": [1.0, 2.0]}, "descending"),
    (theory.measure_perturbed, {"sigma": [1.0, 2.0]}, "descending"),
    (theory.measure_perturbed, {"sigma": [1.0, -2.0]}, "at least 0"),
    (theory.second_order, {"num_params": 1}, "num_params is 1, expected 2 to"),
    (theory.measure_perturbed, {"num_params": 1}, "num_params is 1, expected 2 to"),
    (theory.measure_perturbed, {"draws": 1}, "draws is 1, expected 2 to"),
    (theory.fact_2, {"distances": [1.0, -1.0, 1.0]}, "distances has -1, expected at least 0"),
    (theory.fact_2, {"jacobian_lipschitz": 0.01}, "'lipschitz'"),
    (theory.fact_3, {"J": [[1.0, 2.0]], "E": [[0.0, 0.0]]}, "a gap needs two"),
    (theory.fact_4, {"J": COLUMN, "E": COLUMN}, "no more rows than columns"),
    (WeightedLeastSquares.from_arrays, {"w": [-1.0, 1.0]}, "w ranges from -1 to 1, expected"),
    (WeightedLeastSquares.from_arrays, {"w": [0.0, 0.0]}, "not all 0"),
    (theory.random_instances, {"number": "B.7"}, "unknown statement 'B.7'"),
    (theory.check_statement, {"number": "b.4"}, "unknown statement 'b.4'"),
    (theory.random_instances, {"count": 0}, "instances is 0, expected 1 to"),
    (theory.check_statement, {"instances": 0}, "instances is 0, expected 1 to"),
    (theory.check_statement, {"key": 2**64}, "the seed is"),
]


@pytest.mark.parametrize(("function", "bad", "fragment"), OTHERS)
def test_what_else_is_refused(function, bad, fragment):
    check_refused(function, GOOD[function] | bad, fragment)


def test_parameters_of_another_network_are_refused():
    for params in ({}, {"hidden": {"kernel": EYE}}, {"hidden": 1, "output": 2}):
        with pytest.raises(InputError, match="parameters are not those of models"):
            TanhMLP.from_params(params)


def test_records_without_any_curvature_have_no_pl_constant():
    flat = WeightedLeastSquares.from_arrays(0 * EYE, ONES, ONES, np.zeros(2))
    check_refused(theory.fact_6, {"problem": flat}, "every record is 0")
    assert flat.Lam == 0
    assert theory.fact_5(flat, COLUMN).corrected_holds
