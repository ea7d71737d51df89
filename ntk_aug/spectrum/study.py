"""The spectrum study as one call: plain against augmented images (supplement C.1)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ntk_aug.aliases import Array, Inputs, Int, KeyLike, Labels, Progress
from ntk_aug.checks import check_at_least, check_count, check_labels, check_params
from ntk_aug.errors import InputError
from ntk_aug.inputs import check_inputs, example_shapes, num_examples
from ntk_aug.jacobian import JacobianRows
from ntk_aug.jacobian.outputs import LABELLED_ROWS
from ntk_aug.models.independence import check_examples_independent
from ntk_aug.ntk.blocks import counter
from ntk_aug.ntk.neural_tangents.kernels import DEFAULT_IMPLEMENTATION
from ntk_aug.ntk.triples import DEFAULT_MEMORY_BYTES
from ntk_aug.randomness import as_key
from ntk_aug.records import StrPath
from ntk_aug.spectrum.accuracy import InputsRounding, RoundingMeter, uncertain_values, value_errors
from ntk_aug.spectrum.alignment import label_shares
from ntk_aug.spectrum.augmented_versions import (
    AugmentationsLike,
    AugmentedVersions,
    as_views,
    check_study_inputs,
    distances,
    named_augmentations,
)
from ntk_aug.spectrum.backends import Backend
from ntk_aug.spectrum.baseline import random_subspace_angle
from ntk_aug.spectrum.bins import DEFAULT_BINS, BinComparison, compare_bins, equal_count_bins
from ntk_aug.spectrum.decomposition import null_tolerance
from ntk_aug.spectrum.result import SpectrumStudy, StudySettings


def study_spectrum(
    key: KeyLike,
    networks: Any,
    images: Inputs,
    augmentations: AugmentationsLike,
    *,
    labels: Labels | None = None,
    indices: Int[Array, " n"] | None = None,
    preprocess: Callable[[Inputs], Inputs] = lambda images: images,
    draws: int = 1,
    num_bins: int | None = None,
    rows: str = "logits",
    backend: str = "kernel",
    implementation: str = DEFAULT_IMPLEMENTATION,
    dtype: str = "float32",
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    mesh: Mesh | None = None,
    blocks_folder: StrPath | None = None,
    progress: Progress | None = None,
) -> SpectrumStudy:
    """Compares the Jacobian's singular values and subspaces on plain and on augmented images.

    Args:
      key: of the augmentation draws and of the random-subspace baseline.
      networks: one as `models.as_view` takes it, or a sequence of several, trained from different
        seeds.
      images: [n, h, w, c], floats in [0, 1]. Or any inputs of the network: a table [n, d], token
        ids [n, t], a pytree of arrays with one leading n; augmentations are then your own functions
        of a key and one example.
      augmentations: a name such as "noise:0.5", several names, or a mapping from the names in the
        result to functions (key, image) -> image or to such names. Images stay in [0, 1] unless the
        augmentation declares `augment.leaves_unit_range`.
      labels: [n]; needed for `jacobian.LABELLED_ROWS`, and for the labels' alignment with the
        singular vectors.
      indices: position of each image in its data set, folded into its augmentation key; default 0
        .. n-1.
      preprocess: from a batch of images in [0, 1] to the network's inputs, such as normalisation;
        applied after augmentation.
      draws: augmented versions of all images per augmentation; the same for every network.
      num_bins: bins of equal count over the singular values; default `DEFAULT_BINS`, or one for
        each value if there are fewer.
      rows: a key of `jacobian.ROWS`.
      backend: a key of `BACKENDS`.
      implementation: a key of `NEURAL_TANGENTS_IMPLEMENTATIONS`, for that backend only.
      dtype: "float32" or "float64" of the network and the Jacobian rows; "svd" needs "float64".
      memory_bytes: budget of the Jacobian rows held at once; neural_tangents holds none.
      mesh: as `ntk.kernel_triples` takes it, for backend "kernel".
      blocks_folder: as `ntk.kernel_triples` takes it, for backend "kernel".
      progress: called with (stage, done, total).

    Returns:
      A `SpectrumStudy`; `summarize_study` tabulates it. If a network cannot be computed in float64,
      it says that errors are unknown, and why.

    Raises:
      InputError: bad images, labels, weights or settings; a network that mixes examples or that the
        implementation cannot take; an augmentation that changes the shape, leaves [0, 1] undeclared
        or cannot be traced. All are raised before long work starts.
    """
    views = as_views(networks)
    named = named_augmentations(augmentations)
    if not views or not named:
        raise InputError("at least one network and one augmentation are needed")
    check_at_least(draws, 1, "draws")
    route = Backend(backend, rows, dtype, implementation, memory_bytes, mesh, blocks_folder)
    route.check()
    given, key = key, as_key(key)
    images = check_study_inputs(images)
    n = num_examples(images)
    indices = jnp.arange(n) if indices is None else jnp.asarray(indices)
    versions = AugmentedVersions(named, key, images, indices, preprocess)
    inputs = check_inputs(jax.tree.map(np.asarray, preprocess(images)), "the network's inputs")
    for view in views:
        check_params(view.params)
        num_outputs = check_examples_independent(view, inputs)
    if labels is not None:
        labels = check_labels(labels, n, num_outputs)
    elif rows in LABELLED_ROWS:
        raise InputError(f"rows {rows!r} need labels")
    of_rows = labels if rows in LABELLED_ROWS else None
    for _ in versions(1):  # an augmentation that fails should fail now
        pass

    example = example_shapes(inputs)
    engines = [JacobianRows(view, example, rows=rows, dtype=dtype) for view in views]
    sizes = {(engine.num_params, engine.outputs_per_example) for engine in engines}
    if len(sizes) > 1:
        raise InputError(
            f"the networks differ in (parameters, outputs): {sorted(sizes)}; expected one size"
        )
    num_rows = n * engines[0].outputs_per_example
    num_params = engines[0].num_params
    num_values = min(num_rows, num_params)
    route.check_memory(engines[0], n)
    if num_bins is not None:
        check_count(num_bins, num_values, f"num_bins for {num_values} singular values")
    bins = equal_count_bins(num_values, DEFAULT_BINS if num_bins is None else num_bins)
    shape = (len(views), len(named), draws)
    displacement = np.zeros(shape[1:])
    bound = np.full(shape, np.nan)
    report_rounding = counter(progress, "rounding", len(views) * (1 + len(named) * draws))
    report_spectra = counter(progress, "spectra", int(np.prod(shape)))
    values, tolerances, comparisons = [], [], []
    shares, augmented_shares = [], []
    plain_rounding, version_rounding, unknown = [], [], ""
    for w, (view, engine) in enumerate(zip(views, engines, strict=True)):
        measure = RoundingMeter(
            view, engine, example, of_rows, rows=rows, memory_bytes=memory_bytes
        )
        plain_rounding.append(measure(inputs))
        unknown = measure.unknown or unknown
        report_rounding(1)
        drawn: list[Inputs] = []

        def kept(versions, drawn=drawn):
            """Keeps each version, which is drawn once, for further measurements."""
            for version in versions:
                drawn[:] = [version]
                yield version

        pairs = route.pairs(view, engine, inputs, kept(versions(draws)), of_rows, progress)
        for position, pair in enumerate(pairs):
            (version,) = drawn
            version_rounding.append(measure(version))
            report_rounding(1)
            if position == 0:
                tolerance = null_tolerance(
                    pair.plain.values, num_rows, num_params, backend=backend, dtype=dtype
                )
                values.append(pair.plain.values)
                tolerances.append(tolerance)
                shares.append(label_shares(pair.plain.left, labels))
            augmented_shares.append(label_shares(pair.augmented.left, labels))
            comparisons.append(compare_bins(pair, bins, tolerance))
            a, d = divmod(position, draws)
            displacement[a, d] = distances(version, inputs).max()
            if view.jacobian_lipschitz and rows in ("logits", "true-logit"):
                radius = max(distances(inputs).max(), distances(version).max())
                lipschitz = view.jacobian_lipschitz(radius)
                bound[w, a, d] = np.sqrt(n) * lipschitz * displacement[a, d]
            report_spectra(1)

    def stacked(entries):
        return np.stack(entries).reshape(shape + np.shape(entries[0]))

    compared = {
        field: stacked([getattr(comparison, field) for comparison in comparisons])
        for field in BinComparison._fields
    }
    plain, augmented = np.stack(values), [one.augmented_values for one in comparisons]

    def errors_of(spectra, rounding):
        return [
            value_errors(own, backend=backend, dtype=dtype, rows_norm=one.norm)
            for own, one in zip(spectra, rounding, strict=True)
        ]

    errors = np.stack(errors_of(values, plain_rounding))
    augmented_errors = stacked(errors_of(augmented, version_rounding))
    left, right = (
        _baseline(jax.random.fold_in(key, 1 + side), dimension, bins)
        for side, dimension in enumerate((num_rows, num_params))
    )
    return SpectrumStudy(
        settings=StudySettings(
            augmentations=tuple(named),
            num_examples=n,
            outputs_per_example=engines[0].outputs_per_example,
            num_params=num_params,
            rows=rows,
            backend=backend,
            dtype=dtype,
            seed=_seed_numbers(given, key),
            unknown_errors=unknown,
        ),
        bin_sizes=np.array([members.stop - members.start for members in bins]),
        values=plain,
        value_error=errors,
        uncertain=uncertain_values(plain, errors),
        **_rounding_fields(plain_rounding, np.stack),
        masks_per_image=np.array([one.masks.units for one in plain_rounding]),
        augmented_value_error=augmented_errors,
        augmented_uncertain=uncertain_values(compared["augmented_values"], augmented_errors),
        **{
            f"augmented_{name}": value
            for name, value in _rounding_fields(version_rounding, stacked).items()
        },
        tolerance=np.array(tolerances),
        label_shares=np.stack(shares),
        augmented_label_shares=stacked(augmented_shares),
        displacement=displacement,
        perturbation_bound=bound,
        left_baseline=left[0],
        right_baseline=right[0],
        left_baseline_error=left[1],
        right_baseline_error=right[1],
        **compared,
    )


def _rounding_fields(measured: list[InputsRounding], stack: Callable) -> dict[str, np.ndarray]:
    """Fields of a `SpectrumStudy` from one entry for each network or version."""
    return {
        "rows_norm": stack([one.norm for one in measured]),
        "row_error": stack([one.rows.largest for one in measured]),
        "row_error_median": stack([one.rows.median for one in measured]),
        "row_error_without_flips": stack([one.rows.largest_without_flips for one in measured]),
        "row_error_images": stack([one.rows.num_images for one in measured]),
        "masks_flipped": stack([one.masks.flipped for one in measured]),
    }


def _seed_numbers(given, key):
    """The given integer, or the numbers of the key."""
    if np.ndim(given) == 0 and not jnp.issubdtype(jnp.result_type(given), jax.dtypes.prng_key):
        return int(given)
    return tuple(int(number) for number in jax.random.key_data(key).ravel())


def _baseline(key, dimension, bins):
    """The random-subspace angle of each bin as two arrays; bins have at most two sizes."""
    sizes = [members.stop - members.start for members in bins]
    by_size = {
        size: random_subspace_angle(jax.random.fold_in(key, size), dimension, size)
        for size in set(sizes)
    }
    found = [by_size[size] for size in sizes]
    return np.array([one.value for one in found]), np.array([one.standard_error for one in found])
