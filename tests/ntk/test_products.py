import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug.ntk import products
from ntk_aug.ntk.products import row_products


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("columns", [0, 1, 7, 8, 9, 20])
@pytest.mark.parametrize("rows", [1, 4, 11])
def test_products_are_those_of_numpy_for_every_number_of_chunks_and_blocks(
    rng, rows, columns, monkeypatch
):
    monkeypatch.setattr(products, "_CHUNK", 8)
    monkeypatch.setattr(products, "_SIDE", 4)
    A, B = rng.normal(size=(rows, columns)), rng.normal(size=(6, columns))
    np.testing.assert_allclose(row_products(A, B), A @ B.T, rtol=1e-13, atol=1e-13)
    symmetric = row_products(A, A)
    np.testing.assert_allclose(symmetric, A @ A.T, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(symmetric, symmetric.T)


def test_sums_are_float64():
    # In float32, 1e8 + 1 is 1e8: the small singular directions would be lost.
    A = np.array([[1e4, 1.0]], np.float32)
    assert row_products(A, A)[0, 0] == 1e8 + 1
    assert jnp.ones(1).dtype == np.float32


def test_rows_that_are_views_are_taken_as_they_are(rng):
    whole = rng.normal(size=(10, 30))
    A, B = whole[1::2, 3:17], whole[2:5, 3:17]
    np.testing.assert_allclose(row_products(A, B), A @ B.T, rtol=1e-13, atol=1e-13)
