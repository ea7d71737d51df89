import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import pairwise

from ntk_aug import coreset, losses
from ntk_aug.errors import InputError

N, C, D = 20, 4, 6
LOSSES = {
    "cross-entropy": optax.softmax_cross_entropy,
    "squared": lambda f, y: jnp.sum((f - y) ** 2) / 2,
}


class LastLayer:
    """A last layer with inputs and soft labels, and the gradients that JAX finds for it."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.inputs = rng.standard_normal((N, D)).astype(np.float32)
        kernel, bias = rng.standard_normal((D, C)), rng.standard_normal(C)
        self.params = jax.tree.map(jnp.float32, {"kernel": kernel, "bias": bias})
        self.logits = np.asarray(self.apply(self.params, self.inputs))
        self.labels = rng.integers(0, C, N)
        self.soft = rng.dirichlet(np.ones(C), N).astype(np.float32)

    @staticmethod
    def apply(params, inputs):
        return jnp.dot(inputs, params["kernel"], precision="highest") + params["bias"]

    def gradients(self, y, loss):
        """By the logits, by the kernel and by the bias, each a row per example."""
        by_logits = jax.vmap(jax.grad(LOSSES[loss]))(self.logits, y)
        by_params = jax.vmap(
            jax.grad(lambda params, h, y: LOSSES[loss](self.apply(params, h), y)), (None, 0, 0)
        )(self.params, self.inputs, y)
        return [
            np.asarray(part, np.float64).reshape(N, -1)
            for part in (by_logits, by_params["kernel"], by_params["bias"])
        ]


@pytest.fixture(scope="module")
def layer():
    return LastLayer()


@pytest.mark.parametrize("loss", losses.LOSSES)
@pytest.mark.parametrize("soft", [True, False])
def test_proxies_are_the_gradients_of_automatic_differentiation(layer, loss, soft):
    targets = layer.soft if soft else layer.labels
    y = layer.soft if soft else np.eye(C, dtype=np.float32)[layer.labels]
    by_logits, by_kernel, by_bias = layer.gradients(y, loss)
    found = coreset.last_layer_logit_gradients(layer.logits, targets, loss=loss)
    np.testing.assert_allclose(found.outer, by_logits, atol=1e-5)
    for bias, expected in [(False, by_kernel), (True, np.hstack([by_kernel, by_bias]))]:
        found = coreset.last_layer_weight_gradients(
            layer.logits, layer.inputs, targets, bias=bias, loss=loss
        )
        np.testing.assert_allclose(found.distances(slice(0, N)), pairwise(expected), atol=1e-4)
        combined = found.combination(np.arange(N, dtype=np.float64))
        norm = np.linalg.norm(np.arange(N) @ expected)
        assert np.linalg.norm(combined) == pytest.approx(norm, rel=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_a_selection_from_factors_is_that_from_whole_gradients(layer, bias):
    factors = coreset.last_layer_weight_gradients(
        layer.logits, layer.inputs, layer.labels, bias=bias
    )
    inputs = np.hstack([layer.inputs, np.ones((N, 1))]) if bias else layer.inputs
    residuals = coreset.last_layer_logit_gradients(layer.logits, layer.labels).outer
    whole = np.einsum("ia,ib->iab", residuals, inputs).reshape(N, -1)
    found = coreset.facility_location(factors, count=8)
    expected = coreset.facility_location(whole, count=8)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.gains, expected.gains, rtol=1e-9)
    assert found.gradient_error == pytest.approx(expected.gradient_error, rel=1e-9)
    by_class = coreset.facility_location_per_class(factors, layer.labels, fraction=0.5)
    error = whole.sum(axis=0) - by_class.weights @ whole[by_class.indices]
    assert by_class.gradient_error == pytest.approx(np.linalg.norm(error), rel=1e-9)


def test_duplicates_in_factors_are_at_distance_zero(layer):
    twice = np.repeat(np.arange(N), 2)
    found = coreset.last_layer_weight_gradients(
        layer.logits[twice], layer.inputs[twice], layer.labels[twice]
    )
    distances = found.distances(slice(0, 2 * N))
    np.testing.assert_array_equal(distances == 0, twice[:, None] == twice)


def test_weight_gradients_are_never_formed():
    # 100 gradients by 1,000 x 1,000 weights would be 800 MB.
    rng = np.random.default_rng(0)
    logits, inputs = rng.standard_normal((2, 100, 1000))
    tracemalloc.start()
    factors = coreset.last_layer_weight_gradients(logits, inputs, np.arange(100))
    coreset.facility_location(factors, count=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # the largest is the sum of all gradients, 1,000 x 1,001


def test_large_logits_do_not_overflow():
    found = coreset.last_layer_logit_gradients(
        np.array([[1e5, 0.0], [0.0, -1e5]]), np.array([1, 0])
    )
    np.testing.assert_array_equal(found.outer, [[1, -1], [0, 0]])


def test_bad_input_is_told(layer):
    logits, labels = layer.logits, layer.labels
    proxy = coreset.last_layer_logit_gradients
    with pytest.raises(InputError, match="unknown loss 'square'"):
        proxy(logits, labels, loss="square")
    with pytest.raises(InputError, match=r"is outside 0 .. 3"):
        proxy(logits, labels + 1)
    with pytest.raises(InputError, match="example 0 sum to 2 with the least at"):
        proxy(logits, 2 * layer.soft)
    with pytest.raises(InputError, match="example 0 sum to 1 with the least at -"):
        proxy(logits, layer.soft * 10 - 9 / C)
    wrong = logits.copy()
    wrong[7, 1] = np.inf
    with pytest.raises(InputError, match=r"logits hold NaN or infinity in 1 of 20 .* example 7"):
        proxy(wrong, labels)
    with pytest.raises(InputError, match="last layer's inputs hold NaN"):
        coreset.last_layer_weight_gradients(logits, layer.inputs * np.nan, labels)
