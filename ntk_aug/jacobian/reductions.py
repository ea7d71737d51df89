"""Norms and random projections of Jacobian rows, which are computed without holding the rows.

The rows "cross-entropy" and "squared" are per-example gradients J_i' r_i with r_i = softmax(f) -
y_i or f - y_i.
"""

from typing import Any

import jax
import numpy as np
from scipy import sparse

from ntk_aug.aliases import Float, Float64, Inputs, KeyLike, Progress, Targets
from ntk_aug.checks import check_at_least
from ntk_aug.inputs import num_examples
from ntk_aug.jacobian.rows import as_rows
from ntk_aug.randomness import as_key


def row_norms(
    network: Any,
    images: Inputs,
    labels: Targets | None = None,
    *,
    rows: str = "logits",
    dtype: str = "float32",
    progress: Progress | None = None,
) -> Float64[np.ndarray, " N"]:
    """The Euclidean norm of each row of J.

    `network` may be a `JacobianRows`. `progress` is called with ("norms", images done, total).
    Other arguments and errors are those of `JacobianRows` and `JacobianRows.blocks`.
    """
    engine = as_rows(network, images, rows=rows, dtype=dtype)
    k, n = engine.outputs_per_example, num_examples(images)
    squares = np.empty(n * k)
    for span, values in engine.square_blocks(images, labels):
        squares[span] = values
        if progress:
            progress("norms", span.stop // k, n)
    return np.sqrt(squares)


def projected_rows(
    key: KeyLike,
    network: Any,
    images: Inputs,
    labels: Targets | None = None,
    *,
    dimension: int,
    rows: str = "logits",
    dtype: str = "float32",
    progress: Progress | None = None,
) -> Float[np.ndarray, "N dimension"]:
    """J S for a random S [P, dimension], which keeps inner products: E <a S, b S> = <a, b>.

    S adds each column of J, with a random sign, to one random column of the result (the count
    sketch), so it costs only its P signs and positions. The standard deviation of an inner product
    is at most sqrt(2 / dimension) |a| |b|. `key` draws S: use one key for rows that are to be
    compared. `progress` is called with ("projection", images done, total). Other arguments are
    those of `row_norms`.

    Raises:
      InputError: a dimension below 1, or as `row_norms`.

    Reference:
      Charikar, Chen, Farach-Colton: Finding frequent items in data streams, 2002.
    """
    check_at_least(dimension, 1, "dimension")
    engine = as_rows(network, images, rows=rows, dtype=dtype)
    P, k = engine.num_params, engine.outputs_per_example
    place_key, sign_key = jax.random.split(as_key(key))
    places = np.asarray(jax.random.randint(place_key, (P,), 0, dimension))
    signs = np.asarray(jax.random.rademacher(sign_key, (P,), engine.dtype))
    transposed = sparse.csr_array((signs, (places, np.arange(P))), shape=(dimension, P))
    n = num_examples(images)
    result = np.empty((n * k, dimension), engine.dtype)
    for span, projected in engine.reduced_blocks(
        lambda values: (transposed @ values.T).T, images, labels
    ):
        result[span] = projected
        if progress:
            progress("projection", span.stop // k, n)
    return result
