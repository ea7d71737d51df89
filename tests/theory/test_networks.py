"""The statements on real networks: Jacobians of the engine, constants, dynamics, coresets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg

from ntk_aug import models, ntk, theory
from ntk_aug.errors import InputError
from ntk_aug.jacobian import JacobianRows

WIDTH, CLASSES = 16, 3


@pytest.fixture(scope="module")
def inputs(digit_images):
    return digit_images[:8]


@pytest.fixture(scope="module")
def augmented(inputs):
    noise = np.random.default_rng(0).standard_normal(inputs.shape)
    return (inputs + 0.05 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def labels(digits):
    return digits.labels[:8]


@pytest.fixture(scope="module")
def measured(tanh_mlp, inputs, augmented, labels):
    return theory.measure_network(tanh_mlp, inputs, augmented, labels)


@pytest.fixture(scope="module")
def closed_form(tanh_mlp):
    return theory.TanhMLP.from_params(tanh_mlp.params)


def flat(images):
    return np.asarray(images, np.float64).reshape(len(images), -1)


def check_jacobians_agree(J, expected):
    """Columns may stand in another order: J J' does not depend on it."""
    J, expected = (part.reshape(-1, part.shape[-1]) for part in (J, expected))
    np.testing.assert_allclose(J @ J.T, expected @ expected.T, rtol=1e-9, atol=1e-9)


def test_a_measured_tanh_network_is_the_one_in_closed_form(
    measured, closed_form, inputs, augmented, labels
):
    check_jacobians_agree(measured.J, closed_form.jacobians(flat(inputs)))
    check_jacobians_agree(measured.J_augmented, closed_form.jacobians(flat(augmented)))
    for images, residuals in (
        (inputs, measured.residuals),
        (augmented, measured.residuals_augmented),
    ):
        outputs = closed_form.outputs(flat(images))
        p = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(residuals, p - np.eye(3)[labels], atol=1e-9)
    expected = np.linalg.norm(flat(augmented) - flat(inputs), axis=1)
    np.testing.assert_allclose(measured.distances, expected, rtol=1e-12)
    assert measured.certified
    assert measured.jacobian_lipschitz == pytest.approx(
        closed_form.jacobian_lipschitz(measured.radius), rel=1e-12
    )
    assert measured.output_lipschitz == pytest.approx(closed_form.output_lipschitz, rel=1e-12)


def test_gradients_are_those_of_automatic_differentiation(measured, tanh_mlp, inputs, labels):
    def loss(params, image, label):
        return -jax.nn.log_softmax(tanh_mlp.apply_fn(params, image[None])[0])[label]

    gradients = jax.vmap(jax.grad(loss), (None, 0, 0))(tanh_mlp.params, inputs, labels)
    squared = sum(
        (np.asarray(g) ** 2).sum(axis=tuple(range(1, g.ndim))) for g in jax.tree.leaves(gradients)
    )
    np.testing.assert_allclose((measured.gradients**2).sum(axis=1), squared, rtol=1e-4)


def test_every_statement_holds_on_the_network(measured):
    sides = theory.network_sides(measured, [0, 3, 5], [4.0, 3.0, 1.0])
    assert {one.statement for one in sides.values()} == {"F1", "F2", "F3", "5.1", "A.5", "B.3"}
    for name, one in sides.items():
        assert one.corrected_holds, name
    # ||E|| by another library
    E = (measured.J_augmented - measured.J).reshape(-1, measured.J.shape[-1])
    assert sides["F1"].constants["||E||"] == pytest.approx(linalg.norm(E, 2), rel=1e-10)
    assert sides["F2"].further["rows"].ratio < 1


def test_a_relu_network_has_slopes_at_its_pairs_and_no_certificate(inputs, augmented, labels):
    network = models.build_network("mlp", CLASSES, width=WIDTH)
    view = network.view(*network.init(jax.random.key(0), inputs[:1]))
    measured = theory.measure_network(view, inputs, augmented, labels, loss="squared")
    assert not measured.certified
    rows = np.linalg.norm(measured.J_augmented - measured.J, ord=2, axis=(1, 2))
    slope = (rows / measured.distances).max()
    assert measured.jacobian_lipschitz == pytest.approx(slope, rel=1e-9)
    sides = theory.network_sides(measured, [1, 2], [5.0, 3.0])
    assert all(one.corrected_holds for one in sides.values())
    assert sides["F2"].further["rows"].ratio == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_network_of_ones_own_in_any_precision(dtype, inputs, augmented, labels):
    params = {"w": jnp.asarray(np.random.default_rng(1).standard_normal((64, 3)), jnp.float32)}

    def apply_fn(params, images):
        flat = images.reshape(len(images), -1)
        return jnp.sin(flat.astype(dtype) @ params["w"].astype(dtype)).astype(jnp.float32)

    measured = theory.measure_network((apply_fn, params), inputs, augmented, labels)
    # In float64 throughout: J = cos(x'w) x
    w = np.asarray(params["w"], np.float64)
    x = flat(inputs)
    expected = np.einsum("ic,id,ce->icde", np.cos(x @ w), x, np.eye(3))
    check_jacobians_agree(measured.J, expected.reshape(len(x), 3, -1))


def test_shifts_are_differences_of_singular_values(measured):
    J, J_aug = (part.reshape(-1, part.shape[-1]) for part in (measured.J, measured.J_augmented))
    shifts = theory.measure_shifts(J, [J_aug, J])
    values = linalg.svdvals(J)
    np.testing.assert_allclose(shifts.sigma, values, atol=1e-7 * values[0])
    np.testing.assert_allclose(shifts.delta[0], linalg.svdvals(J_aug) - values, atol=1e-7)
    assert shifts.e[0] == pytest.approx(linalg.norm(J_aug - J, 2), rel=1e-9)
    assert (np.abs(shifts.relative) <= 1 + 1e-6).all()  # Weyl
    np.testing.assert_array_equal(shifts.relative[1], 0)  # nothing is perturbed
    expected = (shifts.delta[0] ** 2 / (shifts.e[0] ** 2 / 3)).mean() / 2
    assert shifts.second_moment_ratio == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(shifts.share_decreased, (shifts.delta < 0).mean(axis=0))


def test_a_coreset_s_values_are_those_of_its_rows(measured):
    J = measured.J
    kernel = J.reshape(24, -1) @ J.reshape(24, -1).T
    spectra = theory.coreset_spectra(kernel, 8, [6, 1], [5.0, 3.0], [[0, 1], [2, 7], [6, 1]])
    rows = J[[6, 1]].reshape(6, -1)
    np.testing.assert_allclose(spectra.coreset, linalg.svdvals(rows), rtol=1e-7)
    weighted = np.sqrt(np.repeat([5.0, 3.0], 3))[:, None] * rows
    np.testing.assert_allclose(spectra.weighted, linalg.svdvals(weighted), rtol=1e-7)
    others = J[[2, 7]].reshape(6, -1)
    np.testing.assert_allclose(spectra.random[1], linalg.svdvals(others), rtol=1e-7)
    np.testing.assert_allclose(spectra.everything, linalg.svdvals(J.reshape(24, -1)), rtol=1e-6)
    compared = spectra.compared()["largest"]
    assert compared["coreset"] == spectra.coreset[0]
    expected = (spectra.random[:, 0] < spectra.coreset[0]).mean()
    assert compared["random_smaller"] == expected


@pytest.fixture(scope="module")
def dynamics(tanh_mlp, inputs, augmented, labels):
    y = np.eye(CLASSES)[labels]
    return theory.network_dynamics(
        tanh_mlp, inputs, [augmented, inputs], y, times=[0, 1, 2, 5, 20, 60]
    )


def test_the_linearised_network_does_what_the_formula_says(dynamics):
    np.testing.assert_allclose(dynamics.linearized, dynamics.formula, rtol=1e-9)
    np.testing.assert_allclose(dynamics.formula[:, 0], np.sqrt(8), rtol=1e-12)  # one-hot targets
    # The network itself moves otherwise, but not by much in a few steps
    assert not np.allclose(dynamics.network, dynamics.formula, rtol=1e-6)
    np.testing.assert_allclose(dynamics.network[:, :4], dynamics.formula[:, :4], rtol=0.02)


def test_small_steps_approach_the_closed_form_of_neural_tangents(
    tanh_mlp, inputs, augmented, labels
):
    y = np.eye(CLASSES)[labels]
    rows = JacobianRows(tanh_mlp, (8, 8, 1), dtype="float64")
    kernel = ntk.empirical_kernel(rows, augmented)
    eta = 0.002 / np.linalg.eigvalsh(kernel)[-1]
    found = theory.network_dynamics(tanh_mlp, inputs, [augmented], y, times=[0, 50, 200], eta=eta)
    # Its mean squared error is divided by n C
    flow = ntk.linearized_predictions(
        kernel, y, np.zeros_like(y), [0, 50, 200], learning_rate=eta * y.size
    )
    errors = np.linalg.norm((flow.train - y).reshape(3, -1), axis=1)
    np.testing.assert_allclose(found.linearized[0], errors, rtol=1e-3)


def test_deterministic_bounds_hold_for_the_linearised_network(dynamics):
    for bound in (dynamics.bound_c, dynamics.bound_d):
        assert (dynamics.linearized <= bound * (1 + 1e-9)).all()


def test_the_printed_bound_is_that_of_equation_45(
    dynamics, measured, tanh_mlp, inputs, augmented, labels
):
    J, J_aug = (part.reshape(24, -1) for part in (measured.J, measured.J_augmented))
    U, sigma, _ = np.linalg.svd(J, full_matrices=False)
    p = ((linalg.svdvals(J_aug) < sigma) + 0.0) / 2  # the second version is not perturbed
    e = linalg.norm(J_aug - J, 2)
    mean = sigma**2 + sigma * (1 - 2 * p) * e + e**2 / 3
    slack = 2 * 8 * np.sqrt(2) * e / np.min(-np.diff(sigma))
    coefficients = U.T @ np.eye(3)[labels].ravel()
    eta = 1 / (sigma[0] + e) ** 2
    assert dynamics.eta == pytest.approx(eta, rel=1e-9)
    for t, printed in zip(dynamics.times, dynamics.printed, strict=True):
        expected = np.sqrt(((1 - eta * mean) ** (2 * t) * (coefficients**2 + slack)).sum())
        assert printed == pytest.approx(expected, rel=1e-6)
    ratios = dynamics.formula.mean(axis=0) / dynamics.printed
    np.testing.assert_allclose(dynamics.printed_ratios, ratios, rtol=1e-9)
    assert dynamics.first_violation is None
    # Where every value moves by much, E lambda~ of the law is far above lambda~
    halved = dynamics._replace(printed=dynamics.linearized.mean(axis=0) * [2, 2, 0.5, 2, 2, 0])
    assert halved.first_violation == 2


def test_a_network_without_perturbation_or_with_equal_values_has_a_printed_bound(inputs, labels):
    def apply_fn(params, images):  # all outputs alike: singular values come in threes
        return images.reshape(len(images), -1)[:, :4] @ params

    y = np.eye(CLASSES)[labels][:2]
    network = (apply_fn, np.ones((4, 3), np.float32))
    images = np.random.default_rng(2).uniform(size=(2, 2, 2, 1)).astype(np.float32)
    same = theory.network_dynamics(network, images, [images], y, times=[0, 3])
    assert np.isfinite(same.printed).all()
    moved = theory.network_dynamics(network, images, [images + 0.1], y, times=[0, 3])
    assert moved.gap0 < 1e-12
    assert (moved.printed > 1e3).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v, x, y: theory.measure_network(v, x, x[:4], y), "has shape"),
        (lambda v, x, y: theory.measure_network(v, x, x, y + 3), "outside 0 .. 2"),
        (lambda v, x, y: theory.measure_network(v, x * np.nan, x, y), "NaN"),
        (lambda v, x, y: theory.measure_network(v, x, x, y, loss="hinge"), "unknown loss"),
        (lambda v, x, y: theory.network_dynamics(v, x, [], np.eye(3)[y], times=[0]), "no versions"),
        (
            lambda v, x, y: theory.network_dynamics(v, x, [x], np.eye(3)[y], times=[2, 1]),
            "increasing integers",
        ),
        (
            lambda v, x, y: theory.network_dynamics(v, x, [x], np.eye(3)[y], times=[0], eta=1e3),
            r"eta is 1000, expected in \(0, ",
        ),
        (lambda v, x, y: theory.network_dynamics(v, x, [x], np.eye(3), times=[0]), "targets has"),
        (
            lambda v, x, y: theory.network_dynamics(
                (lambda w, x: x.reshape(len(x), -1)[:, :1] * w, np.ones(3, np.float32)),
                x,
                [x],
                np.eye(3)[y],
                times=[0],
            ),
            "no more rows than columns",
        ),
        (lambda v, x, y: theory.measure_shifts(np.eye(3), []), "no draws"),
        (lambda v, x, y: theory.measure_shifts(np.eye(3), [np.eye(2)]), "draw 0 has shape"),
        (lambda v, x, y: theory.coreset_spectra(np.eye(7), 2, [0], [2], [[1]]), "multiple of 2"),
        (lambda v, x, y: theory.coreset_spectra(np.eye(4), 2, [0], [2], []), "no random subsets"),
        (lambda v, x, y: theory.coreset_spectra(np.eye(4), 2, [0], [2], [[2]]), "expected 0 to 1"),
        (lambda v, x, y: theory.TanhMLP.from_params({"w": 1}), "models.MLP"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(call, message, tanh_mlp, inputs, labels):
    with pytest.raises(InputError, match=message) as error:
        call(tanh_mlp, inputs, labels)
    assert "\n" not in str(error.value)


def test_jacobians_beyond_memory_are_refused_before_they_are_computed(inputs, labels, monkeypatch):
    params = np.zeros((64, 3), np.float32)
    monkeypatch.setattr("ntk_aug.theory.networks.MEMORY_BYTES", 1000)
    with pytest.raises(InputError, match="take fewer examples"):
        theory.measure_network(
            (lambda w, x: x.reshape(len(x), -1) @ w, params), inputs, inputs, labels
        )


def test_wide_jacobians_are_compared_in_a_narrow_basis_of_the_same_values(measured):
    P = measured.J.shape[-1]
    assert P > 2 * 24
    sides = theory.network_sides(measured, [0, 1], [4.0, 4.0], only=("F1", "F2", "F3"))
    J = measured.J.reshape(24, P)
    E = measured.J_augmented.reshape(24, P) - J
    for name, whole in (("F1", theory.fact_1(J, E)), ("F3", theory.fact_3(J, E))):
        for bound, expected in whole.corrected_bounds.items():
            found = sides[name].corrected_bounds[bound]
            np.testing.assert_allclose(found.lhs, expected.lhs, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(found.rhs, expected.rhs, rtol=1e-7, atol=1e-9)
    rows = np.linalg.norm(measured.J_augmented - measured.J, ord=2, axis=(1, 2))
    np.testing.assert_allclose(sides["F2"].further["rows"].lhs, rows, rtol=1e-10)
