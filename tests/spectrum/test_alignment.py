import numpy as np
import pytest
from helpers import orthogonal

from ntk_aug import spectrum
from ntk_aug.errors import InputError

LABELS = np.array([0, 2, 1, 1, 0, 2, 2])
N, C = len(LABELS), 3
ONE_HOT = np.eye(C)[LABELS]


@pytest.fixture(scope="module")
def kernel():
    """Of 7 images and 3 outputs."""
    J = np.random.default_rng(0).standard_normal((N * C, 30))
    return J @ J.T


def traced(kernel):
    return np.einsum("icjc->ij", kernel.reshape(N, C, N, C))


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("side", [N * C, N])
def test_over_a_complete_basis_the_shares_sum_to_one(side, centered):
    basis = orthogonal(np.random.default_rng(1), side)
    found = spectrum.label_alignment(basis, LABELS, centered=centered)
    assert found.cumulative[-1] == pytest.approx(1, rel=1e-13)
    np.testing.assert_allclose(np.diff(found.cumulative), found.shares[1:], atol=1e-15)
    assert (found.shares >= 0).all()
    # Class labels and one-hot targets are two ways to say the same.
    other = spectrum.label_alignment(basis, ONE_HOT, centered=centered)
    np.testing.assert_allclose(other.shares, found.shares, rtol=1e-13)


def test_rows_are_ordered_by_image_and_then_by_output():
    # Of the unit vectors, those at the rows i * C + label carry 1 / n each.
    shares = spectrum.label_alignment(np.eye(N * C), LABELS).shares
    expected = np.zeros(N * C)
    expected[np.arange(N) * C + LABELS] = 1 / N
    np.testing.assert_allclose(shares, expected, rtol=1e-13)
    # Of those of a traced kernel, each image's has its one label.
    np.testing.assert_allclose(spectrum.label_alignment(np.eye(N), LABELS).shares, 1 / N)


def test_centring_takes_away_what_all_images_share():
    # The vectors of one output each, the same for all images.
    constant = np.tile(np.eye(C), (N, 1)) / np.sqrt(N)
    frequencies = np.bincount(LABELS) / N
    shares = spectrum.label_alignment(constant, LABELS).shares
    np.testing.assert_allclose(shares, frequencies**2, rtol=1e-13)
    np.testing.assert_allclose(
        spectrum.label_alignment(constant, LABELS, centered=True).shares, 0, atol=1e-30
    )


@pytest.mark.parametrize("form", [lambda K: K, traced])
def test_alignment_is_what_the_eigenpairs_give(kernel, form):
    K = form(kernel)
    eigenvalues, vectors = np.linalg.eigh(K)
    shares = spectrum.label_alignment(vectors, LABELS).shares
    Y = ONE_HOT.reshape(len(K), -1)
    expected = (eigenvalues @ shares) * np.sum(Y**2)
    expected /= np.linalg.norm(eigenvalues) * np.linalg.norm(Y @ Y.T)
    assert spectrum.kernel_alignment(K, LABELS) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("form", [lambda K: K, traced])
def test_centred_alignment_is_that_of_the_doubly_centred_kernel(kernel, form):
    K = form(kernel)
    H = np.kron(np.eye(N) - 1 / N, np.eye(len(K) // N))
    Y = H @ ONE_HOT.reshape(len(K), -1)
    centred = H @ K @ H
    expected = np.sum(centred * (Y @ Y.T)) / np.linalg.norm(centred) / np.linalg.norm(Y @ Y.T)
    found = spectrum.kernel_alignment(K, LABELS, centered=True)
    assert found == pytest.approx(expected, rel=1e-12)


def test_the_labels_own_kernel_is_aligned_and_the_identity_is_little():
    y = ONE_HOT.reshape(-1, 1)
    assert spectrum.kernel_alignment(y @ y.T, LABELS) == pytest.approx(1)
    assert spectrum.kernel_alignment(ONE_HOT @ ONE_HOT.T, LABELS) == pytest.approx(1)
    assert spectrum.kernel_alignment(np.eye(N * C), LABELS) == pytest.approx(1 / np.sqrt(N * C))


def test_labels_that_do_not_fit_are_refused(kernel):
    with pytest.raises(InputError, match="7 images and 4 outputs do not fit 21 rows"):
        spectrum.kernel_alignment(kernel, np.ones((7, 4)))
    with pytest.raises(InputError, match="8 images and 2 outputs do not fit 21 rows"):
        spectrum.label_alignment(np.eye(21), np.zeros(8, int))
    with pytest.raises(InputError, match=r"label 3 of image 0 is outside 0 \.\. 2"):
        spectrum.label_alignment(np.eye(21), np.full(7, 3))
    with pytest.raises(InputError, match="zero after centring: all are the same"):
        spectrum.label_alignment(np.eye(21), np.full(7, 2), centered=True)
    with pytest.raises(InputError, match="the kernel is zero"):
        spectrum.kernel_alignment(0 * kernel, LABELS)
    with pytest.raises(InputError, match="targets hold NaN"):
        spectrum.kernel_alignment(kernel, np.nan * ONE_HOT)
