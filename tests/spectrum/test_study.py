import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from ntk_aug import augment, jacobian, models, spectrum
from ntk_aug.errors import InputError
from ntk_aug.models.network import num_params

AUGMENTATIONS = ("identity", "noise:0.5", "rotation:30")
DRAWS = 2


@pytest.fixture(scope="module")
def augmentations():
    return {name: augment.build_augmentation(name) for name in AUGMENTATIONS}


@pytest.fixture(scope="module")
def run(tanh_mlp, digits, digit_images, augmentations):
    """A study of one network; from what is changed in its call to its result."""
    return partial(
        spectrum.study_spectrum,
        3,
        tanh_mlp,
        digit_images,
        augmentations,
        indices=digits.indices,
        draws=DRAWS,
        num_bins=6,
        dtype="float64",
    )


@pytest.fixture(scope="module")
def study(run):
    return run()


@pytest.fixture(scope="module")
def jacobians(tanh_mlp, digits, digit_images, augmentations):
    """J, and J~ for each augmentation and draw, in float64."""
    rows = jacobian.JacobianRows(tanh_mlp, digit_images.shape[1:], dtype="float64")
    key = jax.random.key(3)
    augmented = [
        [
            rows(augment.augment_batch(a, key, digit_images, digits.indices, draw=draw))
            for draw in range(DRAWS)
        ]
        for a in augmentations.values()
    ]
    return rows(digit_images), augmented


def test_values_are_those_of_the_jacobians(study, jacobians):
    J, augmented = jacobians
    np.testing.assert_allclose(study.values[0], np.linalg.svd(J, compute_uv=False), rtol=1e-9)
    for a in range(len(AUGMENTATIONS)):
        for d in range(DRAWS):
            # Augmented outside of jit, so that the float32 pixels differ in their last bit.
            J_aug = augmented[a][d]
            np.testing.assert_allclose(
                study.augmented_values[0, a, d], np.linalg.svd(J_aug, compute_uv=False), rtol=1e-6
            )
            np.testing.assert_allclose(
                study.perturbation_norm[0, a, d],
                np.linalg.norm(J_aug - J, 2),
                rtol=1e-6,
                atol=1e-6 * np.linalg.norm(J, 2),
            )


def test_the_identity_changes_nothing(study):
    np.testing.assert_array_equal(study.difference[0, 0], 0)
    np.testing.assert_array_equal(study.displacement[0], 0)
    assert study.left_angle[0, 0].max() < 1e-6
    assert study.right_angle[0, 0].max() < 1e-6


def test_the_certified_bound_holds_and_is_not_vacuous(study):
    norms, bounds = study.perturbation_norm[0, 1:], study.perturbation_bound[0, 1:]
    assert (norms <= bounds).all()
    assert (norms > bounds / 100).all()


def test_displacement_is_in_the_networks_input_units(tanh_mlp, digit_images, augmentations):
    noise = {"noise": augmentations["noise:0.5"]}
    doubled = spectrum.study_spectrum(
        0, tanh_mlp, digit_images, noise, preprocess=lambda x: (x - 0.5) / 0.5, num_bins=4
    )
    plain = spectrum.study_spectrum(0, tanh_mlp, digit_images, noise, num_bins=4)
    np.testing.assert_allclose(doubled.displacement, 2 * plain.displacement, rtol=1e-5)
    assert 0.45 < plain.displacement.item() <= 0.5


def test_every_backend_and_any_budget_give_the_same_study(study, run, tanh_mlp):
    pair_bytes = 2 * 3 * num_params(tanh_mlp.params) * 8
    for changed in (
        {"backend": "svd"},
        {"backend": "neural_tangents"},
        {"backend": "neural_tangents", "implementation": "jacobian-contraction"},
        {"memory_bytes": 20 * pair_bytes},
    ):
        other = run(**changed)
        for field in ("values", "augmented_values", "difference", "left_angle", "right_angle"):
            np.testing.assert_allclose(
                getattr(other, field), getattr(study, field), rtol=1e-6, atol=2e-5
            )


def test_a_study_goes_on_from_the_finished_blocks_of_its_kernels(
    study, run, augmentations, tmp_path
):
    computed = []
    for _ in range(2):
        told = []
        other = run(
            blocks_folder=tmp_path,
            progress=lambda stage, done, total, told=told: told.append(stage),
        )
        computed.append(told.count("Jacobian"))
        np.testing.assert_allclose(other.augmented_values, study.augmented_values, rtol=1e-12)
    assert computed[0] > computed[1] == 0
    # Draws of the identity are the same images.
    assert len(list(tmp_path.iterdir())) == 1 + DRAWS * (len(augmentations) - 1)


def test_several_networks_are_studied_on_the_same_augmented_images(
    tanh_mlp, digit_images, augmentations
):
    both = spectrum.study_spectrum(0, [tanh_mlp, tanh_mlp], digit_images, augmentations, num_bins=4)
    np.testing.assert_array_equal(both.augmented_values[0], both.augmented_values[1])
    assert both.values.shape == (2, 36)


@pytest.mark.parametrize(("rows", "count"), [("probabilities", 36), ("true-logit", 12)])
def test_other_rows(rows, count, tanh_mlp, digits, digit_images, augmentations):
    study = spectrum.study_spectrum(
        0,
        tanh_mlp,
        digit_images,
        {"noise": augmentations["noise:0.5"]},
        labels=digits.labels,
        rows=rows,
        dtype="float64",
    )
    assert study.values.shape == (1, count)
    # The probabilities of an image sum to one, so a third of the singular values are zero.
    zeros = (study.values <= study.tolerance[:, None]).sum()
    assert zeros == (12 if rows == "probabilities" else 0)
    assert study.null.any() == (rows == "probabilities")


def test_a_saved_study_loads_as_it_was(study, tmp_path):
    study.save(tmp_path / "study.npz")
    loaded = spectrum.SpectrumStudy.load(tmp_path / "study.npz")
    assert loaded.settings == study.settings
    for field in dataclasses.fields(study):
        if field.name != "settings":
            np.testing.assert_array_equal(getattr(loaded, field.name), getattr(study, field.name))


def test_loading_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    with pytest.raises(InputError, match="is no saved spectrum study"):
        spectrum.SpectrumStudy.load(tmp_path / "other.npz")


def test_the_summary_averages_over_networks_and_draws(study):
    summary = spectrum.summarize_study(study)
    assert [item.name for item in summary] == list(AUGMENTATIONS)
    noise = summary[1]
    np.testing.assert_allclose(
        noise.bins["difference"].mean, study.difference[:, 1].mean(axis=(0, 1))
    )
    np.testing.assert_allclose(
        noise.bins["left_angle"].std, study.left_angle[:, 1].std(axis=(0, 1), ddof=1)
    )
    assert noise.decreased_first_bin == study.share_decreased[:, 1, :, 0].mean()
    assert np.isnan(summary[0].spearman[0])  # nothing changed, so there is nothing to rank


def test_spearman_is_one_where_relative_differences_rise(study):
    rising = np.broadcast_to(np.arange(6.0) ** 2, study.relative_difference.shape)
    falling = dataclasses.replace(study, relative_difference=-rising)
    rising = dataclasses.replace(study, relative_difference=rising)
    assert spectrum.summarize_study(rising)[1].spearman == (pytest.approx(1),)
    assert spectrum.summarize_study(falling)[1].spearman == (pytest.approx(-1),)


def bad_image(digit_images):
    images = digit_images.copy()
    images[7, 2, 2] = np.nan
    return images


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"draws": 0}, "draws is 0"),
        ({"backend": "sdv"}, "unknown backend 'sdv'.*did you mean 'svd'"),
        ({"backend": "svd"}, "needs dtype 'float64'"),
        ({"implementation": "autos"}, "unknown implementation 'autos'.*did you mean 'auto'"),
        ({"rows": "true-logit"}, "need labels"),
        ({"rows": "logit"}, "unknown kind of rows"),
        ({"augmentations": {}}, "one augmentation are needed"),
        (
            {"augmentations": {"cut": lambda key, x: x[1:]}},
            r"\(12, 7, 8, 1\), expected \(12, 8, 8, 1\)",
        ),
        ({"augmentations": {"nan": lambda key, x: x * jnp.nan}}, "augmented by nan hold NaN"),
        ({"augmentations": {"x": lambda key, x: x * 2}}, "augmented by 'x' range from 0 to 2"),
        ({"augmentations": "nois"}, "unknown augmentation 'nois'.*did you mean 'noise'"),
        ({"images": lambda images: 255 * images}, "images range from 0 to 255, expected 0 to 1"),
        ({"num_bins": 500}, "num_bins for 36 singular values is 500, expected 1 to 36"),
        ({"num_bins": 0}, "num_bins for 36 singular values is 0"),
        ({"dtype": "bfloat16"}, "dtype is 'bfloat16', expected 'float32' or 'float64'; with"),
        ({"dtype": "float46"}, "unknown dtype 'float46'.*did you mean 'float64'"),
        ({"images": bad_image}, "first in image 7"),
        ({"memory_bytes": 10}, "GiB are needed"),
        ({"backend": "neural_tangents", "blocks_folder": "."}, "blocks_folder are for backend"),
        ({"blocks_folder": __file__}, "test_study.py"),
        (
            {"mesh": Mesh(np.array(jax.devices())[:, None], ("a", "b"))},
            "expected one$",
        ),
        (
            {"memory_bytes": 10, "backend": "svd", "dtype": "float64"},
            r"holds two Jacobians, 0\.001 GiB; the memory budget is",
        ),
    ],
)
def test_bad_input_is_told_before_long_work(
    changed, message, tanh_mlp, digit_images, augmentations
):
    arguments = {"images": digit_images, "augmentations": augmentations, **changed}
    images = arguments.pop("images")
    images = images(digit_images) if callable(images) else images
    with pytest.raises(InputError, match=message):
        spectrum.study_spectrum(0, tanh_mlp, images, arguments.pop("augmentations"), **arguments)


def test_a_network_that_mixes_examples_is_refused(tanh_mlp, digit_images, augmentations):
    def mixing(params, images):
        logits = tanh_mlp.apply_fn(params, images)
        return logits - logits.mean(axis=0)

    with pytest.raises(InputError, match="depends on the other images"):
        spectrum.study_spectrum(
            0, models.ModelView(mixing, tanh_mlp.params), digit_images, augmentations
        )


def test_a_network_that_neural_tangents_cannot_take_is_refused_with_what_can(
    digit_images, augmentations
):
    def gated(params, images):
        left, right = jnp.split(images.reshape(len(images), -1) @ params, 2, axis=1)
        return left * jax.nn.sigmoid(right)

    view = models.ModelView(gated, jnp.ones((64, 4)))
    with pytest.raises(InputError, match=r"cannot take this network: .*; use .*backend 'kernel'"):
        spectrum.study_spectrum(0, view, digit_images, augmentations, backend="neural_tangents")


def test_float32_sums_of_neural_tangents_resolve_less(tanh_mlp, digit_images, augmentations):
    noise = {"noise": augmentations["noise:0.5"]}
    ours, theirs = (
        spectrum.study_spectrum(0, tanh_mlp, digit_images, noise, backend=backend)
        for backend in ("kernel", "neural_tangents")
    )
    # sqrt(2^-23) = 3.5e-4 is what a float32 Gram matrix loses.
    assert 3.4e-4 < theirs.tolerance / theirs.values[0, 0] < 5e-4
    assert ours.tolerance < theirs.tolerance / 100
    large = ours.values > theirs.tolerance
    np.testing.assert_allclose(theirs.values[large], ours.values[large], rtol=0.05)
    assert (np.abs(theirs.values - ours.values) <= theirs.value_error + ours.value_error).all()
    assert (theirs.value_error > 10 * ours.value_error).all()


def test_a_module_names_and_a_key_do_as_a_view_a_mapping_and_a_seed(digits, digit_images):
    module = models.MLP(num_classes=3, width=16, activation="tanh")
    variables = module.init(jax.random.key(0), digit_images)
    view = models.linen_view(module, variables)
    mapping = {"noise:0.5": augment.build_augmentation("noise:0.5")}
    one = spectrum.study_spectrum(
        5,
        view,
        digit_images,
        mapping,
        num_bins=4,
    )
    other = spectrum.study_spectrum(
        jax.random.key(5),
        (module, variables),
        digit_images,
        ["noise:0.5"],
        num_bins=4,
    )
    assert other.settings.augmentations == ("noise:0.5",)
    assert (one.settings.seed, other.settings.seed) == (5, (0, 5))
    for field in ("values", "augmented_values", "left_angle", "left_baseline"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


def test_a_network_of_several_results_is_told(tanh_mlp, digit_images):
    def pair(params, images):
        return tanh_mlp.apply_fn(params, images), images

    with pytest.raises(InputError, match="the network returns a tuple of 2, expected logits"):
        spectrum.study_spectrum(0, (pair, tanh_mlp.params), digit_images, "noise:0.5")


def test_the_baseline_says_its_error_and_is_drawn_for_each_side(study):
    for side in ("left", "right"):
        errors = getattr(study, f"{side}_baseline_error")
        assert ((errors > 0) & (errors <= 0.1)).all()
    assert (study.right_baseline > study.left_baseline).all()


def test_networks_of_different_size_are_refused(tanh_mlp, digit_images, augmentations):
    params = {**tanh_mlp.params, "more": np.zeros(2, np.float32)}
    larger = models.ModelView(tanh_mlp.apply_fn, params)
    with pytest.raises(InputError, match="networks differ"):
        spectrum.study_spectrum(0, [tanh_mlp, larger], digit_images, augmentations)


def test_the_cost_counts_rows_and_parameters(tanh_mlp, digit_images):
    engine = jacobian.JacobianRows(tanh_mlp, digit_images.shape[1:])
    cost = spectrum.estimate_cost(engine, digit_images)
    assert (cost.num_rows, cost.num_params) == (36, 64 * 16 + 16 + 16 * 3 + 3)
    assert cost.jacobian_bytes == 36 * cost.num_params * 4
    assert 0 < cost.seconds_per_draw < 60
