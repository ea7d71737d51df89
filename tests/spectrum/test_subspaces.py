import numpy as np
import pytest
from helpers import orthogonal

from ntk_aug import spectrum
from ntk_aug.spectrum.subspaces import angles_from_overlaps


@pytest.mark.parametrize("degrees", [1e-9, 1e-4, 1.0, 44.9, 45.1, 89.0, 90.0])
def test_planted_angles_are_found_from_bases_and_from_overlaps(degrees):
    rng = np.random.default_rng(0)
    basis = orthogonal(rng, 8)
    # The second vector is turned towards the fifth; the first stays.
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turned = basis.copy()
    turned[:, 1], turned[:, 4] = (
        c * basis[:, 1] + s * basis[:, 4],
        c * basis[:, 4] - s * basis[:, 1],
    )
    first_two = slice(0, 2)
    direct = spectrum.principal_angles(basis[:, first_two], turned[:, first_two])
    by_overlaps = angles_from_overlaps(basis.T @ turned, first_two, 1e-14)
    np.testing.assert_allclose(direct, [degrees, 0], rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(by_overlaps, [degrees, 0], rtol=1e-5, atol=1e-12)


def test_what_leaves_the_common_space_counts():
    # The first vector is turned by 30 degrees into a direction that no basis vector has.
    overlaps = np.diag([np.cos(np.deg2rad(30)), 1.0, 1.0])
    np.testing.assert_allclose(angles_from_overlaps(overlaps, slice(0, 1)), [30])
    np.testing.assert_allclose(angles_from_overlaps(overlaps, slice(1, 3)), [0, 0])
