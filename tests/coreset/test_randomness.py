"""Over which axes a selection that draws differs, and over which not: see `test_randomness`."""

import jax
import numpy as np
import pytest

from ntk_aug import coreset
from ntk_aug.coreset.baselines import random_subset

# Three classes with the same gradients: what differs between them is drawn.
OF_A_CLASS = np.random.default_rng(0).standard_normal((30, 2))
GRADIENTS, LABELS = np.tile(OF_A_CLASS, (3, 1)), np.repeat(np.arange(3), 30)
EXAMPLES = coreset.Examples.from_arrays(LABELS, 3, gradients=GRADIENTS)


def selected(selector, seed=0, number=0, threads=1, **options):
    """Places within one class, in the order of their selection."""
    found = coreset.select(
        jax.random.key(seed),
        EXAMPLES,
        selector,
        count=15,
        per_class=True,
        num_threads=threads,
        **options,
    )
    return found.indices[found.labels == number] % 30


def random_of(**axes):
    return selected("random", **axes)


def stochastic_of(**axes):
    return selected("coreset", algorithm="stochastic", epsilon=0.8, **axes)


def two_stages_of(**axes):
    return selected("coreset", algorithm="two-stage", memory_bytes=4 * 8**2, **axes)


def errors_of(seed=0, first=0, draws=20):
    """Of random subsets; the gradient errors of ten from the first on."""
    budgets = np.array([5, 5, 5])
    errors = coreset.random_gradient_errors(
        jax.random.key(seed), GRADIENTS, LABELS, budgets, draws=draws
    )
    return errors[first : first + 10]


AXES = {
    "random": (random_of, {"seed": 1, "number": 1}, {"threads": 3}),
    "stochastic": (stochastic_of, {"seed": 1, "number": 1}, {"threads": 3}),
    "two-stage": (two_stages_of, {"seed": 1, "number": 1}, {}),
    "random_gradient_errors": (errors_of, {"seed": 1, "first": 10}, {"draws": 30}),
}
"""What is drawn: (function, axes over which it differs, axes over which it does not)."""


@pytest.mark.parametrize("name", AXES)
def test_a_draw_differs_over_its_axes_and_over_no_others(name):
    draw, differs, same = AXES[name]
    drawn = draw()
    for axis, value in differs.items():
        assert draw(**{axis: value}).tolist() != drawn.tolist(), axis
    for axis, value in same.items():
        np.testing.assert_array_equal(draw(**{axis: value}), drawn, err_msg=axis)


def test_classes_of_one_random_error_are_drawn_independently():
    """The places drawn in two classes of equal gradients, by the errors that they give."""
    assert len(np.unique(errors_of())) == 10
    gradients = np.zeros((8, 2))
    gradients[:4, 0] = gradients[4:, 1] = [0, 1, 4, 16]
    errors = coreset.random_gradient_errors(
        jax.random.key(0), gradients, np.repeat([0, 1], 4), np.array([1, 1]), draws=3000
    )
    # Four places in each class: a drawn gradient of 16 leaves 43 of its class, and so on.
    left = np.abs(21 - 4 * np.array([0, 1, 4, 16]))
    expected = np.hypot(left[:, None], left)
    shares = [(np.abs(errors - value) < 1e-9).mean() for value in np.unique(expected)]
    # Two of one place 1 / 16 each, two of different ones 1 / 8; five standard deviations.
    counts = [(np.abs(expected - value) < 1e-9).sum() for value in np.unique(expected)]
    for share, count in zip(shares, counts, strict=True):
        probability = count / 16
        assert abs(share - probability) < 5 * np.sqrt(probability * (1 - probability) / 3000)


def test_every_word_of_a_key_counts_on_the_host():
    keys = [jax.random.wrap_key_data(np.array(words, np.uint32)) for words in ((0, 5), (5, 0))]
    keys += [jax.random.key(0), jax.random.fold_in(jax.random.key(0), 1)]
    drawn = {tuple(random_subset(key, 1000, 5).indices) for key in keys}
    assert len(drawn) == 4
