"""Small gradients: where a trained network is sure, rows keep the relative precision of float32."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special

from ntk_aug import coreset, jacobian, models

C = 3
# Rounding of the logits, which are up to 50 here, is relative in the probabilities.
PRECISION = 2e-5


@pytest.fixture(scope="module")
def sure_view(tanh_mlp, digit_images, digits):
    """A network trained until it is sure: probabilities down to 1e-27."""
    optimizer = optax.sgd(0.5, momentum=0.9)

    def loss(params):
        logits = tanh_mlp.apply_fn(params, digit_images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, digits.labels).mean()

    def step(_, carried):
        params, state = carried
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    params = tanh_mlp.params
    params, _ = jax.jit(lambda p, s: jax.lax.fori_loop(0, 200, step, (p, s)))(
        params, optimizer.init(params)
    )
    # Surer still, for gradients whose squares float32 does not have.
    output = jax.tree.map(lambda leaf: 3 * leaf, params["output"])
    return models.ModelView(tanh_mlp.apply_fn, {**params, "output": output})


@pytest.fixture(scope="module")
def by_hand(sure_view, digit_images, digits):
    """Of each image in float64: p, 1 - p, hidden units, and rows by logit, in parts."""
    params = jax.tree.map(np.float64, sure_view.params)
    x = np.float64(digit_images).reshape(len(digit_images), -1)
    (first,) = set(params) - {"output"}
    h = np.tanh(x @ params[first]["kernel"] + params[first]["bias"])
    f = h @ params["output"]["kernel"] + params["output"]["bias"]
    e = np.exp(f - f.max(axis=1, keepdims=True))
    others = np.stack([np.delete(e, c, axis=1).sum(axis=1) for c in range(C)], axis=1)
    return (
        x,
        h,
        params["output"]["kernel"],
        special.softmax(f, axis=1),
        others / e.sum(axis=1, keepdims=True),
    )


def rows_by_hand(by_hand, residuals):
    """sum_c r_c df_c/dW; parameters are hidden bias and kernel, then output bias and kernel."""
    x, h, W, _, _ = by_hand
    hidden = residuals @ W.T * (1 - h**2)
    outer = np.einsum("nd,nh->ndh", x, hidden).reshape(len(x), -1)
    last = np.einsum("nh,nc->nhc", h, residuals).reshape(len(x), -1)
    return np.hstack([hidden, outer, residuals, last])


@pytest.fixture(scope="module")
def residuals(by_hand, digits):
    """softmax(f) - y, of the label minus the sum of the others."""
    *_, p, not_p = by_hand
    return np.where(np.eye(C, dtype=bool)[digits.labels], -not_p, p)


def relative_error(found, expected):
    """The largest, of a row's difference from what is expected, norm by norm."""
    return np.max(np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1))


def test_rows_norms_and_products_of_the_cross_entropy(
    sure_view, digit_images, digits, by_hand, residuals
):
    norms_of_residuals = np.linalg.norm(residuals, axis=1)
    assert norms_of_residuals.min() < 1e-19  # whose squares float32 does not have
    assert np.median(norms_of_residuals) < 1e-9
    expected = rows_by_hand(by_hand, residuals)
    rows = jacobian.JacobianRows(sure_view, (8, 8, 1), rows="cross-entropy")
    found = rows(digit_images, digits.labels)
    assert relative_error(found, expected) < PRECISION
    norms = np.linalg.norm(expected, axis=1)
    found = jacobian.row_norms(rows, digit_images, digits.labels)
    np.testing.assert_allclose(found, norms, rtol=PRECISION)
    operator = jacobian.JacobianOperator(
        sure_view, digit_images, digits.labels, rows="cross-entropy"
    )
    direction = np.abs(np.random.default_rng(0).standard_normal(rows.num_params))
    np.testing.assert_allclose(
        operator.matvec(direction) / norms, expected @ direction / norms, atol=1e-3
    )
    np.testing.assert_allclose(
        operator.rmatvec(1 / norms), expected.T @ (1 / norms), atol=PRECISION * len(norms)
    )


def test_rows_and_norms_of_the_probabilities(sure_view, digit_images, by_hand):
    *_, p, not_p = by_hand
    rows = jacobian.JacobianRows(sure_view, (8, 8, 1), rows="probabilities")
    found, norms = rows(digit_images), jacobian.row_norms(rows, digit_images)
    for c in range(C):
        # p_c (e_c - p); its own entry is p_c (1 - p_c).
        of_logits = np.where(np.arange(C) == c, p[:, [c]] * not_p[:, [c]], -p[:, [c]] * p)
        expected = rows_by_hand(by_hand, of_logits)
        assert relative_error(found[c::C], expected) < PRECISION
        np.testing.assert_allclose(norms[c::C], np.linalg.norm(expected, axis=1), rtol=PRECISION)


def test_gradients_of_the_last_layer_and_proxies_of_the_network(
    sure_view, digit_images, digits, by_hand, residuals
):
    layer = jacobian.LastLayer(sure_view, (8, 8, 1))
    found = jax.jit(lambda p, x, y: layer.gradients("cross-entropy", p, x, y))(
        sure_view.params, jnp.asarray(digit_images), digits.labels
    )
    assert relative_error(found.cotangents, residuals) < PRECISION
    np.testing.assert_array_equal(found.of_bias, found.cotangents)
    expected = rows_by_hand(by_hand, residuals)
    parts = {"network": expected, "last-layer-logit": residuals}
    for proxy, part in parts.items():
        examples = coreset.network_examples(sure_view, digits, proxy=proxy)
        assert relative_error(examples.gradients.outer, part) < PRECISION, proxy
    np.testing.assert_allclose(
        examples.gradient_norms, np.linalg.norm(expected, axis=1), rtol=PRECISION
    )
