"""Proxies of gradients of examples that are no images, against automatic differentiation."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import inner_products
from jax.flatten_util import ravel_pytree

from ntk_aug import coreset, data, losses, models

C, N = 3, 12
LAST = ("['output']['bias']", "['output']['kernel']")


class Embedding(nn.Module):
    """Words in the mean, and numbers beside them where there are some."""

    @nn.compact
    def __call__(self, inputs):
        if not isinstance(inputs, dict):
            return nn.Dense(C, name="output")(self.of_tokens(inputs))
        return nn.Dense(C, name="output")(
            nn.tanh(self.of_tokens(inputs["tokens"]) + nn.Dense(4)(inputs["table"]))
        )

    def of_tokens(self, tokens):
        return nn.Embed(9, 4, name="words")(tokens).mean(axis=1)


RNG = np.random.default_rng(3)
LABELS = np.arange(N) % C
TOKENS, TABLE = RNG.integers(0, 9, (N, 5)), RNG.normal(size=(N, 6))
KINDS = {
    "table": (TABLE, models.MLP(C, 5, "tanh")),
    "tokens": (TOKENS, Embedding()),
    "both": ({"tokens": TOKENS, "table": TABLE}, Embedding()),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k == "both" else pytest.mark.slow) for k in KINDS]
)
def test_proxies_of_examples_that_are_no_images(kind):
    inputs, module = KINDS[kind]
    dataset = data.Dataset.from_arrays(inputs, LABELS)
    variables = module.init(jax.random.key(0), inputs)
    with jax.enable_x64(True):
        flat, unravel = ravel_pytree(jax.tree.map(jnp.float64, variables["params"]))

        def losses_of(flat):
            logits = module.apply({"params": unravel(flat)}, inputs)
            return losses.per_example_loss("cross-entropy")(logits, LABELS)

        gradients = np.asarray(jax.jacrev(losses_of)(flat))
        numbers = jax.tree_util.tree_leaves_with_path(unravel(jnp.arange(flat.size) * 1.0))
    columns = {jax.tree_util.keystr(path): np.ravel(leaf).astype(int) for path, leaf in numbers}
    bias, kernel = (columns[name] for name in LAST)
    parts = {
        "last-layer-logit": gradients[:, bias],
        "last-layer-weight": gradients[:, [*kernel, *bias]],
        "network": gradients,
    }
    for proxy in parts:
        examples = coreset.network_examples((module, variables), dataset, proxy=proxy, batch_size=5)
        expected = parts[proxy] @ parts[proxy].T
        found = inner_products(examples.gradients)
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * expected.max())
    norms = np.linalg.norm(gradients, axis=1)
    np.testing.assert_allclose(examples.gradient_norms, norms, rtol=1e-4)
    # Facility location by the exact gradients, of all examples as one group.
    chosen = coreset.select(jax.random.key(1), examples, count=4, per_class=False)
    best = coreset.facility_location(gradients, count=4)
    np.testing.assert_array_equal(chosen.indices, best.indices)
    np.testing.assert_array_equal(chosen.weights, best.weights)
