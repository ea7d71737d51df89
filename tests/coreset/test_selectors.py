import jax
import numpy as np
import pytest
from scipy import stats
from scipy.special import log_softmax, softmax

from ntk_aug import coreset, data
from ntk_aug.coreset.baselines import random_subset
from ntk_aug.coreset.selectors import SelectorEntry
from ntk_aug.errors import InputError

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def digit_examples():
    """Real digits, as a linear network of closed form sees them."""
    digits = data.load_dataset("digits", "train")
    pixels = np.asarray(digits.images, np.float64).reshape(len(digits), -1) / 255
    inputs = np.hstack([pixels, np.ones((len(digits), 1))])
    targets = np.eye(10)[digits.labels] - 0.1
    W = np.linalg.solve(inputs.T @ inputs + np.eye(inputs.shape[1]), inputs.T @ targets)
    logits = 8 * inputs @ W
    residuals = softmax(logits, axis=1) - np.eye(10)[digits.labels]
    norms = np.linalg.norm(residuals, axis=1) * np.linalg.norm(inputs, axis=1)
    gradients = coreset.last_layer_logit_gradients(logits, digits.labels)
    return coreset.Examples.from_arrays(
        digits.labels, 10, gradients=gradients, logits=logits, gradient_norms=norms
    )


def test_the_convention_of_each_selector_is_that_of_its_source(small):
    assert {name for name, entry in coreset.SELECTORS.items() if entry.per_class} == {
        "coreset",
        "k-center",
        "herding",
        "gradient-matching",
    }
    for name, entry in coreset.SELECTORS.items():
        found = coreset.select(KEY, small, name, count=15)
        same = coreset.select(KEY, small, name, count=15, per_class=entry.per_class)
        np.testing.assert_array_equal(found.indices, same.indices)


def test_the_coreset_is_facility_location_with_its_options(small):
    found = coreset.select(KEY, small, count=15, allocation="equal")
    expected = coreset.facility_location_per_class(
        small.gradients, small.labels, count=15, allocation="equal"
    )
    for field in coreset.Subset._fields:
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))
    tolerant = coreset.select(KEY, small, tolerance=40.0, memory_bytes=1)
    expected = coreset.facility_location_per_class(small.gradients, small.labels, tolerance=40.0)
    np.testing.assert_array_equal(tolerant.indices, expected.indices)
    of_all = coreset.select(KEY, small, fraction=0.2, per_class=False)
    expected = coreset.facility_location(small.gradients, count=15)
    np.testing.assert_array_equal(of_all.indices, expected.indices)
    np.testing.assert_array_equal(of_all.weights, expected.weights)
    on_device = coreset.select(KEY, small, fraction=0.2, per_class=False, backend="device")
    np.testing.assert_array_equal(on_device.indices, expected.indices)
    np.testing.assert_array_equal(on_device.weights, expected.weights)
    of_all = coreset.select(KEY, small, tolerance=40.0, per_class=False)
    expected = coreset.facility_location(small.gradients, tolerance=40.0)
    np.testing.assert_array_equal(of_all.indices, expected.indices)


@pytest.mark.parametrize("per_class", [True, False])
def test_the_estimate_is_the_distance_of_all_to_their_nearest_selected_ones(small, per_class):
    gradients = small.gradients.outer
    for options in ({"count": 15}, {"count": 15, "backend": "device"}, {"tolerance": 60.0}):
        found = coreset.select(KEY, small, per_class=per_class, **options)
        distances = np.linalg.norm(gradients[:, None] - gradients[found.indices], axis=2)
        if per_class:  # of the own class alone
            distances[small.labels[:, None] != found.labels] = np.inf
        assert found.estimate == pytest.approx(distances.min(axis=1).sum(), rel=1e-6)
        left = gradients.sum(axis=0) - found.weights @ gradients[found.indices]
        assert np.linalg.norm(left) <= found.estimate


def test_other_selectors_have_no_estimate(small):
    def own(key, examples, count):
        return coreset.Subset(np.arange(count))

    for selector in (*sorted({*coreset.SELECTORS} - {"coreset"}), own):
        for per_class in (True, False):
            found = coreset.select(KEY, small, selector, count=15, per_class=per_class)
            assert np.isnan(found.estimate)
            assert isinstance(found.estimate, float)
            gradients = selector in {"k-center", "herding", "gradient-matching"}
            assert np.isfinite(found.gradient_error) == gradients
            if gradients:
                error = coreset.gradient_error(small.gradients, found.indices, found.weights)
                assert found.gradient_error == pytest.approx(error, rel=1e-12)


def test_options_are_the_selectors(small):
    found = coreset.select(KEY, small, "gradient-matching", count=15, ridge=3.0, per_class=False)
    expected = coreset.match_gradients(small.gradients, 15, ridge=3.0)
    np.testing.assert_array_equal(found.weights, expected.weights)
    default = coreset.select(KEY, small, "gradient-matching", count=15, ridge=None, per_class=False)
    expected = coreset.match_gradients(small.gradients, 15)
    np.testing.assert_array_equal(default.weights, expected.weights)
    assert default.weights.sum() != found.weights.sum()


def test_scores_are_those_of_their_formulas(digit_examples):
    labels = digit_examples.labels
    n = len(labels)
    logits = digit_examples.logits.astype(np.float64)
    losses = -log_softmax(logits, axis=1)[np.arange(n), labels]
    el2n = np.linalg.norm(softmax(logits, axis=1) - np.eye(10)[labels], axis=1)
    for name, scores in [
        ("max-loss", losses),
        ("el2n", el2n),
        ("grad-norm", digit_examples.gradient_norms),
    ]:
        found = coreset.select(KEY, digit_examples, name, count=60)
        np.testing.assert_allclose(found.gains, np.sort(scores)[::-1][:60], rtol=1e-5)
        np.testing.assert_allclose(scores[found.indices], found.gains, rtol=1e-5)
        by_class = coreset.select(
            KEY, digit_examples, name, count=60, per_class=True, allocation="equal"
        )
        for number in range(10):
            own = np.sort(scores[labels == number])[::-1][:6]
            np.testing.assert_allclose(by_class.gains[by_class.labels == number], own, rtol=1e-5)


def test_every_selector_sees_a_network_by_itself(digits, digit_images, tanh_mlp):
    losses = np.array(
        [
            -log_softmax(np.asarray(tanh_mlp.apply_fn(tanh_mlp.params, image[None])[0], float))[y]
            for image, y in zip(digit_images, digits.labels, strict=True)
        ]
    )

    def loss(params, image, label):
        return -jax.nn.log_softmax(tanh_mlp.apply_fn(params, image[None])[0])[label]

    norms = [
        np.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(jax.grad(loss)(*example))))
        for example in zip([tanh_mlp.params] * 12, digit_images, digits.labels, strict=True)
    ]
    examples = coreset.network_examples(tanh_mlp, digits, proxy="last-layer-weight")
    found = {name: coreset.select(KEY, examples, name, count=5) for name in coreset.SELECTORS}
    assert {name: len(s.indices) for name, s in found.items()} == {
        **dict.fromkeys(coreset.SELECTORS, 5),
        "all": 12,
        "none": 0,
    }
    for name, scores in [("max-loss", losses), ("grad-norm", norms)]:
        np.testing.assert_allclose(found[name].gains, np.sort(scores)[::-1][:5], rtol=1e-4)


def chi_square_is_likely(counts, share):
    """Whether counts of draws without replacement of this share are as those of uniform ones."""
    n, expected = len(counts), counts.mean()
    # They vary less than independent ones would: by 1 - share, and n - 1 of n are free.
    statistic = ((counts - expected) ** 2 / expected).sum() / (1 - share)
    return stats.chi2(n - 1).ppf(0.001) < statistic < stats.chi2(n - 1).ppf(0.999)


def test_random_subsets_are_uniform_over_the_data_set(small):
    counts = np.zeros(75)
    for draw in range(2000):
        found = random_subset(jax.random.fold_in(KEY, draw), 75, 15)
        counts[found.indices] += 1
    assert counts.sum() == 2000 * 15
    assert chi_square_is_likely(counts, 15 / 75)
    found = coreset.select(KEY, small, "random", count=15)
    expected = random_subset(jax.random.fold_in(KEY, 0), 75, 15)
    np.testing.assert_array_equal(found.indices, expected.indices)


def test_random_subsets_are_uniform_in_each_class():
    # 2,000 classes of 12, of each of which 3 are drawn with a key of its own.
    labels = np.tile(np.arange(2000), 12)
    examples = coreset.Examples.from_arrays(labels, 2000)
    found = coreset.select(KEY, examples, "random", fraction=0.25, per_class=True)
    assert (np.bincount(found.labels) == 3).all()
    assert (found.weights == 4).all()
    places = found.indices // 2000
    assert chi_square_is_likely(np.bincount(places), 3 / 12)
    first, second, third = np.sort(places.reshape(2000, 3), axis=1).T
    subsets = np.unique(144 * first + 12 * second + third, return_counts=True)[1]
    assert len(subsets) == 220  # all of 12 over 3
    assert chi_square_is_likely(subsets, 0)


def test_random_subsets_follow_their_key(small):
    one, same, other = (
        coreset.select(key, small, "random", count=15)
        for key in (KEY, jax.random.key(0), jax.random.key(1))
    )
    np.testing.assert_array_equal(one.indices, same.indices)
    assert set(one.indices) != set(other.indices)


@pytest.mark.parametrize("proxy", ["logit", "weight"])
def test_the_error_is_below_that_of_random_subsets_at_every_size(digit_examples, proxy):
    examples = digit_examples
    if proxy == "weight":
        digits = data.load_dataset("digits", "train")
        inputs = np.asarray(digits.images, np.float64).reshape(len(digits), -1) / 255
        gradients = coreset.last_layer_weight_gradients(examples.logits, inputs, digits.labels)
        examples = coreset.Examples.from_arrays(digits.labels, 10, gradients=gradients)
    for fraction in (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3):
        found = coreset.select(KEY, examples, fraction=fraction)
        error = coreset.gradient_error(examples.gradients, found.indices, found.weights)
        budgets = np.bincount(found.labels, minlength=10)
        others = coreset.random_gradient_errors(KEY, examples.gradients, examples.labels, budgets)
        assert error < others.mean()


def test_all_and_none_need_no_budget_and_keep_to_none(small):
    for budget in ({}, {"fraction": 0.1}, {"count": 3}):
        everything = coreset.select(KEY, small, "all", **budget)
        assert everything.indices.tolist() == list(range(75))
        assert (everything.weights == 1).all()
        nothing = coreset.select(KEY, small, "none", **budget)
        assert [len(values) for values in nothing[:4]] == [0] * 4
    assert coreset.select(KEY, small, "all", per_class=True).labels.tolist() == sorted(small.labels)
    with pytest.raises(InputError, match="fraction is 2"):
        coreset.select(KEY, small, "all", fraction=2.0)


def smallest_margins(key, examples, count):
    logits = np.sort(examples.logits, axis=1)
    margins = logits[:, -1] - logits[:, -2]
    return coreset.Subset(np.argsort(margins, kind="stable")[:count])


def test_a_users_own_selector(small, tmp_path, monkeypatch):
    found = coreset.select(KEY, small, smallest_margins, count=15)
    assert np.bincount(found.labels).tolist() == [8, 2, 5]
    np.testing.assert_allclose(np.bincount(found.labels, found.weights), [40, 10, 25])
    assert np.isnan(found.gains).all()
    logits = np.sort(small.logits[small.labels == 1], axis=1)
    two = np.argsort(logits[:, 2] - logits[:, 1])[:2]
    np.testing.assert_array_equal(found.indices[8:10], np.flatnonzero(small.labels == 1)[two])

    (tmp_path / "own_selectors.py").write_text(
        "import numpy as np\n"
        "from ntk_aug.coreset import Subset\n\n\n"
        "def first_ones(key, examples, count, *, step=1):\n"
        "    return Subset(np.arange(0, count * step, step))\n"
    )
    monkeypatch.chdir(tmp_path)
    spec = "own_selectors:first_ones"
    found = coreset.select(KEY, small, spec, count=5, per_class=False, step=3)
    assert found.indices.tolist() == [0, 3, 6, 9, 12]
    entry = SelectorEntry(smallest_margins, "the smallest margins", "a test")
    monkeypatch.setitem(coreset.SELECTORS, "margins", entry)
    assert len(coreset.select(KEY, small, "margins", count=4).indices) == 4
