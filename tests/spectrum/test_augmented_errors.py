"""What rounding does to augmented values: estimated from each version of the images itself."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntk_aug import jacobian, models, spectrum
from ntk_aug.errors import InputError, PrecisionError
from ntk_aug.spectrum import accuracy as rounding
from ntk_aug.spectrum.accuracy import UNCERTAIN_SHARE, rows_rounding

MOVED = 7
"""The image that the augmentation moves to the kink of a ReLU."""


def to_the_kink(key, image):
    """Changes the one image whose last pixel is 1, so that w x - 1 = 2^-30 for the first unit."""
    del key
    return jnp.where(image[2, 2, 0] == 1, image.at[0, :2, 0].set(1), image)


@pytest.fixture(scope="module")
def case():
    """A ReLU network and images of which none flips a mask, before they are augmented."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0.1, 0.9, (12, 3, 3, 1)).astype("f4")
    images[MOVED, 2, 2] = 1
    params = {
        "kernel": np.stack([[1, 2.0**-30, *[0] * 7], *rng.normal(size=(7, 9))], axis=1),
        "bias": np.eye(8)[0],
        "out": rng.normal(size=(8, 2)),
    }
    params["out"][0] *= 0.2  # what flips, so that large values remain beyond doubt

    def network(params, images):
        hidden = images.reshape(len(images), -1) @ params["kernel"] - params["bias"]
        return jax.nn.relu(hidden) @ params["out"]

    return models.ModelView(network, jax.tree.map(lambda x: x.astype("f4"), params)), images


AUGMENTATIONS = {"identity": lambda key, image: image, "kink": to_the_kink}


@pytest.fixture(scope="module")
def studies(case):
    """The study in float32, and the same in float64."""
    return [
        spectrum.study_spectrum(0, *case, AUGMENTATIONS, num_bins=6, draws=2, dtype=dtype)
        for dtype in ("float32", "float64")
    ]


def test_a_mask_that_flips_in_an_augmented_image_only_is_in_the_estimate(studies):
    single, double = studies
    # The masks name the image, and the rows that are off are its own.
    assert not single.masks_flipped.any()
    np.testing.assert_array_equal(
        np.argwhere(single.augmented_masks_flipped[0]), [[1, 0, MOVED], [1, 1, MOVED]]
    )
    assert (
        single.augmented_row_error[0, 1].min() > 1e-2 > 1e-5 > single.augmented_row_error[0, 0, 0]
    )
    assert single.augmented_row_error_without_flips[0, 1].max() < 1e-5
    # Errors against float64: far beyond the estimate of plain values, and below their own.
    error = np.abs(single.augmented_values - double.augmented_values)
    assert error[0, 1].max() > 100 * single.value_error.max()
    assert (error <= single.augmented_value_error).all()
    assert error[0, 1].max() > single.augmented_value_error[0, 1].max() / 100
    # Without a change the estimate is that of plain values.
    for draw in range(2):
        np.testing.assert_array_equal(
            single.augmented_value_error[0, 0, draw], single.value_error[0]
        )
    assert (single.augmented_rows_norm[0, 0] == single.rows_norm[0]).all()


def test_flags_are_on_the_values_that_may_be_wrong(studies):
    single, double = studies
    relative = np.abs(single.augmented_values / double.augmented_values - 1)
    wrong = relative > UNCERTAIN_SHARE
    assert wrong[0, 1].any()
    assert (single.augmented_uncertain | ~wrong).all()
    np.testing.assert_array_equal(
        single.augmented_uncertain, single.augmented_value_error > 0.1 * single.augmented_values
    )
    assert not single.uncertain.any()
    assert not single.augmented_uncertain[0, 0].any()
    assert 0 < single.augmented_uncertain[0, 1].mean() < 1
    # In float64 nothing is in doubt, whatever flips in float32.
    assert not double.augmented_uncertain.any()
    np.testing.assert_array_equal(double.augmented_masks_flipped, single.augmented_masks_flipped)


def test_bins_and_spearman_say_how_much_stands_on_flagged_values(studies):
    study = studies[0]
    assert (study.num_bins, len(study.bin_sizes)) == (6, 6)
    uncertain = np.zeros_like(study.uncertain)
    augmented = np.zeros_like(study.augmented_uncertain)
    uncertain[0, 20] = True  # bin 5 of four values
    augmented[0, 1, 0, [0, 1, 20, 21]] = True
    relative = np.broadcast_to([5.0, 1, 2, 3, 4, 0], study.relative_difference.shape)
    study = dataclasses.replace(
        study, uncertain=uncertain, augmented_uncertain=augmented, relative_difference=relative
    )
    np.testing.assert_allclose(study.uncertain_share[0, 1, 0], [0.5, 0, 0, 0, 0, 0.5])
    np.testing.assert_allclose(study.uncertain_share[0, 1, 1], [0, 0, 0, 0, 0, 0.25])
    kink = spectrum.summarize_study(study)[1]
    np.testing.assert_allclose(kink.bins["uncertain_share"].mean, [0.25, 0, 0, 0, 0, 0.375])
    assert kink.uncertain == pytest.approx(4 / 48)
    assert kink.spearman_certain == (pytest.approx(1),)
    assert kink.spearman[0] < 0


@pytest.mark.parametrize("part", ["JacobianRows", "MaskCounter"])
def test_where_a_network_has_no_float64_its_errors_are_not_known(part, case, monkeypatch, tmp_path):
    def refuse(*arguments, **options):
        raise PrecisionError("the network cannot be computed in float64: a carry of float32")

    monkeypatch.setattr(rounding, part, refuse)
    study = spectrum.study_spectrum(0, *case, AUGMENTATIONS, num_bins=6)
    assert study.settings.unknown_errors == str(
        PrecisionError("the network cannot be computed in float64: a carry of float32")
    )
    assert np.isfinite(study.values).all()
    study.save(tmp_path / "study.npz")
    for one in (study, spectrum.SpectrumStudy.load(tmp_path / "study.npz")):
        for field in dataclasses.fields(one):
            if field.name.endswith(("value_error", "rows_norm")) or "row_error" in field.name:
                value = getattr(one, field.name)
                unknown = value == 0 if field.name.endswith("images") else np.isnan(value)
                assert unknown.all(), field.name
        assert one.uncertain.all()
        assert one.augmented_uncertain.all()
        assert (one.masks_flipped == -1).all()
        assert (one.augmented_masks_flipped == -1).all()
        assert np.isnan(one.uncertain_share).all()
        summary = spectrum.summarize_study(one)[1]
        assert np.isnan([summary.uncertain, *summary.spearman_certain]).all()
        assert np.isfinite(summary.spearman).all()


def test_rows_in_factors_in_one_precision_only_are_compared_as_a_whole(case):
    view, images = case

    def expanded(params, images):
        hidden = (images.reshape(len(images), -1, 1) * params["kernel"]).sum(1) - params["bias"]
        return (jax.nn.relu(hidden)[:, :, None] * params["out"]).sum(1)

    def engine(apply_fn, dtype):
        return jacobian.JacobianRows((apply_fn, view.params), (3, 3, 1), dtype=dtype)

    masks = jacobian.flipped_masks(view, images)
    single, double = engine(view.apply_fn, "float32"), engine(expanded, "float64")
    found = rows_rounding(single, double, masks, images)
    E = single(images).astype("f8") - double(images)
    np.testing.assert_allclose(found.norm, np.linalg.norm(E, 2), rtol=1e-6)
    np.testing.assert_allclose(
        found.largest, (np.linalg.norm(E, axis=1) / np.linalg.norm(double(images), axis=1)).max()
    )


# Saved studies


ADDED = (
    *("value_error", "uncertain", "rows_norm", "row_error", "row_error_median"),
    *("row_error_without_flips", "row_error_images", "masks_flipped"),
)


def as_format_1(source, target):
    """Writes what the version before wrote: no errors of augmented values and of baselines."""
    with np.load(source) as saved:
        arrays = dict(saved)
    for name in (*(f"augmented_{name}" for name in (*ADDED, "label_shares")), "format"):
        del arrays[name]
    for name in ("left_baseline_error", "right_baseline_error", "label_shares"):
        del arrays[name]
    settings = json.loads(str(arrays["settings"]))
    del settings["unknown_errors"]
    np.savez(target, **{**arrays, "settings": np.array(json.dumps(settings))})


def test_a_study_of_the_version_before_is_read_and_its_gaps_are_not_known(studies, tmp_path):
    study = studies[0]
    study.save(tmp_path / "new.npz")
    as_format_1(tmp_path / "new.npz", tmp_path / "old.npz")
    old = spectrum.SpectrumStudy.load(tmp_path / "old.npz")
    for field in dataclasses.fields(study):
        value, new = getattr(old, field.name), getattr(study, field.name)
        if field.name == "settings":
            assert dataclasses.replace(value, unknown_errors="") == new
            assert "an earlier version of ntk_aug" in value.unknown_errors
        elif field.name.startswith("augmented_") and field.name != "augmented_values":
            assert value.shape == new.shape
            assert value.dtype == new.dtype
            assert not np.isfinite(value).any() or (value == value.flat[0]).all()
        elif field.name.endswith("baseline_error") or field.name == "label_shares":
            assert np.isnan(value).all()
        else:
            np.testing.assert_array_equal(value, new)
    assert np.isnan(old.augmented_value_error).all()
    assert old.augmented_uncertain.all()
    assert (old.augmented_masks_flipped == -1).all()
    assert np.isnan(study.label_shares).all()  # the study has no labels


def test_a_study_of_a_later_version_is_refused_with_what_to_do(studies, tmp_path):
    studies[0].save(tmp_path / "new.npz")
    with np.load(tmp_path / "new.npz") as saved:
        np.savez(tmp_path / "later.npz", **{**saved, "format": np.array(4)})
    with pytest.raises(InputError, match=r"format 4, .* reads formats 1 to 3: install a newer"):
        spectrum.SpectrumStudy.load(tmp_path / "later.npz")
