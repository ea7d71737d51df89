import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import ntk
from ntk_aug.errors import InputError


def relu_layer(nngp, variances):
    """E[relu(u) relu(v)] and E[relu'(u) relu'(v)]: the arc-cosine kernels of Cho and Saul 2009."""
    scale = np.sqrt(np.multiply.outer(*variances))
    angle = np.arccos(nngp / scale)
    first_order = scale * (np.sin(angle) + (np.pi - angle) * np.cos(angle))
    return first_order / (2 * np.pi), (np.pi - angle) / (2 * np.pi)


def erf_layer(nngp, variances):
    """E[erf(u) erf(v)] and E[erf'(u) erf'(v)], of Williams 1997."""
    scale = np.multiply.outer(*(1 + 2 * variance for variance in variances))
    return 2 / np.pi * np.arcsin(2 * nngp / np.sqrt(scale)), 4 / np.pi / np.sqrt(
        scale - 4 * nngp**2
    )


@pytest.mark.parametrize(
    ("activation", "layer", "depth", "W_std", "b_std"),
    [
        ("relu", relu_layer, 1, 2**0.5, 0.0),
        ("relu", relu_layer, 3, 1.5, 0.3),
        ("erf", erf_layer, 2, 1.2, 0.1),
    ],
)
def test_the_kernels_of_an_mlp_are_those_of_the_recursion_over_its_layers(
    digit_images, activation, layer, depth, W_std, b_std
):
    """Jacot et al. 2018: Theta' = Sigma' + W_std^2 E[phi' phi'] Theta."""
    network = ntk.stax_mlp(1, 2, depth=depth, activation=activation, W_std=W_std, b_std=b_std)
    found = ntk.infinite_width_kernels(network[2], digit_images[:3], digit_images[3:])

    def after(products):
        return W_std**2 * products + b_std**2

    x = digit_images.reshape(12, -1).astype(np.float64)
    # No image meets itself there, where the angle would be lost to rounding.
    nngp = tangent = after(x[:3] @ x[3:].T / 64)
    own = after((x**2).sum(axis=1) / 64)
    for _ in range(depth):
        values, slopes = layer(nngp, (own[:3], own[3:]))
        nngp, tangent = after(values), after(values) + W_std**2 * slopes * tangent
        own = after(np.diagonal(layer(np.diag(own), (own, own))[0]))
    np.testing.assert_allclose(found.nngp, nngp, rtol=1e-10)
    np.testing.assert_allclose(found.ntk, tangent, rtol=1e-10)


@pytest.mark.parametrize("pooling", [False, True])
def test_the_kernels_of_one_convolution_are_means_over_positions(digit_images, pooling):
    """Of the arc-cosine kernels of patches: of equal positions, or of all pairs if pooled."""
    W, b = 1.5, 0.3
    images = digit_images[:, 2:6, 2:6]
    kernel_fn = ntk.stax_cnn(1, 2, pooling=pooling, W_std=W, b_std=b)[2]
    found = ntk.infinite_width_kernels(kernel_fn, images[:3], images[3:])
    padded = np.pad(images[..., 0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    patches = windows.reshape(12 * 16, 9)
    inner = W**2 * patches @ patches.T / 9 + b**2
    first, second = slice(0, 3 * 16), slice(3 * 16, None)
    own, inner = np.diagonal(inner), inner[first, second]
    values, slopes = relu_layer(inner, (own[first], own[second]))

    def mean(kernels):
        pairs = kernels.reshape(3, 16, 9, 16)
        return pairs.mean(axis=(1, 3)) if pooling else np.einsum("ipjp->ij", pairs) / 16

    nngp = W**2 * mean(values) + b**2
    np.testing.assert_allclose(found.nngp, nngp, rtol=1e-7)
    np.testing.assert_allclose(found.ntk, nngp + W**2 * mean(slopes * inner), rtol=1e-7)


@pytest.mark.parametrize(
    "build",
    [
        lambda width: ntk.stax_mlp(width, 2),
        lambda width: ntk.stax_mlp(width, 2, activation="erf", b_std=0.1),
        lambda width: ntk.stax_cnn(width, 2, b_std=0.1),
    ],
    ids=["mlp relu", "mlp erf", "cnn relu"],
)
def test_the_distance_falls_as_one_over_the_root_of_the_width(digit_images, build):
    """With one hidden layer K is a mean over units that are drawn alike: E d^2 = const / width."""
    widths = [8, 128]
    found = list(
        ntk.width_convergence(jax.random.key(0), build, digit_images[:4], widths, seeds=50)
    )
    squares = np.array([one.distances**2 for one in found])
    slope = math.log(squares[1].mean() / squares[0].mean()) / 2 / math.log(16)
    errors = squares.std(axis=1) / squares.mean(axis=1) / 2 / math.sqrt(50)
    error = math.hypot(*errors) / math.log(16)
    assert error < 0.06
    assert abs(slope + 0.5) < 3 * error
    for one in found:
        assert one.mean == pytest.approx(sum(one.distances) / 50)
        squared = sum((one.distances - one.mean) ** 2)
        assert one.std == pytest.approx(math.sqrt(squared / 49))


def linear_network(width):
    """K is four times the kernel that it claims to near, whatever the parameters are."""

    def inputs(x):
        return x.reshape(len(x), -1)

    def init_fn(key, shape):
        return (), (jax.random.normal(key, (64, width)),)

    def kernel_fn(first, second, get):
        return SimpleNamespace(nngp=jnp.eye(len(first)), ntk=inputs(first) @ inputs(first).T)

    return init_fn, lambda params, x: 2 * inputs(x) @ params[0], kernel_fn


def test_the_distance_is_relative_to_the_limit_and_each_network_is_told_of(digit_images):
    told = []
    found = list(
        ntk.width_convergence(
            jax.random.key(0),
            linear_network,
            digit_images[:4],
            [3, 1],
            seeds=2,
            progress=lambda *x: told.append(x),
        )
    )
    assert [one.width for one in found] == [3, 1]
    for one in found:
        np.testing.assert_allclose(one.distances, [3, 3], rtol=1e-12)
    assert told == [("networks", done, 4) for done in (1, 2, 3, 4)]


def test_the_key_of_a_network_depends_on_its_width_and_place_alone(digit_images):
    used = []

    def build(width):
        init_fn, *others = linear_network(width)

        def recorded(key, shape):
            used.append((width, jax.random.key_data(key).tobytes()))
            return init_fn(key, shape)

        return recorded, *others

    def keys(widths, seeds):
        used.clear()
        list(ntk.width_convergence(5, build, digit_images[:2], widths, seeds=seeds))
        return list(used)

    both = keys([2, 3], 2)
    assert [width for width, _ in both] == [2, 2, 3, 3]
    assert len({key for _, key in both}) == 4
    # Neither other widths nor more networks change one.
    assert keys([3], 3)[:2] == both[2:]


def test_a_single_network_has_no_spread(digit_images):
    images = digit_images[:4]
    (found,) = ntk.width_convergence(jax.random.key(0), linear_network, images, [1], seeds=1)
    assert math.isnan(found.std)


@pytest.mark.parametrize("build", [ntk.stax_mlp, ntk.stax_cnn])
@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, 2), {}, "width is 0, expected at least 1"),
        ((4, 0), {}, "num_outputs is 0, expected at least 1"),
        ((4, 2), {"depth": 0}, "depth is 0, expected at least 1"),
        ((4, 2), {"activation": "rely"}, r"unknown activation 'rely' \(did you mean 'relu'"),
        ((4, 2), {"W_std": math.nan}, "W_std is nan, expected a finite number from 0 on"),
        ((4, 2), {"b_std": -1.0}, "b_std is -1.0, expected a finite number from 0 on"),
    ],
)
def test_a_network_that_cannot_be_is_refused(build, arguments, options, message):
    with pytest.raises(InputError, match=message):
        build(*arguments, **options)


@pytest.mark.parametrize(
    ("images", "widths", "seeds", "message"),
    [
        (np.full((2, 8, 8, 1), np.nan), [4], 1, "images hold NaN or infinity in 2 of 2"),
        (np.ones((2, 8, 8, 1)), [4], 0, "seeds is 0, expected at least 1"),
        (np.ones((2, 8, 8, 1)), [], 1, "the number of widths is 0"),
        (np.ones((2, 8, 8, 1)), [4, 0], 1, "a width is 0, expected at least 1"),
    ],
)
def test_bad_input_is_refused_before_a_network_is_built(images, widths, seeds, message):
    def build(width):
        raise AssertionError("built")

    with pytest.raises(InputError, match=message):
        ntk.width_convergence(jax.random.key(0), build, images, widths, seeds=seeds)
