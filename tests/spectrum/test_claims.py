"""What can be expected of real networks: section C.2 of the supplement, for strong augmentation."""

import jax
import numpy as np
import pytest

from ntk_aug import augment, data, models, spectrum, training


@pytest.fixture(scope="module")
def strong_noise_study():
    three = data.select_classes(data.load_dataset("digits", "train"), ["0", "1", "2"])
    drawn = data.draw_examples(jax.random.key(0), three, 60)
    views = []
    for seed in range(3):
        network = models.build_network("mlp", 3, width=40, activation="tanh")
        config = training.TrainingConfig(epochs=10, learning_rate=0.05, seed=seed)
        trained = training.train(network, three, config)
        views.append(network.view(trained.params, trained.state))
    return spectrum.study_spectrum(
        0,
        views,
        data.unit_range(drawn.images),
        {"noise": augment.build_augmentation("noise:1")},
        indices=drawn.indices,
        draws=4,
    )


def test_small_singular_values_grow_relatively_more(strong_noise_study):
    summary = spectrum.summarize_study(strong_noise_study)[0]
    assert min(summary.spearman) > 0  # in every network; but not monotonically


def test_the_most_prominent_directions_turn_least(strong_noise_study):
    assert all(spectrum.summarize_study(strong_noise_study)[0].first_bin_turns_least)


def test_more_of_the_largest_values_fall_than_of_the_others(strong_noise_study):
    summary = spectrum.summarize_study(strong_noise_study)[0]
    assert summary.decreased_first_bin > summary.decreased_other_bins


def test_random_perturbations_move_values_as_second_order_theory_says():
    # E lambda~_i = lambda_i + s^2 (P + sum_{j != i} (lambda_i + lambda_j) / (lambda_i - lambda_j))
    # for J~ = J + E with independent entries of variance s^2, to second order.
    rng = np.random.default_rng(0)
    sigma, s, P, draws = np.arange(6.0, 0, -1), 0.01, 60, 20_000
    J = np.zeros((6, P))
    J[:, :6] = np.diag(sigma)
    E = s * rng.standard_normal((draws, 6, P))
    squares = np.linalg.svd(J + E, compute_uv=False) ** 2
    lam = sigma**2
    ratio = (lam[:, None] + lam) / (lam[:, None] - lam + np.eye(6)) * (1 - np.eye(6))
    expected = s**2 * (P + ratio.sum(axis=1))
    gain = squares.mean(axis=0) - lam
    error = squares.std(axis=0) / np.sqrt(draws)
    np.testing.assert_array_less(np.abs(gain - expected), 5 * error + 0.02 * expected)
    assert (np.diff(expected / lam) > 0).all()  # so the relative gain is largest for the smallest
