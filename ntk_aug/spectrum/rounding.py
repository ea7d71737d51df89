"""How much the rows of J are rounded: measured on a few images, and scaled to all of them."""

from typing import NamedTuple

import numpy as np

from ntk_aug.aliases import Images, Labels
from ntk_aug.checks import InputError, check_at_least, check_same_shape
from ntk_aug.jacobian import FlippedMasks, JacobianRows, RowFactors, flipped_masks
from ntk_aug.models import ModelView
from ntk_aug.ntk import DEFAULT_MEMORY_BYTES

DEFAULT_SAMPLE = 20


class RowsRounding(NamedTuple):
    """The rounding E = J(float32) - J(float64) of the rows.

    Attributes:
      norm: an estimate of ||E||_2 for all n images.
      norm_without_flips: what it would be if no mask flipped.
      median: of |row of E| / |row of J| over the images of the sample.
      largest: the largest of them.
      largest_without_flips: the same without images in which a mask flips; NaN if there are none.
      num_images: in the sample.
    """

    norm: float
    norm_without_flips: float
    median: float
    largest: float
    largest_without_flips: float
    num_images: int


def rows_rounding(
    single: JacobianRows,
    double: JacobianRows,
    masks: FlippedMasks,
    images: Images,
    labels: Labels | None = None,
    *,
    sample: int = DEFAULT_SAMPLE,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> RowsRounding:
    """Measures the rounding of float32 rows on at most `sample` images, evenly spaced.

    E'E is a sum over images, and the largest eigenvalue is convex: for m of n images drawn at
    random, ||E||_2^2 is at most n / m times the mean of ||E_m||_2^2 over all draws (of which one is
    computed: it may be below the mean, while Weyl's bound leaves more room). Images in which
    masks flip are few and far off, so they are a part of their own: half of the sample, if there
    are so many. The squares of the two parts add up, again from above.

    Args:
      single: rows of a network in float32.
      double: those of the same network in float64.
      masks: what `jacobian.flipped_masks` finds on the same images.
      images: network inputs [n, h, w, c].
      labels: [n]; needed for `jacobian.LABELLED_ROWS` only.
      sample: images at most.
      memory_bytes: budget of the rows held at once; the sample is smaller if it has to be.

    Raises:
      InputError: rows of other precisions, a sample of none, or what `JacobianRows.blocks` refuses.
    """
    if (single.dtype, double.dtype) != ("float32", "float64"):
        raise InputError(
            f"rows are {single.dtype} and {double.dtype}, expected float32 and float64"
        )
    check_at_least(sample, 1, "sample")
    images = np.asarray(images)
    check_same_shape(masks.flipped.shape, (len(images),), "masks.flipped")
    flips = masks.flipped > 0
    parts = [part for part in (np.flatnonzero(~flips), np.flatnonzero(flips)) if len(part)]
    # Of the rows in float32, in float64, and their difference.
    fitting = max(memory_bytes // (single.factor_bytes + 2 * double.factor_bytes), 1)
    room = max(sample - min(len(parts[-1]), sample // 2), 1) if len(parts) == 2 else sample
    of_image, relative = [], []  # ||E_m||_2^2 / m, and the relative errors, of each part
    num_images = 0
    for part in parts:
        count = min(len(part), room, fitting)
        chosen = part[np.linspace(0, len(part) - 1, count).astype(int)]
        # All images are given, so that the blocks are those of the study: the same program.
        order = np.concatenate([chosen, np.setdiff1d(np.arange(len(images)), chosen)])
        given = None if labels is None else np.asarray(labels)[order]
        one, other = (
            engine.factors(images[order], given, stop=count) for engine in (single, double)
        )
        gram = _error_gram(one, other)
        of_image.append(max(np.linalg.eigvalsh(gram)[-1], 0) / count)
        norms = np.sqrt(other.squared_norms())
        errors = np.sqrt(np.maximum(gram.diagonal(), 0))
        relative.append(np.divide(errors, norms, out=np.zeros_like(errors), where=norms > 0))
        num_images += count
        room = max(sample - count, 1)
    everything = np.concatenate(relative)
    sizes = [len(part) for part in parts]
    return RowsRounding(
        norm=float(np.sqrt(np.dot(sizes, of_image))),
        norm_without_flips=float(np.sqrt(len(images) * of_image[0])),
        median=float(np.median(everything)),
        largest=float(everything.max()),
        largest_without_flips=float("nan" if flips.all() else relative[0].max()),
        num_images=num_images,
    )


def measure_rounding(
    view: ModelView,
    engine: JacobianRows,
    images: Images,
    labels: Labels | None,
    *,
    rows: str,
    memory_bytes: int,
) -> tuple[FlippedMasks, RowsRounding, float]:
    """The masks that flip, the float32 rows' rounding, and ||E||_2 of the rows of `engine`."""
    other = "float64" if engine.dtype == "float32" else "float32"
    second = JacobianRows(view.apply_fn, view.params, images.shape[1:], rows=rows, dtype=other)
    single, double = (engine, second) if other == "float64" else (second, engine)
    masks = flipped_masks(view.apply_fn, view.params, images)
    measured = rows_rounding(single, double, masks, images, labels, memory_bytes=memory_bytes)
    if engine is single:
        return masks, measured, measured.norm
    # float64 rows round as float32 ones do, 2^-29 times as much; masks hardly ever flip.
    ratio = float(np.finfo("float64").eps / np.finfo("float32").eps)
    return masks, measured, ratio * measured.norm_without_flips


def _error_gram(single: RowFactors, double: RowFactors) -> np.ndarray:
    """E E', without a difference of products, which would be nothing but rounding.

    In the columns of a dense layer a row of E is x (x) d - x' (x) d' = (x - x') (x) d +
    x' (x) (d - d').
    """
    difference = single.rows - double.rows
    gram = difference @ difference.T
    k = single.outputs_per_example
    layers = zip(single.inputs, single.cotangents, double.inputs, double.cotangents, strict=True)
    for x, d, exact_x, exact_d in layers:
        terms = [(x - exact_x, d.astype(np.float64)), (exact_x, d - exact_d)]
        for inputs, cotangents in terms:
            for others, other_cotangents in terms:
                products = np.repeat(np.repeat(inputs @ others.T, k, axis=0), k, axis=1)
                gram += products * (cotangents @ other_cotangents.T)
    return gram
