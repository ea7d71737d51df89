import numpy as np
import pytest

from ntk_aug import jacobian, ntk
from ntk_aug.ntk.neural_tangents import agreement


@pytest.fixture(scope="module")
def mirrored(digit_images):
    return np.ascontiguousarray(digit_images[:, :, ::-1])


def compare(view, images, augmented, **options):
    return ntk.compare_with_neural_tangents(view, images, augmented, dtype="float64", **options)


def test_the_two_routes_agree_in_float64(tanh_mlp, digit_images, mirrored):
    found = compare(tanh_mlp, digit_images[:5], mirrored[:5])
    assert (found.num_examples, found.dtype) == (5, "float64")
    assert 0 < found.largest <= 1e-12
    assert found.seconds > 0
    assert found.neural_tangents_seconds > 0


def test_differences_are_relative_to_the_largest_entry_of_each_kernel(
    tanh_mlp, digit_images, mirrored, monkeypatch
):
    images, augmented = digit_images[:4], mirrored[:4]
    rows = jacobian.JacobianRows(tanh_mlp, (8, 8, 1), dtype="float64")
    J, J_aug = rows(images), rows(augmented)
    kernels = [J @ J.T, J @ J_aug.T, J_aug @ J_aug.T]
    for kernel, error in zip(kernels, (0.25, 0.5, 0.125), strict=True):
        kernel[2, 3] -= error * np.abs(kernel).max()
    monkeypatch.setattr(
        agreement, "neural_tangents_triples", lambda *_, **__: iter([ntk.KernelTriple(*kernels)])
    )
    found = compare(tanh_mlp, images, augmented)
    np.testing.assert_allclose(
        (found.plain, found.cross, found.augmented), (0.25, 0.5, 0.125), rtol=1e-9
    )
    assert found.largest == found.cross
