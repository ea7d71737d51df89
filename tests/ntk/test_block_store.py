import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from ntk_aug import jacobian, ntk
from ntk_aug.errors import BrokenFileError, InputError
from ntk_aug.ntk import blocks


def rows_of(view):
    return jacobian.JacobianRows(view, (8, 8, 1), block_size=2)


@pytest.fixture(scope="module")
def rows(tanh_mlp):
    return rows_of(tanh_mlp)


class StoppedError(Exception):
    pass


class Told:
    """Counts what is computed, and stops a computation after so many entries of the kernel."""

    def __init__(self, stop_after=np.inf):
        self.images, self.stop_after = 0, stop_after

    def __call__(self, stage, done, total):
        if stage == "Jacobian":
            self.images = done
        elif done >= self.stop_after:
            raise StoppedError


def empirical(rows, images, others, version, **options):
    return (ntk.empirical_kernel(rows, images, others, **options),)


def triples(rows, images, others, version, **options):
    return next(ntk.kernel_triples(rows, images, [version], **options))


@pytest.mark.parametrize("compute", [empirical, triples])
@pytest.mark.parametrize("two_sets", [False, True])
def test_a_stopped_kernel_goes_on_from_its_finished_blocks(
    rows, digit_images, tmp_path, compute, two_sets
):
    sets = digit_images, digit_images[:7] if two_sets else None, 0.5 * digit_images
    versions = 1 if compute is empirical else 2
    options = {"memory_bytes": 5 * versions * rows.factor_bytes}
    whole = Told()
    expected = compute(rows, *sets, **options, progress=whole)
    options["blocks_folder"] = tmp_path / "blocks"
    with pytest.raises(StoppedError):
        compute(rows, *sets, **options, progress=Told(stop_after=60))
    resumed = Told()
    for kernel, own in zip(
        compute(rows, *sets, **options, progress=resumed), expected, strict=True
    ):
        np.testing.assert_array_equal(kernel, own)
    assert 0 < resumed.images < whole.images
    again = Told()
    for kernel, own in zip(compute(rows, *sets, **options, progress=again), expected, strict=True):
        np.testing.assert_array_equal(kernel, own)
    assert again.images == 0


@pytest.mark.parametrize("compute", [empirical, triples])
@pytest.mark.parametrize("mesh", [None, Mesh(np.array(jax.devices()), ("images",))])
def test_a_tile_is_divided_into_blocks_that_are_kept(
    rows, digit_images, tmp_path, monkeypatch, compute, mesh
):
    sets = digit_images, None, 0.5 * digit_images
    options = {"blocks_folder": tmp_path / "blocks", "mesh": mesh}
    expected = compute(rows, *sets, mesh=mesh)
    monkeypatch.setattr(blocks, "_KEPT_SIDE", 5)  # 5, 5 and 2 of the 12 images
    with pytest.raises(StoppedError):
        compute(rows, *sets, **options, progress=Told(stop_after=40))
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("blocks/*/*.npy")}
    assert (
        {"0-5x0-5.npy"}
        <= kept.keys()
        < {f"{a}x{b}.npy" for a in ("0-5", "5-10", "10-12") for b in ("0-5", "5-10", "10-12")}
    )
    found = compute(rows, *sets, **options)
    for kernel, own in zip(found, expected, strict=True):
        np.testing.assert_allclose(kernel, own, rtol=0, atol=1e-14 * np.abs(own).max())
    np.testing.assert_array_equal(found[0], found[0].T)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("blocks/*/*.npy")}
    assert len(after) == 6  # of a triangle of 3 x 3
    assert kept.items() <= after.items()


def test_blocks_of_other_weights_statistics_or_images_are_not_taken(
    rows, tanh_mlp, small_resnet, digit_images, tmp_path
):
    doubled = jax.tree.map(lambda leaf: 2 * leaf, tanh_mlp.params)
    networks = [rows, rows_of(tanh_mlp._replace(params=doubled))]

    def rows_of_scaled(scale):
        # What a network closes over decides its rows, too.
        scales = np.full((8, 8, 1), scale, np.float32)
        return rows_of(
            small_resnet._replace(
                apply_fn=lambda params, images: small_resnet.apply_fn(params, scales * images)
            )
        )

    networks += [rows_of_scaled(1), rows_of_scaled(2)]
    assert len({network.fingerprint() for network in networks}) == len(networks)
    assert rows_of(tanh_mlp).fingerprint() == rows.fingerprint()
    for network in networks:
        for images in (digit_images, digit_images[::-1]):
            kernel = ntk.empirical_kernel(network, images, blocks_folder=tmp_path)
            np.testing.assert_array_equal(kernel, ntk.empirical_kernel(network, images))
    assert len(list(tmp_path.iterdir())) == 2 * len(networks)


def test_blocks_of_another_kind_of_kernel_are_not_taken(rows, digit_images, tmp_path):
    def kernels(**options):
        yield ntk.empirical_kernel(rows, digit_images, **options)
        yield ntk.empirical_kernel(rows, digit_images, traced=True, **options)
        yield ntk.empirical_kernel(rows, digit_images, digit_images, **options)
        yield next(ntk.kernel_triples(rows, digit_images, [digit_images], **options)).cross

    for kernel, expected in zip(kernels(blocks_folder=tmp_path), kernels(), strict=True):
        np.testing.assert_array_equal(kernel, expected)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_broken_block_is_named_and_a_folder_must_be_one(rows, digit_images, tmp_path):
    ntk.empirical_kernel(rows, digit_images, blocks_folder=tmp_path)
    (block,) = tmp_path.glob("*/*.npy")
    block.write_bytes(block.read_bytes()[:100])
    with pytest.raises(BrokenFileError, match=rf"{block.name} is no block of a kernel"):
        ntk.empirical_kernel(rows, digit_images, blocks_folder=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        ntk.empirical_kernel(rows, digit_images, blocks_folder=tmp_path / "file")
