import threading

import jax
import numpy as np
import pytest
from scipy import stats
from scipy.special import log_softmax, softmax

from ntk_aug import coreset, data
from ntk_aug.checks import InputError

KEY = jax.random.key(0)
BUDGETED = [name for name, entry in coreset.SELECTORS.items() if entry.takes_budget]


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


@pytest.fixture(scope="module")
def small():
    """Three mixed classes of 40, 10 and 25 examples, of which everything is given."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(3), (40, 10, 25)))
    logits = rng.standard_normal((75, 3)) + np.eye(3)[labels]
    return coreset.Examples.from_arrays(
        labels,
        3,
        gradients=rng.standard_normal((75, 4)) + np.eye(3, 4)[labels],
        logits=logits,
        gradient_norms=rng.uniform(1, 2, 75),
    )


@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("name", BUDGETED)
def test_every_selector_gives_the_budget_and_weights_that_sum_to_each_group(small, name, per_class):
    found = coreset.select(KEY, small, name, count=15, per_class=per_class)
    assert len(np.unique(found.indices)) == len(found.indices) == 15
    np.testing.assert_array_equal(found.labels, small.labels[found.indices])
    assert found.indices.dtype == np.int64
    assert found.weights.dtype == found.gains.dtype == np.float64
    assert np.isfinite(found.gains).all() == (name != "random")
    if per_class:
        assert found.labels.tolist() == [0] * 8 + [1] * 2 + [2] * 5
    if name != "gradient-matching":
        sums = np.bincount(found.labels, found.weights) if per_class else [found.weights.sum()]
        np.testing.assert_allclose(sums, [40, 10, 25] if per_class else [75])


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


@pytest.mark.parametrize("name", BUDGETED)
def test_the_number_of_threads_does_not_matter(small, name):
    one, three = (
        coreset.select(KEY, small, name, count=15, per_class=True, num_threads=threads)
        for threads in (1, 3)
    )
    for first, second in zip(one, three, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", sorted({*BUDGETED} - {"random", "coreset"}))
def test_a_permutation_of_the_examples_leaves_who_is_selected(small, name):
    order = np.random.default_rng(1).permutation(75)
    found = coreset.select(KEY, small, name, count=15)
    permuted = coreset.select(KEY, small.take(order), name, count=15)
    np.testing.assert_array_equal(order[permuted.indices], found.indices)
    np.testing.assert_allclose(permuted.weights, found.weights, rtol=1e-9)


def test_a_permutation_of_the_examples_leaves_the_gains_of_the_coreset(small):
    found = coreset.select(KEY, small, count=15)
    permuted = coreset.select(KEY, small.take(np.random.default_rng(1).permutation(75)), count=15)
    np.testing.assert_allclose(permuted.gains, found.gains, rtol=1e-9)


def test_the_coreset_is_facility_location_with_its_options(small):
    found = coreset.select(KEY, small, count=15, split="equal")
    expected = coreset.facility_location_per_class(
        small.gradients, small.labels, count=15, split="equal"
    )
    for field in coreset.Selection._fields:
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))
    tolerant = coreset.select(KEY, small, tolerance=40.0, memory_bytes=1)
    expected = coreset.facility_location_per_class(small.gradients, small.labels, tolerance=40.0)
    np.testing.assert_array_equal(tolerant.indices, expected.indices)
    of_all = coreset.select(KEY, small, fraction=0.2, per_class=False)
    expected = coreset.facility_location(small.gradients, count=15)
    np.testing.assert_array_equal(of_all.indices, expected.indices)
    np.testing.assert_array_equal(of_all.weights, expected.weights)
    of_all = coreset.select(KEY, small, tolerance=40.0, per_class=False)
    expected = coreset.facility_location(small.gradients, tolerance=40.0)
    np.testing.assert_array_equal(of_all.indices, expected.indices)


def test_options_are_the_selectors(small):
    found = coreset.select(KEY, small, "gradient-matching", count=15, ridge=3.0, per_class=False)
    expected = coreset.match_gradients(small.gradients, 15, ridge=3.0)
    np.testing.assert_array_equal(found.weights, expected.weights)
    default = coreset.select(KEY, small, "gradient-matching", count=15, ridge=None, per_class=False)
    expected = coreset.match_gradients(small.gradients, 15)
    np.testing.assert_array_equal(default.weights, expected.weights)
    assert default.weights.sum() != found.weights.sum()


def test_what_a_network_makes_of_them_is_computed_where_it_can_be_interrupted(small):
    threads = []

    def gradients(examples):
        threads.append(threading.current_thread())
        return small.gradients

    for name in ("coreset", "herding"):
        examples = coreset.Examples(small.labels, 3, {"gradients": gradients})
        coreset.select(KEY, examples, name, count=15)
    assert threads == [threading.main_thread()] * 2


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
            KEY, digit_examples, name, count=60, per_class=True, split="equal"
        )
        for number in range(10):
            own = np.sort(scores[labels == number])[::-1][:6]
            np.testing.assert_allclose(by_class.gains[by_class.labels == number], own, rtol=1e-5)


def chi_square_is_likely(counts, share):
    """Whether counts of draws without replacement of this share are as those of uniform ones."""
    n, expected = len(counts), counts.mean()
    # They vary less than independent ones would: by 1 - share, and n - 1 of n are free.
    statistic = ((counts - expected) ** 2 / expected).sum() / (1 - share)
    return stats.chi2(n - 1).ppf(0.001) < statistic < stats.chi2(n - 1).ppf(0.999)


def test_random_subsets_are_uniform_over_the_data_set(small):
    counts = np.zeros(75)
    for draw in range(2000):
        found = coreset.random_subset(jax.random.fold_in(KEY, draw), 75, 15)
        counts[found.indices] += 1
    assert counts.sum() == 2000 * 15
    assert chi_square_is_likely(counts, 15 / 75)
    found = coreset.select(KEY, small, "random", count=15)
    expected = coreset.random_subset(jax.random.fold_in(KEY, 0), 75, 15)
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
        assert [len(values) for values in nothing] == [0] * 4
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
    entry = coreset.SelectorEntry(smallest_margins, "the smallest margins", "a test")
    monkeypatch.setitem(coreset.SELECTORS, "margins", entry)
    assert len(coreset.select(KEY, small, "margins", count=4).indices) == 4


@pytest.mark.parametrize(
    ("subset", "message"),
    [
        (coreset.Subset(np.array([0, 0])), "an index twice"),
        (coreset.Subset(np.array([0, 75])), "indices 0 to 75, expected 0 to 74"),
        (coreset.Subset(np.array([-1, 0])), "indices -1 to 0, expected 0 to 74"),
        (coreset.Subset(np.arange(4)), "at most 3 integers"),
        (coreset.Subset(np.array([0.5])), "dtype float64, expected at most 3 integers"),
        (coreset.Subset(np.arange(2), np.ones(3)), "weights of selector 'own' has shape"),
        (coreset.Subset(np.arange(2), gains=np.ones(3)), "gains of selector 'own' has shape"),
        (coreset.Subset(np.arange(2), np.array([1, np.nan])), "weights that are not finite"),
    ],
)
def test_what_is_no_subset_is_refused(small, subset, message):
    def own(key, examples, count):
        return subset

    with pytest.raises(InputError, match=message):
        coreset.select(KEY, small, own, count=3, per_class=False)


@pytest.mark.parametrize("name", BUDGETED)
def test_budgets_out_of_range_are_refused(small, name):
    for per_class in (True, False):
        with pytest.raises(InputError, match=r"count .* is 76, expected 1 to 75"):
            coreset.select(KEY, small, name, count=76, per_class=per_class)
        with pytest.raises(InputError, match="exactly one of them"):
            coreset.select(KEY, small, name, per_class=per_class)
        for fraction in (0.0, 1.01, float("nan")):
            with pytest.raises(InputError, match="fraction is"):
                coreset.select(KEY, small, name, fraction=fraction, per_class=per_class)
    with pytest.raises(InputError, match="a budget of 2 gives class 1 of 10 examples none"):
        coreset.select(KEY, small, name, count=2, per_class=True)


@pytest.mark.parametrize("name", BUDGETED)
def test_a_class_without_examples_is_refused_where_classes_are_selected_from(small, name):
    one_more = coreset.Examples.from_arrays(
        small.labels,
        4,
        gradients=small.gradients,
        logits=np.pad(small.logits, ((0, 0), (0, 1))),
        gradient_norms=small.gradient_norms,
    )
    with pytest.raises(InputError, match="class 3 has 0 examples"):
        coreset.select(KEY, one_more, name, count=15, per_class=True)
    assert len(coreset.select(KEY, one_more, name, count=15, per_class=False).indices) == 15


def test_other_bad_input_is_told(small):
    with pytest.raises(InputError, match=r"unknown selector 'coresets' \(did you mean 'coreset'"):
        coreset.select(KEY, small, "coresets", count=3)
    with pytest.raises(InputError, match="selector 'random' takes no option 'tolerance'"):
        coreset.select(KEY, small, "random", count=3, tolerance=1.0)
    with pytest.raises(InputError, match="has no function 'nothing'"):
        coreset.select(KEY, small, "math:nothing", count=3)
    with pytest.raises(InputError, match="num_threads is 0"):
        coreset.select(KEY, small, "herding", count=15, num_threads=0)
    with pytest.raises(InputError, match="no gradients"):
        coreset.select(KEY, coreset.Examples.from_arrays(small.labels, 3), count=15)


def test_values_that_are_not_finite_are_refused(small):
    gradients = small.gradients.outer.copy()
    gradients[7] = np.nan
    for name, entry in coreset.SELECTORS.items():
        if entry.uses is None:
            continue
        values = gradients if entry.uses == "gradients" else gradients[:, :3]
        wrong = coreset.Examples(
            small.labels,
            3,
            {entry.uses: lambda examples, values=values, uses=entry.uses: _wrong(values, uses)},
        )
        with pytest.raises(InputError, match="NaN or infinity"):
            coreset.select(KEY, wrong, name, count=15)


def _wrong(values, uses):
    if uses == "gradients":
        return coreset.GradientFactors(values)
    return values if uses == "residuals" else values[:, 0]


def test_an_interruption_ends_the_selection(small):
    begun = []

    def own(key, examples, count):
        begun.append(count)
        return coreset.Subset(np.arange(count))

    def interrupt(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        coreset.select(KEY, small, own, count=15, num_threads=1, progress=interrupt)
    for name in ("coreset", "herding"):
        with pytest.raises(KeyboardInterrupt):
            coreset.select(KEY, small, name, count=15, progress=interrupt)


def test_progress_is_told_for_each_class(small):
    told = []
    coreset.select(KEY, small, "herding", count=9, progress=lambda *x: told.append(x))
    assert told == [("classes", done, 3) for done in (1, 2, 3)]
