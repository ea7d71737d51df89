import jax
import numpy as np
import pytest

from ntk_aug import jacobian
from ntk_aug.errors import InputError


@pytest.fixture(scope="module")
def gradients(small_resnet, digit_images):
    """Rows that are the gradients of each image's loss."""
    return jacobian.JacobianRows(
        small_resnet,
        digit_images.shape[1:],
        rows="cross-entropy",
        block_size=5,
    )


@pytest.fixture(scope="module")
def G(gradients, digit_images, digits):
    return gradients(digit_images, digits.labels)


def test_gradients_are_the_residuals_times_the_rows_of_the_logits(
    G, small_resnet, digit_images, digits
):
    rows = jacobian.JacobianRows(small_resnet, (8, 8, 1))
    logits = small_resnet.apply_fn(small_resnet.params, digit_images)
    residuals = np.asarray(jax.nn.softmax(logits)) - np.eye(3)[digits.labels]
    expected = np.einsum("nk,nkp->np", residuals, rows(digit_images).reshape(12, 3, -1))
    np.testing.assert_allclose(G, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_norms_are_those_of_the_rows(gradients, G, digit_images, digits):
    told = []
    norms = jacobian.row_norms(
        gradients, digit_images, digits.labels, progress=lambda *x: told.append(x)
    )
    np.testing.assert_allclose(norms, np.linalg.norm(G.astype("f8"), axis=1), rtol=1e-6)
    assert told == [("norms", 5, 12), ("norms", 10, 12), ("norms", 12, 12)]


def test_norms_of_a_network_of_dense_layers_only(tanh_mlp, digit_images):
    rows = jacobian.JacobianRows(tanh_mlp, (8, 8, 1))
    expected = np.linalg.norm(rows(digit_images).astype("f8"), axis=1)
    np.testing.assert_allclose(jacobian.row_norms(rows, digit_images), expected, rtol=1e-6)


def test_a_projection_keeps_inner_products_on_average(gradients, G, digit_images, digits):
    dimension, count = 64, 30
    exact = G.astype("f8") @ G.T
    found = []
    for seed in range(count):
        S = jacobian.projected_rows(
            jax.random.key(seed), gradients, digit_images, digits.labels, dimension=dimension
        )
        assert S.shape == (12, dimension)
        found.append(S.astype("f8") @ S.T)
    norms = np.sqrt(np.diag(exact))
    bound = np.sqrt(2 / dimension) * np.outer(norms, norms)
    # The mean of 30 is within 5 of its standard deviations; and they do not all agree.
    assert (np.abs(np.mean(found, axis=0) - exact) < 5 * bound / np.sqrt(count)).all()
    assert (np.std(found, axis=0) < 1.6 * bound).all()
    assert np.std(found, axis=0).max() > 0.1 * bound.min()


def test_a_projection_is_decided_by_its_key(gradients, digit_images, digits):
    def projected(seed, images):
        return jacobian.projected_rows(
            jax.random.key(seed), gradients, images, digits.labels[: len(images)], dimension=8
        )

    whole = projected(0, digit_images)
    np.testing.assert_allclose(projected(0, digit_images[:7]), whole[:7], rtol=1e-4, atol=1e-6)
    assert not np.allclose(projected(1, digit_images), whole)


def test_labels_and_a_dimension_are_asked_for(gradients, digit_images, digits):
    with pytest.raises(InputError, match="rows 'cross-entropy' need the labels"):
        jacobian.row_norms(gradients, digit_images)
    with pytest.raises(InputError, match="dimension is 0, expected at least 1"):
        jacobian.projected_rows(
            jax.random.key(0), gradients, digit_images, digits.labels, dimension=0
        )
