"""The singular spectrum study as one call: plain against augmented images, on real networks.

Every quantity is the one of supplement C.1, made precise in `BinComparison` and `SpectrumStudy`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ntk_aug.aliases import Array, Augmentation, Images, Int, Labels, Progress
from ntk_aug.augment import augment_batch
from ntk_aug.checks import (
    InputError,
    check_at_least,
    check_images,
    check_labels,
    check_params,
    check_same_shape,
)
from ntk_aug.jacobian import LABELLED_ROWS, JacobianRows
from ntk_aug.models import ModelView, check_examples_independent
from ntk_aug.ntk import (
    DEFAULT_IMPLEMENTATION,
    DEFAULT_MEMORY_BYTES,
)
from ntk_aug.records import StrPath
from ntk_aug.spectrum.accuracy import uncertain_values, value_errors
from ntk_aug.spectrum.backends import Backend
from ntk_aug.spectrum.baseline import random_subspace_angle
from ntk_aug.spectrum.bins import DEFAULT_BINS, equal_count_bins
from ntk_aug.spectrum.comparison import BinComparison, compare_bins
from ntk_aug.spectrum.decomposition import null_tolerance
from ntk_aug.spectrum.result import SpectrumStudy, StudySettings
from ntk_aug.spectrum.rounding import measure_rounding


def study_spectrum(
    views: ModelView | Sequence[ModelView],
    images: Images,
    augmentations: Mapping[str, Augmentation],
    *,
    labels: Labels | None = None,
    indices: Int[Array, " n"] | None = None,
    preprocess: Callable[[Images], Images] = lambda images: images,
    draws: int = 1,
    num_bins: int = DEFAULT_BINS,
    rows: str = "logits",
    backend: str = "kernel",
    implementation: str = DEFAULT_IMPLEMENTATION,
    dtype: str = "float32",
    seed: int = 0,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    mesh: Mesh | None = None,
    blocks_folder: StrPath | None = None,
    progress: Progress | None = None,
) -> SpectrumStudy:
    """Compares the Jacobian's singular values and subspaces on plain and on augmented images.

    Args:
      views: one network, or several trained from different seeds, in evaluation mode.
      images: [n, h, w, c], floats in [0, 1].
      augmentations: by the name that the result reports; each augments one image with a key.
      labels: [n]; needed for `jacobian.LABELLED_ROWS` only.
      indices: place of each image in its data set, folded into its augmentation key; default
        0 .. n-1.
      preprocess: from a batch of images in [0, 1] to the network's inputs, such as normalisation;
        applied after augmentation.
      draws: augmented versions of all images per augmentation; the same for every network.
      num_bins: bins of equal count over the singular values.
      rows: a key of `jacobian.ROWS`.
      backend: a key of `BACKENDS`.
      implementation: a key of `ntk.NEURAL_TANGENTS_IMPLEMENTATIONS`, for that backend only.
      dtype: "float32" or "float64" of the network and the Jacobian rows; "svd" needs "float64".
      seed: of the augmentation draws and of the random-subspace baseline.
      memory_bytes: budget of the Jacobian rows held at once; neural_tangents holds none.
      mesh: devices of backend "kernel"; None takes what there is, as `ntk.kernel_triples` says.
      blocks_folder: where backend "kernel" keeps finished blocks of kernels; the same call goes
        on from them.
      progress: called with the stage, how much of it is done, and all of it.

    Returns:
      A `SpectrumStudy`, which saves and loads itself; `summarize_study` tabulates it.

    Raises:
      InputError: images, labels, weights or settings that cannot be used, a network that mixes the
        examples of a batch or that the implementation cannot take, an augmentation that changes
        the shape: all before long work starts.
    """
    views = [views] if isinstance(views, ModelView) else list(views)
    if not views or not augmentations:
        raise InputError("at least one network and one augmentation are needed")
    check_at_least(draws, 1, "draws")
    route = Backend(backend, rows, dtype, implementation, memory_bytes, mesh, blocks_folder)
    route.check()
    images = check_images(images)
    if images.dtype == np.uint8:
        raise InputError("images are uint8, expected floats in [0, 1]: see data.unit_range")
    images = jnp.asarray(images, jnp.float32)
    indices = jnp.arange(len(images)) if indices is None else jnp.asarray(indices)
    check_same_shape(indices.shape, (len(images),), "indices")
    inputs = np.asarray(preprocess(images))
    for view in views:
        check_params(view.params)
        num_outputs = check_examples_independent(view.apply_fn, view.params, inputs)
    if labels is not None:
        labels = check_labels(labels, len(images), num_outputs)
    elif rows in LABELLED_ROWS:
        raise InputError(f"rows {rows!r} need labels")
    key = jax.random.key(seed)
    augmenters = {
        name: jax.jit(partial(augment_batch, augmentation, key))
        for name, augmentation in augmentations.items()
    }
    augmented_batches = partial(_augmented_batches, augmenters, images, indices, preprocess)
    for _ in augmented_batches(1):  # an augmentation that fails does so now
        pass

    engines = [
        JacobianRows(view.apply_fn, view.params, inputs.shape[1:], rows=rows, dtype=dtype)
        for view in views
    ]
    sizes = {(engine.num_params, engine.outputs_per_example) for engine in engines}
    if len(sizes) > 1:
        raise InputError(
            f"the networks differ in (parameters, outputs): {sorted(sizes)}; expected one size"
        )
    num_rows = len(inputs) * engines[0].outputs_per_example
    route.check_memory(engines[0], len(inputs))
    num_params = engines[0].num_params
    bins = equal_count_bins(min(num_rows, num_params), num_bins)
    shape = (len(views), len(augmentations), draws)
    displacement = np.zeros(shape[1:])
    bound = np.full(shape, np.nan)
    values, tolerances, comparisons = [], [], []
    measured = [
        measure_rounding(view, engine, inputs, labels, rows=rows, memory_bytes=memory_bytes)
        for view, engine in zip(views, engines, strict=True)
    ]
    masks, roundings, rows_norms = zip(*measured, strict=True)
    for w, (view, engine) in enumerate(zip(views, engines, strict=True)):
        pairs = route.pairs(view, engine, inputs, augmented_batches(draws), labels, progress)
        for position, (pair, version) in enumerate(
            zip(pairs, augmented_batches(draws), strict=True)
        ):
            if position == 0:
                tolerance = null_tolerance(
                    pair.plain.values, num_rows, num_params, backend=backend, dtype=dtype
                )
                values.append(pair.plain.values)
                tolerances.append(tolerance)
            comparisons.append(compare_bins(pair, bins, tolerance))
            a, d = divmod(position, draws)
            displacement[a, d] = _norms(version - inputs).max()
            if view.jacobian_lipschitz and rows in ("logits", "true-logit"):
                radius = max(_norms(inputs).max(), _norms(version).max())
                lipschitz = view.jacobian_lipschitz(radius)
                bound[w, a, d] = np.sqrt(len(inputs)) * lipschitz * displacement[a, d]
            if progress:
                progress("spectra", len(comparisons), int(np.prod(shape)))

    def stacked(field):
        entries = np.stack([getattr(comparison, field) for comparison in comparisons])
        return entries.reshape(shape + entries.shape[1:])

    plain = np.stack(values)
    errors = np.stack(
        [
            value_errors(own, backend=backend, dtype=dtype, rows_norm=norm)
            for own, norm in zip(values, rows_norms, strict=True)
        ]
    )
    baseline_key = jax.random.fold_in(key, 1)
    return SpectrumStudy(
        settings=StudySettings(
            augmentations=tuple(augmentations),
            num_examples=len(inputs),
            outputs_per_example=engines[0].outputs_per_example,
            num_params=num_params,
            rows=rows,
            backend=backend,
            dtype=dtype,
            seed=seed,
        ),
        bin_sizes=np.array([members.stop - members.start for members in bins]),
        values=plain,
        value_error=errors,
        uncertain=uncertain_values(plain, errors),
        rows_norm=np.array(rows_norms),
        row_error=np.array([one.largest for one in roundings]),
        row_error_median=np.array([one.median for one in roundings]),
        row_error_without_flips=np.array([one.largest_without_flips for one in roundings]),
        row_error_images=np.array([one.num_images for one in roundings]),
        masks_flipped=np.stack([one.flipped for one in masks]),
        masks_per_image=np.array([one.units for one in masks]),
        tolerance=np.array(tolerances),
        displacement=displacement,
        perturbation_bound=bound,
        left_baseline=_baseline(baseline_key, num_rows, bins),
        right_baseline=_baseline(baseline_key, num_params, bins),
        **{field: stacked(field) for field in BinComparison._fields},
    )


def _augmented_batches(augmenters, images, indices, preprocess, draws) -> Iterator[np.ndarray]:
    """Network inputs of every augmentation and draw, one after another."""
    for name, augment in augmenters.items():
        for draw in range(draws):
            version = preprocess(augment(images, indices, draw=draw))
            yield check_images(version, f"images augmented by {name}")


def _norms(images):
    return np.linalg.norm(images.reshape(len(images), -1).astype(np.float64), axis=1)


def _baseline(key, dimension, bins):
    """The random-subspace angle of each bin; bins have at most two sizes."""
    by_size = {
        size: random_subspace_angle(key, dimension, size)
        for size in {members.stop - members.start for members in bins}
    }
    return np.array([by_size[members.stop - members.start] for members in bins])
