import jax
import numpy as np
import pytest
from helpers import orthogonal

from ntk_aug import spectrum
from ntk_aug.checks import InputError


@pytest.mark.parametrize(("dimension", "size"), [(900, 30), (2700, 90)])
def test_the_figures_of_the_study(dimension, size):
    # 81.0 degrees for both; the standard error of eight draws is a few hundredths.
    angle = spectrum.random_subspace_angle(jax.random.key(0), dimension, size)
    assert angle == pytest.approx(81.0, abs=0.15)


@pytest.mark.parametrize(("dimension", "size"), [(12, 3), (7, 5), (40, 1)])
def test_agrees_with_subspaces_that_are_drawn(dimension, size):
    rng = np.random.default_rng(0)
    drawn = [
        spectrum.principal_angles(
            np.eye(dimension)[:, :size], orthogonal(rng, dimension)[:, :size]
        ).mean()
        for _ in range(400)
    ]
    angle = spectrum.random_subspace_angle(jax.random.key(1), dimension, size, num_draws=400)
    error = np.std(drawn) / np.sqrt(400)
    assert abs(angle - np.mean(drawn)) < 5 * np.sqrt(2) * error


def test_the_whole_space_is_no_angle_away_and_huge_spaces_are_orthogonal():
    key = jax.random.key(0)
    assert spectrum.random_subspace_angle(key, 5, 5) == 0
    assert 89.5 < spectrum.random_subspace_angle(key, 10**7, 10) < 90


def test_a_subspace_larger_than_the_space_is_refused():
    with pytest.raises(InputError, match="is 6, expected 1 to 5"):
        spectrum.random_subspace_angle(jax.random.key(0), 5, 6)
