import jax
import numpy as np

from ntk_aug import ntk


def test_the_kernels_of_a_relu_layer_are_the_arc_cosine_kernels(digit_images):
    """Cho and Saul 2009; weights of variance 2, without biases."""
    found = ntk.infinite_width_kernels(ntk.stax_mlp(1, 2)[2], digit_images[:3], digit_images[3:])
    x = digit_images.reshape(12, -1).astype(np.float64)
    inner = 2 * x[:3] @ x[3:].T / 64
    norms = np.sqrt(2 * (x**2).sum(axis=1) / 64)
    scale = np.outer(norms[:3], norms[3:])
    angle = np.arccos(inner / scale)
    nngp = scale * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi
    np.testing.assert_allclose(found.nngp, nngp, rtol=1e-10)
    np.testing.assert_allclose(found.ntk, nngp + inner * (np.pi - angle) / np.pi, rtol=1e-10)


def test_the_distance_falls_as_one_over_the_root_of_the_width(digit_images):
    widths = [16, 64, 256]
    found = list(
        ntk.width_convergence(
            jax.random.key(0),
            lambda width: ntk.stax_mlp(width, 2, activation="erf", b_std=0.1),
            digit_images[:4],
            widths,
            seeds=8,
        )
    )
    # Eight seeds leave about a tenth of each mean: 0.05 of the slope over a factor of 16.
    slope = np.polyfit(np.log(widths), np.log([one.mean for one in found]), 1)[0]
    assert -0.7 < slope < -0.3
    assert [len(one.distances) for one in found] == [8, 8, 8]
