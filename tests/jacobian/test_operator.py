import numpy as np
import pytest

from ntk_aug import jacobian
from ntk_aug.errors import InputError


@pytest.mark.parametrize("batch_size", [5, 12, 100])
@pytest.mark.parametrize("rows", ["logits", "cross-entropy"])
def test_products_are_those_with_the_rows(small_resnet, digit_images, digits, rows, batch_size):
    view = small_resnet
    J = jacobian.JacobianRows(view, (8, 8, 1), rows=rows, dtype="float64")(
        digit_images, digits.labels
    )
    operator = jacobian.JacobianOperator(
        view,
        digit_images,
        digits.labels,
        rows=rows,
        dtype="float64",
        batch_size=batch_size,
    )
    assert operator.shape == J.shape
    rng = np.random.default_rng(0)
    v, u = rng.normal(size=J.shape[1]), rng.normal(size=J.shape[0])
    np.testing.assert_allclose(operator.matvec(v), J @ v, rtol=0, atol=1e-12 * np.abs(J @ v).max())
    np.testing.assert_allclose(
        operator.rmatvec(u), J.T @ u, rtol=0, atol=1e-12 * np.abs(J.T @ u).max()
    )


def test_vectors_of_another_length_and_missing_labels_are_refused(tanh_mlp, digit_images):
    operator = jacobian.JacobianOperator(tanh_mlp, digit_images)
    with pytest.raises(InputError, match=r"the vector has shape \(7,\), expected \(1091,\)"):
        operator.matvec(np.zeros(7))
    with pytest.raises(InputError, match=r"the vector has shape \(7,\), expected \(36,\)"):
        operator.rmatvec(np.zeros(7))
    with pytest.raises(InputError, match=r"maps one image to shape \(1,\), expected logits"):
        jacobian.JacobianOperator(
            (lambda p, x: tanh_mlp.apply_fn(p, x)[:, 0], tanh_mlp.params), digit_images
        )
    with pytest.raises(InputError, match="need the labels"):
        jacobian.JacobianOperator(tanh_mlp, digit_images, rows="true-logit")
