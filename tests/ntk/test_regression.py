import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from ntk_aug import ntk
from ntk_aug.errors import InputError

n, m, C = 5, 2, 3
RNG = np.random.default_rng(0)
J, J_TEST = RNG.normal(size=(n * C, 30)), RNG.normal(size=(m * C, 30))
K, K_TEST = J @ J.T, J_TEST @ J.T
Y, OUTPUTS, TEST_OUTPUTS = RNG.normal(size=(n, C)), RNG.normal(size=(n, C)), RNG.normal(size=(m, C))
ALIKE, ALIKE_TEST = K[::C, ::C], K_TEST[::C, ::C]


@pytest.mark.parametrize("ridge", [0.01, 5.0])
def test_predictions_are_those_of_scikit_learn(ridge):
    peer = KernelRidge(alpha=ridge, kernel="precomputed")
    whole = ntk.kernel_regression(K, Y, test_kernel=K_TEST, ridge=ridge)
    peer.fit(K, Y.ravel())
    np.testing.assert_allclose(whole.train.ravel(), peer.predict(K), rtol=1e-9)
    np.testing.assert_allclose(whole.test.ravel(), peer.predict(K_TEST), rtol=1e-9)
    np.testing.assert_allclose(whole.coefficients.ravel(), peer.dual_coef_, rtol=1e-9)
    alone = ntk.kernel_regression(ALIKE, Y, test_kernel=ALIKE_TEST, ridge=ridge, traced=False)
    summed = ntk.kernel_regression(
        C * ALIKE, Y, test_kernel=C * ALIKE_TEST, ridge=ridge, traced=True
    )
    peer.fit(ALIKE, Y)
    for found in (alone, summed):
        np.testing.assert_allclose(found.train, peer.predict(ALIKE), rtol=1e-9)
        np.testing.assert_allclose(found.test, peer.predict(ALIKE_TEST), rtol=1e-9)
        np.testing.assert_allclose(found.coefficients, peer.dual_coef_, rtol=1e-9)


@pytest.mark.parametrize(
    ("kernel", "test_kernel", "traced"),
    [(K, K_TEST, None), (ALIKE, ALIKE_TEST, False), (ALIKE, ALIKE_TEST, True)],
)
def test_without_a_ridge_it_is_the_end_of_linearised_training(kernel, test_kernel, traced):
    end = ntk.linearized_predictions(
        kernel,
        Y,
        OUTPUTS,
        [1e9],
        learning_rate=0.1,
        test_kernel=test_kernel,
        test_outputs=TEST_OUTPUTS,
        traced=traced,
    )
    found = ntk.kernel_regression(kernel, Y - OUTPUTS, test_kernel=test_kernel, traced=traced)
    np.testing.assert_allclose(OUTPUTS + found.train, end.train[0], atol=1e-10)
    np.testing.assert_allclose(TEST_OUTPUTS + found.test, end.test[0], atol=1e-10)
    np.testing.assert_allclose(found.train, Y - OUTPUTS, atol=1e-10)


def test_labels_are_one_hot_targets_and_the_condition_is_that_of_the_kernel():
    labels = np.array([0, 2, 1, 1, 0])
    found = ntk.kernel_regression(K, labels, ridge=0.1)
    expected = ntk.kernel_regression(K, np.eye(C)[labels], ridge=0.1)
    assert found.test is None
    np.testing.assert_array_equal(found.train, expected.train)
    condition = np.linalg.cond(K + 0.1 * np.eye(n * C), 1)
    assert condition / 3 < found.condition < condition * (1 + 1e-9)  # an estimate, from below


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ridge": -1.0}, "ridge is -1.0, expected a finite number from 0 on"),
        ({"ridge": np.nan}, "ridge is nan, expected"),
        ({"kernel": np.where(np.eye(n * C) > 0, np.nan, K)}, "kernel holds NaN or infinity"),
        ({"test_kernel": np.inf * K_TEST}, "test_kernel holds NaN or infinity"),
        ({"targets": Y * np.nan}, "targets holds NaN or infinity"),
        ({"kernel": K[:-1, :-1], "test_kernel": None}, r"kernel has shape \(14, 14\), expected"),
        ({"kernel": np.triu(K)}, "kernel is not symmetric"),
        ({"test_kernel": K_TEST[:-1]}, r"test_kernel has shape \(5, 15\), expected \(3, 15\)"),
        ({"kernel": ALIKE, "test_kernel": None}, "pass traced=True for the sum over outputs"),
        ({"targets": np.arange(4) % 2}, "4 labels do not determine the outputs of a kernel"),
        (
            {"kernel": ALIKE, "test_kernel": None, "targets": np.zeros(n, int)},
            r"pass targets \[n, C\], such as one-hot",
        ),
        ({"kernel": J[:, :9] @ J[:, :9].T}, "with ridge 0 is not positive definite up to rounding"),
        ({"kernel": -K, "ridge": 1e-3}, "with ridge 0.001 is not positive definite"),
        (
            {"kernel": np.ones((15, 15))},
            r"its eigenvalues are .* to 15: use a ridge such as .e-09",
        ),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, message):
    given = {"kernel": K, "targets": Y, "test_kernel": K_TEST, **change}
    kernel, targets = given.pop("kernel"), given.pop("targets")
    with pytest.raises(InputError, match=message):
        ntk.kernel_regression(kernel, targets, **given)


def test_the_ridge_that_is_advised_is_enough():
    singular = J[:, :9] @ J[:, :9].T
    with pytest.raises(InputError) as error:
        ntk.kernel_regression(singular, Y)
    advised = float(str(error.value).rpartition(" ")[2])
    found = ntk.kernel_regression(singular, Y, ridge=advised)
    assert found.condition > 1e9
    # The part of the targets in the kernel's range, by least squares.
    basis = np.linalg.qr(J[:, :9])[0]
    np.testing.assert_allclose(found.train.ravel(), basis @ basis.T @ Y.ravel(), atol=1e-5)
