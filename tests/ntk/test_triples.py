import jax
import numpy as np
import pytest

from ntk_aug import augment, jacobian, ntk
from ntk_aug.errors import InputError
from ntk_aug.ntk.products import factor_products
from ntk_aug.ntk.row_store import images_per_tile


@pytest.fixture(scope="module")
def rotated(digit_images, digits):
    rotation = augment.build_augmentation("rotation:30")
    return np.asarray(
        augment.augment_batch(rotation, jax.random.key(1), digit_images, digits.indices)
    )


@pytest.fixture(scope="module")
def rows(small_resnet, digit_images):
    return jacobian.JacobianRows(small_resnet, digit_images.shape[1:], block_size=2)


def test_kernels_are_products_of_the_rows(rows, digit_images, rotated):
    J, J_aug = (rows(x).astype(np.float64) for x in (digit_images, rotated))
    triple = next(ntk.kernel_triples(rows, digit_images, [rotated]))
    for kernel, product in zip(triple, (J @ J.T, J @ J_aug.T, J_aug @ J_aug.T), strict=True):
        np.testing.assert_allclose(kernel, product, rtol=0, atol=1e-13 * np.abs(product).max())


@pytest.mark.parametrize(
    ("fitting", "tile", "streaming"), [(2, 1, 1), (5, 3, 2), (11, 9, 2), (12, 12, 0), (20, 12, 0)]
)
def test_kernels_do_not_depend_on_the_memory_budget(
    rows, digit_images, rotated, fitting, tile, streaming
):
    budget = fitting * 2 * rows.factor_bytes
    assert images_per_tile(rows, len(digit_images), budget) == (tile, streaming)
    versions = [rotated, digit_images]
    whole = ntk.kernel_triples(rows, digit_images, versions)
    tiled = ntk.kernel_triples(rows, digit_images, versions, memory_bytes=budget)
    for one, other in zip(whole, tiled, strict=True):
        for kernel, expected in zip(other, one, strict=True):
            # A tile of another length may round differently in float32 rows, but not here: blocks
            # have the same two images; what is left is the order of float64 sums.
            np.testing.assert_allclose(kernel, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
            if kernel is not other.cross:
                np.testing.assert_array_equal(kernel, kernel.T)


def test_a_budget_below_one_block_says_what_is_needed(rows, digit_images, rotated):
    with pytest.raises(InputError, match=r"rows of 2 images: at least 0\.\d+ GiB") as caught:
        next(ntk.kernel_triples(rows, digit_images, [rotated], memory_bytes=1000))
    # What it says is enough, however few bytes are needed.
    said = float(str(caught.value).rpartition("at least ")[2].split()[0])
    assert images_per_tile(rows, 2, int(said * 2**30)) == (2, 0)


def test_versions_may_be_drawn_into_the_same_memory(rows, digit_images, rotated):
    versions = [rotated, 0.5 * rotated]

    def drawn():
        buffer = np.empty_like(digit_images)
        for version in versions:
            buffer[:] = version
            yield buffer

    found = ntk.kernel_triples(rows, digit_images, drawn())
    for ours, expected in zip(found, ntk.kernel_triples(rows, digit_images, versions), strict=True):
        np.testing.assert_array_equal(ours.augmented, expected.augmented)
        np.testing.assert_array_equal(ours.cross, expected.cross)


def test_augmented_images_of_another_shape_are_refused(rows, digit_images):
    with pytest.raises(InputError, match=r"\(3, 8, 8, 1\), expected \(12, 8, 8, 1\)"):
        next(ntk.kernel_triples(rows, digit_images, iter([digit_images[:3]])))


def test_an_image_without_finite_rows_is_named_by_its_place_among_all(
    tanh_mlp, digit_images, rotated
):
    def broken(params, images):
        return tanh_mlp.apply_fn(params, images) / (images[:, 3, 3] != 0.125)

    rows = jacobian.JacobianRows((broken, tanh_mlp.params), digit_images.shape[1:], block_size=2)
    images, version = digit_images.copy(), rotated.copy()
    images[:, 3, 3] = version[:, 3, 3] = 1
    images[7, 3, 3] = 0.125
    budget = 5 * 2 * rows.factor_bytes
    with pytest.raises(InputError, match="the Jacobian of image 7 holds NaN"):
        next(ntk.kernel_triples(rows, images, [version], memory_bytes=budget))
    version[9, 3, 3] = np.nan
    with pytest.raises(InputError, match="first in example 9"):
        next(ntk.kernel_triples(rows, digit_images, [version], memory_bytes=budget))


@pytest.mark.parametrize("model", ["tanh_mlp", "small_resnet"])
def test_products_of_factors_are_products_of_rows(model, digit_images, rotated, request):
    view = request.getfixturevalue(model)
    rows = jacobian.JacobianRows(view, (8, 8, 1), dtype="float64")
    A, B = rows.factors(digit_images[:5]), rows.factors(rotated)
    expected = rows(digit_images[:5]) @ rows(rotated).T
    # The MLP has two kernels, of 64 x 16 and 16 x 3; the ResNet's output layer one of 16 x 3.
    assert [x.shape for x in A.inputs] == [(5, 64), (5, 16)] if model == "tanh_mlp" else [(5, 16)]
    np.testing.assert_allclose(
        factor_products(A, B), expected, rtol=0, atol=1e-13 * np.abs(expected).max()
    )
    part = factor_products(A.part(1, 3), B.part(4, 12))
    np.testing.assert_allclose(part, factor_products(A, B)[3:9, 12:], rtol=1e-12)
