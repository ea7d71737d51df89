import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from ntk_aug import jacobian
from ntk_aug.errors import InputError
from ntk_aug.jacobian.outputs import LABELLED_ROWS, output_function

IMAGE = np.random.default_rng(0).normal(size=(2, 2, 1)).astype(np.float32)
PARAMS = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
LOGITS = IMAGE.ravel() @ PARAMS


def linear(params, images):
    return images.reshape(len(images), -1) @ params


def outputs(rows, label):
    return jax.jit(output_function(linear, rows))(PARAMS, jnp.asarray(IMAGE), label)


def test_logits_are_those_of_the_network():
    np.testing.assert_allclose(outputs("logits", 1), LOGITS, rtol=1e-6)


def test_probabilities_are_the_softmax():
    np.testing.assert_allclose(outputs("probabilities", 1), special.softmax(LOGITS), rtol=1e-6)


@pytest.mark.parametrize("label", [0, 1, 2])
def test_the_true_logit_is_that_of_the_label_alone(label):
    result = outputs("true-logit", label)
    assert result.shape == (1,)
    np.testing.assert_allclose(result[0], LOGITS[label], rtol=1e-6)


@pytest.mark.parametrize("label", [0, 1, 2])
def test_the_cross_entropy_is_minus_the_logarithm_of_the_probability(label):
    result = outputs("cross-entropy", label)
    assert result.shape == (1,)
    np.testing.assert_allclose(result[0], -np.log(special.softmax(LOGITS)[label]), rtol=1e-5)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
def test_losses_of_soft_labels_are_those_of_the_label_where_it_is_certain(loss):
    soft = outputs(loss, np.array([0.2, 0.5, 0.3], np.float32))
    certain = [outputs(loss, np.eye(3, dtype=np.float32)[label]) for label in range(3)]
    np.testing.assert_allclose(certain, [outputs(loss, label) for label in range(3)], rtol=1e-6)
    # Both are quadratic at most in y: the squared loss is the mean of those of the labels, less
    # the variance of y, and the cross-entropy is linear.
    mean = np.average(certain, axis=0, weights=[0.2, 0.5, 0.3])
    variance = 0 if loss == "cross-entropy" else (1 - (0.2**2 + 0.5**2 + 0.3**2)) / 2
    np.testing.assert_allclose(soft, mean - variance, rtol=1e-5)


def test_the_squared_loss_is_half_the_squared_distance():
    expected = np.sum((LOGITS - np.eye(3)[1]) ** 2) / 2
    np.testing.assert_allclose(outputs("squared", 1), [expected], rtol=1e-6)


def test_only_labelled_rows_look_at_the_label():
    for rows in jacobian.ROWS:
        same = np.array_equal(outputs(rows, 0), outputs(rows, 2))
        assert same == (rows not in LABELLED_ROWS), rows


def test_another_kind_of_rows_is_refused_before_anything_runs():
    with pytest.raises(InputError, match=r"unknown kind of rows 'logit' \(did you mean 'logits'"):
        output_function(linear, "logit")
